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

fn at(seconds: f64) -> Monotonic {
    Monotonic::since_origin(Duration::from_secs_f64(seconds))
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Half of ten calls within thirty seconds open it for ten; three probes close it, without a ramp.
fn config(change: impl FnOnce(&mut Settings)) -> Config {
    let mut settings = Settings { ramp: Duration::ZERO, ..Settings::default() };
    change(&mut settings);
    Config::new(settings).expect("the test's settings are valid")
}

fn breaker_with(change: impl FnOnce(&mut Settings)) -> Breaker {
    Breaker::new(config(change), at(0.0))
}

fn breaker() -> Breaker {
    breaker_with(|_| {})
}

#[track_caller]
fn admitted(breaker: &mut Breaker, now: Monotonic) -> Ticket {
    match breaker.admit(now, HOLD, MIDDLE) {
        Admission::Admitted(ticket) => ticket,
        Admission::Refused { retry_after, why } => panic!("refused for {retry_after:?}, {why:?}"),
    }
}

#[track_caller]
fn refused(breaker: &mut Breaker, now: Monotonic) -> (Duration, Refusal) {
    match breaker.admit(now, HOLD, MIDDLE) {
        Admission::Admitted(ticket) => panic!("admitted: {ticket:?}"),
        Admission::Refused { retry_after, why } => (retry_after, why),
    }
}

fn settle(breaker: &mut Breaker, ticket: Ticket, verdict: Verdict, now: Monotonic) -> Settled {
    breaker.settle(ticket, verdict, Duration::ZERO, now, MIDDLE)
}

#[track_caller]
fn call(breaker: &mut Breaker, now: Monotonic, verdict: Verdict) -> Settled {
    let ticket = admitted(breaker, now);
    settle(breaker, ticket, verdict, now)
}

/// A call that succeeds after `took`.
#[track_caller]
fn call_taking(breaker: &mut Breaker, now: Monotonic, took: Duration) -> Settled {
    let ticket = admitted(breaker, now);
    breaker.settle(ticket, Verdict::Succeeded, took, now, MIDDLE)
}

/// Makes it open at `now`, by ten failures.
#[track_caller]
fn trip(breaker: &mut Breaker, now: Monotonic) {
    let last = (0..10).map(|_| call(breaker, now, Verdict::Failed)).last();
    assert_eq!(last, Some(Settled::Opened(Trip::FailureRate)));
}

fn opened(now: Monotonic) -> Breaker {
    let mut breaker = breaker();
    trip(&mut breaker, now);
    breaker
}

#[test]
fn it_opens_when_half_of_ten_calls_failed_and_not_below_ten() {
    let mut breaker = breaker();
    for _ in 0..5 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Kept);
    }
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Succeeded), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Succeeded), Settled::Opened(Trip::FailureRate));
    assert_eq!(refused(&mut breaker, at(1.0)), (OPEN_FOR, Refusal::Open));
}

#[test]
fn what_opened_it_is_kept_until_it_closes() {
    let mut breaker = breaker();
    for verdict in [Verdict::Failed, Verdict::Succeeded].into_iter().cycle().take(10) {
        let _ = call(&mut breaker, at(1.0), verdict);
    }
    let tripped = Some(Tripped { by: Trip::FailureRate, calls: 10, failures: 5, slow: 0, failures_in_a_row: 0 });
    let shown = breaker.snapshot(at(2.0));
    assert_eq!((shown.calls, shown.tripped), (0, tripped));
    assert_eq!(call(&mut breaker, at(11.0), Verdict::Failed), Settled::Opened(Trip::Probe));
    assert_eq!(breaker.snapshot(at(12.0)).tripped, tripped, "a probe says that it is still so, and not why it was");
    for _ in 0..3 {
        let _ = call(&mut breaker, at(60.0), Verdict::Succeeded);
    }
    assert_eq!(breaker.snapshot(at(60.0)).tripped, None);
}

#[test]
fn as_many_late_successes_as_probes_let_it_ask_at_once() {
    let mut breaker = opened(at(1.0));
    assert!(!breaker.late_success(at(2.0)));
    assert!(!breaker.late_success(at(2.0)));
    assert_eq!(refused(&mut breaker, at(2.0)).1, Refusal::Open);
    assert!(breaker.late_success(at(2.0)));
    assert!(admitted(&mut breaker, at(2.0)).is_probe(), "what closes it is that it is in time again");
    assert!(!breaker.late_success(at(2.0)), "it asks already");
}

#[test]
fn a_probe_that_stands_behind_a_backlog_is_followed_by_another_soon() {
    let mut breaker = opened(at(1.0));
    let probe = admitted(&mut breaker, at(11.0));
    assert!(!breaker.late_success(at(12.0)), "it is being asked");
    let failed = breaker.settle(probe, Verdict::Failed, Duration::from_secs(3), at(14.0), 0);
    assert_eq!(failed, Settled::Opened(Trip::Probe));
    let (rest, why) = refused(&mut breaker, at(14.0));
    assert_eq!(
        (rest, why),
        (Duration::from_millis(2_500), Refusal::Open),
        "a quarter of its time, and no longer each time"
    );
    assert_eq!(breaker.snapshot(at(14.0)).opened_in_a_row, 1);
    assert_eq!(call(&mut breaker, at(17.0), Verdict::Failed), Settled::Opened(Trip::Probe));
    assert!(refused(&mut breaker, at(17.0)).0 > Duration::from_secs(10), "nothing was worked off since");
}

#[test]
fn late_successes_of_another_time_and_those_of_a_closed_or_forced_one_change_nothing() {
    let mut breaker = opened(at(1.0));
    (0..2).for_each(|_| assert!(!breaker.late_success(at(2.0))));
    assert_eq!(call(&mut breaker, at(11.0), Verdict::Failed), Settled::Opened(Trip::Probe));
    assert!(!breaker.late_success(at(12.0)));
    breaker.set_mode(Mode::ForcedOpen, at(12.0));
    (0..10).for_each(|_| assert!(!breaker.late_success(at(13.0))));
    assert_eq!(refused(&mut breaker, at(13.0)).1, Refusal::Forced);
    let mut closed = self::breaker();
    (0..10).for_each(|_| assert!(!closed.late_success(at(1.0))));
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let mut breaker = breaker();
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(32.0), Verdict::Failed), Settled::Kept);
    assert_eq!(breaker.snapshot(at(32.0)).calls, 1);
}

#[test]
fn a_window_of_calls_counts_the_last_of_them_however_old() {
    let mut breaker = breaker_with(|it| (it.window, it.minimum_calls) = (Window::Calls(4), 4));
    for (second, verdict) in [(0.0, Verdict::Failed), (3_600.0, Verdict::Succeeded), (7_200.0, Verdict::Succeeded)] {
        assert_eq!(call(&mut breaker, at(second), verdict), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(9_000.0), Verdict::Failed), Settled::Opened(Trip::FailureRate));
}

#[test]
fn a_window_of_calls_forgets_the_call_that_the_newest_replaces() {
    let mut breaker = breaker_with(|it| (it.window, it.minimum_calls) = (Window::Calls(4), 4));
    for verdict in [Verdict::Failed, Verdict::Succeeded, Verdict::Succeeded, Verdict::Succeeded, Verdict::Failed] {
        assert_eq!(call(&mut breaker, at(1.0), verdict), Settled::Kept);
    }
    let snapshot = breaker.snapshot(at(1.0));
    assert_eq!((snapshot.calls, snapshot.failures, snapshot.failure_rate), (4, 1, Some(0.25)));
}

#[test]
fn failures_in_a_row_open_it_before_there_are_calls_enough_for_a_rate() {
    let mut breaker = breaker_with(|it| it.consecutive_failures = NonZeroU32::new(3));
    for verdict in [Verdict::Failed, Verdict::Failed, Verdict::Succeeded, Verdict::Failed, Verdict::Failed] {
        assert_eq!(call(&mut breaker, at(1.0), verdict), Settled::Kept);
    }
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Failed), Settled::Opened(Trip::ConsecutiveFailures));
}

#[test]
fn what_asks_for_fewer_calls_counts_in_the_rate_and_never_in_a_row() {
    let mut breaker = breaker_with(|it| it.consecutive_failures = NonZeroU32::new(2));
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), Verdict::Throttled), Settled::Kept);
    }
    assert_eq!(breaker.snapshot(at(1.0)).failures_in_a_row, 0);
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Throttled), Settled::Opened(Trip::FailureRate));
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let slow = |it: &mut Settings| (it.slow_call, it.slow_call_rate) = (Some(seconds(2.0)), 0.5);
    let mut breaker = breaker_with(slow);
    for _ in 0..5 {
        assert_eq!(call_taking(&mut breaker, at(1.0), seconds(2.0)), Settled::Kept);
    }
    for _ in 0..4 {
        assert_eq!(call_taking(&mut breaker, at(1.0), seconds(2.001)), Settled::Kept);
    }
    assert_eq!(breaker.snapshot(at(1.0)).slow, 4);
    assert_eq!(call_taking(&mut breaker, at(1.0), seconds(9.0)), Settled::Opened(Trip::SlowCallRate));
}

#[test]
fn neutral_calls_say_nothing() {
    let mut breaker = breaker();
    for _ in 0..9 {
        call(&mut breaker, at(1.0), Verdict::Failed);
    }
    assert_eq!(call(&mut breaker, at(1.0), Verdict::Neutral), Settled::Kept);
    assert_eq!(breaker.state(), State::Closed);
    let snapshot = breaker.snapshot(at(1.0));
    assert_eq!((snapshot.calls, snapshot.failures_in_a_row), (9, 9));
}

#[test]
fn rates_are_shown_from_the_minimum_of_calls_on() {
    let mut breaker = breaker_with(|it| it.minimum_calls = 2);
    call(&mut breaker, at(0.0), Verdict::Succeeded);
    assert_eq!(breaker.snapshot(at(0.0)).failure_rate, None);
    call(&mut breaker, at(0.0), Verdict::Succeeded);
    let snapshot = breaker.snapshot(at(0.0));
    assert_eq!((snapshot.failure_rate, snapshot.slow_call_rate), (Some(0.0), Some(0.0)));
}

#[test]
fn an_open_breaker_says_how_long_and_then_lets_probes_out() {
    let mut breaker = opened(at(1.0));
    assert_eq!(refused(&mut breaker, at(4.0)), (seconds(7.0), Refusal::Open));
    let probes: Vec<Ticket> = (0..3).map(|_| admitted(&mut breaker, at(11.0))).collect();
    assert!(probes.iter().all(Ticket::is_probe));
    assert_eq!(refused(&mut breaker, at(11.0)), (OPEN_FOR / 4, Refusal::Probing));
    assert_eq!(breaker.snapshot(at(11.0)).probes_out, 3);
}

#[test]
fn a_new_configuration_keeps_the_state() {
    let mut breaker = opened(at(1.0));
    breaker.configure(config(|it| it.open_for = seconds(60.0)), at(5.0));
    assert_eq!(refused(&mut breaker, at(11.0)), (seconds(50.0), Refusal::Open));
    breaker.configure(config(|it| it.open_for = seconds(2.0)), at(11.0));
    call(&mut breaker, at(11.0), Verdict::Succeeded);
    breaker.configure(config(|it| it.probes = 1), at(11.0));
    assert_eq!(call(&mut breaker, at(11.0), Verdict::Succeeded), Settled::Closed);
}

#[test]
fn another_window_starts_to_count_anew() {
    let mut breaker = breaker();
    call(&mut breaker, at(1.0), Verdict::Failed);
    breaker.configure(config(|it| it.minimum_calls = 20), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 1);
    breaker.configure(config(|it| it.window = Window::Calls(100)), at(1.0));
    assert_eq!(breaker.snapshot(at(1.0)).calls, 0);
}
