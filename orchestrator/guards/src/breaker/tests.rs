mod closing;
mod model;
mod modes;
mod recalling;

use super::*;
use std::num::NonZeroU32;

const HOLD: Duration = Duration::from_secs(5);
const OPEN_FOR: Duration = Duration::from_secs(10);
/// The lot by which it is open for exactly the configured time.
const MIDDLE: u64 = 1 << 63;

fn at(seconds: f64) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_secs_f64(seconds))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Half of ten calls within thirty seconds open it for ten; three probes close it, without a ramp.
fn config(change: impl FnOnce(&mut BreakerParameters)) -> BreakerConfig {
    let mut settings = BreakerParameters { ramp: Duration::ZERO, ..BreakerParameters::default() };
    change(&mut settings);
    BreakerConfig::new(settings).expect("the test's settings are valid")
}

fn breaker_with(change: impl FnOnce(&mut BreakerParameters)) -> CircuitBreaker {
    CircuitBreaker::new(config(change), at(0.0))
}

fn breaker() -> CircuitBreaker {
    breaker_with(|_| {})
}

#[track_caller]
fn admitted(breaker: &mut CircuitBreaker, now: MonotonicTime) -> BreakerTicket {
    match breaker.admit(now, HOLD, MIDDLE) {
        BreakerAdmission::Admitted(ticket) => ticket,
        BreakerAdmission::Refused { retry_after, why } => panic!("refused for {retry_after:?}, {why:?}"),
    }
}

#[track_caller]
fn refused(breaker: &mut CircuitBreaker, now: MonotonicTime) -> (Duration, BreakerRefusal) {
    match breaker.admit(now, HOLD, MIDDLE) {
        BreakerAdmission::Admitted(ticket) => panic!("admitted: {ticket:?}"),
        BreakerAdmission::Refused { retry_after, why } => (retry_after, why),
    }
}

fn settle(
    breaker: &mut CircuitBreaker,
    ticket: BreakerTicket,
    verdict: CallVerdict,
    now: MonotonicTime,
) -> BreakerTransition {
    breaker.settle(ticket, verdict, Duration::ZERO, now, MIDDLE)
}

#[track_caller]
fn call(breaker: &mut CircuitBreaker, now: MonotonicTime, verdict: CallVerdict) -> BreakerTransition {
    let ticket = admitted(breaker, now);
    settle(breaker, ticket, verdict, now)
}

/// A call that succeeds after `took`.
#[track_caller]
fn call_taking(breaker: &mut CircuitBreaker, now: MonotonicTime, took: Duration) -> BreakerTransition {
    let ticket = admitted(breaker, now);
    breaker.settle(ticket, CallVerdict::Succeeded, took, now, MIDDLE)
}

/// Makes it open at `now`, by ten failures.
#[track_caller]
fn trip(breaker: &mut CircuitBreaker, now: MonotonicTime) {
    let last = (0..10).map(|_| call(breaker, now, CallVerdict::Failed)).last();
    assert_eq!(last, Some(BreakerTransition::Opened(TripReason::FailureRate)));
}

fn opened(now: MonotonicTime) -> CircuitBreaker {
    let mut breaker = breaker();
    trip(&mut breaker, now);
    breaker
}

#[test]
fn it_opens_when_half_of_ten_calls_failed_and_not_below_ten() {
    let mut breaker = breaker();
    for _ in 0..5 {
        assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Failed), BreakerTransition::Kept);
    }
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Succeeded), BreakerTransition::Kept);
    }
    assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Succeeded), BreakerTransition::Opened(TripReason::FailureRate));
    assert_eq!(refused(&mut breaker, at(1.0)), (OPEN_FOR, BreakerRefusal::Open));
}

#[test]
fn what_opened_it_is_kept_until_it_closes() {
    let mut breaker = breaker();
    for verdict in [CallVerdict::Failed, CallVerdict::Succeeded].into_iter().cycle().take(10) {
        let _ = call(&mut breaker, at(1.0), verdict);
    }
    let tripped =
        Some(TripDetails { by: TripReason::FailureRate, calls: 10, failures: 5, slow: 0, failures_in_a_row: 0 });
    let shown = breaker.snapshot(at(2.0));
    assert_eq!((shown.calls, shown.tripped), (0, tripped));
    assert_eq!(call(&mut breaker, at(11.0), CallVerdict::Failed), BreakerTransition::Opened(TripReason::Probe));
    assert_eq!(breaker.snapshot(at(12.0)).tripped, tripped, "a probe says that it is still so, and not why it was");
    for _ in 0..3 {
        let _ = call(&mut breaker, at(60.0), CallVerdict::Succeeded);
    }
    assert_eq!(breaker.snapshot(at(60.0)).tripped, None);
}

#[test]
fn as_many_late_successes_as_probes_let_it_ask_at_once() {
    let mut breaker = opened(at(1.0));
    assert!(!breaker.late_success(at(2.0)));
    assert!(!breaker.late_success(at(2.0)));
    assert_eq!(refused(&mut breaker, at(2.0)).1, BreakerRefusal::Open);
    assert!(breaker.late_success(at(2.0)));
    assert!(admitted(&mut breaker, at(2.0)).is_probe(), "what closes it is that it is in time again");
    assert!(!breaker.late_success(at(2.0)), "it asks already");
}

#[test]
fn a_probe_that_stands_behind_a_backlog_is_followed_by_another_soon() {
    let mut breaker = opened(at(1.0));
    let probe = admitted(&mut breaker, at(11.0));
    assert!(!breaker.late_success(at(12.0)), "it is being asked");
    let failed = breaker.settle(probe, CallVerdict::Failed, Duration::from_secs(3), at(14.0), 0);
    assert_eq!(failed, BreakerTransition::Opened(TripReason::Probe));
    let (rest, why) = refused(&mut breaker, at(14.0));
    assert_eq!(
        (rest, why),
        (Duration::from_millis(2_500), BreakerRefusal::Open),
        "a quarter of its time, and no longer each time"
    );
    assert_eq!(breaker.snapshot(at(14.0)).opened_in_a_row, 1);
    assert_eq!(call(&mut breaker, at(17.0), CallVerdict::Failed), BreakerTransition::Opened(TripReason::Probe));
    assert!(refused(&mut breaker, at(17.0)).0 > Duration::from_secs(10), "nothing was worked off since");
}

#[test]
fn late_successes_of_another_time_and_those_of_a_closed_or_forced_one_change_nothing() {
    let mut breaker = opened(at(1.0));
    (0..2).for_each(|_| assert!(!breaker.late_success(at(2.0))));
    assert_eq!(call(&mut breaker, at(11.0), CallVerdict::Failed), BreakerTransition::Opened(TripReason::Probe));
    assert!(!breaker.late_success(at(12.0)));
    breaker.set_mode(BreakerMode::ForcedOpen, at(12.0));
    (0..10).for_each(|_| assert!(!breaker.late_success(at(13.0))));
    assert_eq!(refused(&mut breaker, at(13.0)).1, BreakerRefusal::Forced);
    let mut closed = self::breaker();
    (0..10).for_each(|_| assert!(!closed.late_success(at(1.0))));
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let mut breaker = breaker();
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Failed), BreakerTransition::Kept);
    }
    assert_eq!(call(&mut breaker, at(32.0), CallVerdict::Failed), BreakerTransition::Kept);
    assert_eq!(breaker.snapshot(at(32.0)).calls, 1);
}

#[test]
fn a_window_of_calls_counts_the_last_of_them_however_old() {
    let mut breaker = breaker_with(|it| (it.window, it.minimum_calls) = (WindowConfig::Calls(4), 4));
    for (second, verdict) in
        [(0.0, CallVerdict::Failed), (3_600.0, CallVerdict::Succeeded), (7_200.0, CallVerdict::Succeeded)]
    {
        assert_eq!(call(&mut breaker, at(second), verdict), BreakerTransition::Kept);
    }
    assert_eq!(
        call(&mut breaker, at(9_000.0), CallVerdict::Failed),
        BreakerTransition::Opened(TripReason::FailureRate)
    );
}

#[test]
fn a_window_of_calls_forgets_the_call_that_the_newest_replaces() {
    let mut breaker = breaker_with(|it| (it.window, it.minimum_calls) = (WindowConfig::Calls(4), 4));
    for verdict in [
        CallVerdict::Failed,
        CallVerdict::Succeeded,
        CallVerdict::Succeeded,
        CallVerdict::Succeeded,
        CallVerdict::Failed,
    ] {
        assert_eq!(call(&mut breaker, at(1.0), verdict), BreakerTransition::Kept);
    }
    let snapshot = breaker.snapshot(at(1.0));
    assert_eq!((snapshot.calls, snapshot.failures, snapshot.failure_rate), (4, 1, Some(0.25)));
}

#[test]
fn failures_in_a_row_open_it_before_there_are_calls_enough_for_a_rate() {
    let mut breaker = breaker_with(|it| it.consecutive_failures = NonZeroU32::new(3));
    for verdict in
        [CallVerdict::Failed, CallVerdict::Failed, CallVerdict::Succeeded, CallVerdict::Failed, CallVerdict::Failed]
    {
        assert_eq!(call(&mut breaker, at(1.0), verdict), BreakerTransition::Kept);
    }
    assert_eq!(
        call(&mut breaker, at(1.0), CallVerdict::Failed),
        BreakerTransition::Opened(TripReason::ConsecutiveFailures)
    );
}

#[test]
fn what_asks_for_fewer_calls_counts_in_the_rate_and_never_in_a_row() {
    let mut breaker = breaker_with(|it| it.consecutive_failures = NonZeroU32::new(2));
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Throttled), BreakerTransition::Kept);
    }
    assert_eq!(breaker.snapshot(at(1.0)).failures_in_a_row, 0);
    assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Throttled), BreakerTransition::Opened(TripReason::FailureRate));
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let slow = |it: &mut BreakerParameters| (it.slow_call, it.slow_call_rate) = (Some(seconds(2.0)), 0.5);
    let mut breaker = breaker_with(slow);
    for _ in 0..5 {
        assert_eq!(call_taking(&mut breaker, at(1.0), seconds(2.0)), BreakerTransition::Kept);
    }
    for _ in 0..4 {
        assert_eq!(call_taking(&mut breaker, at(1.0), seconds(2.001)), BreakerTransition::Kept);
    }
    assert_eq!(breaker.snapshot(at(1.0)).slow, 4);
    assert_eq!(call_taking(&mut breaker, at(1.0), seconds(9.0)), BreakerTransition::Opened(TripReason::SlowCallRate));
}

#[test]
fn neutral_calls_say_nothing() {
    let mut breaker = breaker();
    for _ in 0..9 {
        call(&mut breaker, at(1.0), CallVerdict::Failed);
    }
    assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Neutral), BreakerTransition::Kept);
    assert_eq!(breaker.state(), BreakerState::Closed);
    let snapshot = breaker.snapshot(at(1.0));
    assert_eq!((snapshot.calls, snapshot.failures_in_a_row), (9, 9));
}

#[test]
fn rates_are_shown_from_the_minimum_of_calls_on() {
    let mut breaker = breaker_with(|it| it.minimum_calls = 2);
    call(&mut breaker, at(0.0), CallVerdict::Succeeded);
    assert_eq!(breaker.snapshot(at(0.0)).failure_rate, None);
    call(&mut breaker, at(0.0), CallVerdict::Succeeded);
    let snapshot = breaker.snapshot(at(0.0));
    assert_eq!((snapshot.failure_rate, snapshot.slow_call_rate), (Some(0.0), Some(0.0)));
}

#[test]
fn an_open_breaker_says_how_long_and_then_lets_probes_out() {
    let mut breaker = opened(at(1.0));
    assert_eq!(refused(&mut breaker, at(4.0)), (seconds(7.0), BreakerRefusal::Open));
    let probes: Vec<BreakerTicket> = (0..3).map(|_| admitted(&mut breaker, at(11.0))).collect();
    assert!(probes.iter().all(BreakerTicket::is_probe));
    assert_eq!(refused(&mut breaker, at(11.0)), (OPEN_FOR / 4, BreakerRefusal::Probing));
    assert_eq!(breaker.snapshot(at(11.0)).probes_out, 3);
}

#[test]
fn a_new_configuration_keeps_the_state() {
    let mut breaker = opened(at(1.0));
    breaker.configure(config(|it| it.open_for = seconds(60.0)), at(5.0));
    assert_eq!(refused(&mut breaker, at(11.0)), (seconds(50.0), BreakerRefusal::Open));
    breaker.configure(config(|it| it.open_for = seconds(2.0)), at(11.0));
    call(&mut breaker, at(11.0), CallVerdict::Succeeded);
    breaker.configure(config(|it| it.probes = 1), at(11.0));
    assert_eq!(call(&mut breaker, at(11.0), CallVerdict::Succeeded), BreakerTransition::Closed);
}

#[test]
fn another_window_starts_to_count_anew() {
    let mut breaker = breaker();
    call(&mut breaker, at(1.0), CallVerdict::Failed);
    breaker.configure(config(|it| it.minimum_calls = 20), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 1);
    breaker.configure(config(|it| it.window = WindowConfig::Calls(100)), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 0);
}
