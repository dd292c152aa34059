//! What people and participants say: forced states, pauses, shedding.

use super::*;

#[test]
fn forced_open_it_admits_nobody_until_somebody_says_otherwise() {
    let mut breaker = breaker();
    breaker.set_mode(BreakerMode::ForcedOpen, at(1.0));
    assert_eq!(refused(&mut breaker, at(100_000.0)), (FORCED_OPEN_DELAY, BreakerRefusal::Forced));
    assert_eq!(breaker.room(at(100_000.0)), BreakerCapacity { calls: 0, check_again_in: Some(FORCED_OPEN_DELAY) });
    assert_eq!((breaker.state(), breaker.mode()), (BreakerState::ForcedOpen, BreakerMode::ForcedOpen));
}

#[test]
fn left_to_itself_again_after_it_was_forced_open_it_probes() {
    let mut breaker = breaker();
    breaker.set_mode(BreakerMode::ForcedOpen, at(1.0));
    breaker.set_mode(BreakerMode::Automatic, at(2.0));
    assert_eq!((breaker.state(), breaker.room(at(2.0)).calls), (BreakerState::HalfOpen, 3));
    assert!(admitted(&mut breaker, at(2.0)).is_probe());
}

#[test]
fn forced_closed_it_admits_everyone_and_counts_nothing() {
    let mut breaker = opened(at(1.0));
    breaker.set_mode(BreakerMode::ForcedClosed, at(2.0));
    for _ in 0..100 {
        assert_eq!(call(&mut breaker, at(2.0), CallVerdict::Failed), BreakerTransition::Kept);
    }
    let snapshot = breaker.snapshot(at(2.0));
    assert_eq!((snapshot.state, snapshot.calls, snapshot.failures_in_a_row), (BreakerState::ForcedClosed, 0, 0));
    breaker.set_mode(BreakerMode::Automatic, at(3.0));
    assert_eq!((breaker.state(), breaker.snapshot(at(3.0)).opened_in_a_row), (BreakerState::Closed, 0));
}

#[test]
fn only_counting_it_says_once_per_window_that_it_would_have_opened() {
    let mut breaker = breaker();
    breaker.set_mode(BreakerMode::MetricsOnly, at(0.0));
    let mut said = |from: u32, to: u32| {
        let settled = (from..to).map(|second| call(&mut breaker, at(second.into()), CallVerdict::Failed));
        settled.filter(|settled| *settled == BreakerTransition::WouldOpen(TripReason::FailureRate)).count()
    };
    assert_eq!(said(0, 9), 0);
    assert_eq!(said(9, 39), 1);
    assert_eq!(said(39, 69), 1);
    assert_eq!(breaker.state(), BreakerState::MetricsOnly);
    assert!(breaker.snapshot(at(69.0)).failure_rate.is_some());
}

#[test]
fn only_counting_a_window_of_calls_is_quiet_for_as_many_calls() {
    let mut breaker = breaker_with(|it| (it.window, it.minimum_calls) = (WindowConfig::Calls(20), 10));
    breaker.set_mode(BreakerMode::MetricsOnly, at(0.0));
    let said: Vec<u32> =
        (1..=60).filter(|_| call(&mut breaker, at(1.0), CallVerdict::Failed) != BreakerTransition::Kept).collect();
    assert_eq!(said, [10, 30, 50]);
}

#[test]
fn a_mode_that_it_has_already_changes_nothing() {
    let mut breaker = opened(at(1.0));
    breaker.set_mode(BreakerMode::Automatic, at(2.0));
    assert_eq!(refused(&mut breaker, at(2.0)), (seconds(9.0), BreakerRefusal::Open));
}

#[test]
fn reset_it_is_as_new_but_for_its_totals() {
    let mut breaker = breaker_with(|it| it.ramp = seconds(60.0));
    let begun_before = admitted(&mut breaker, at(0.0));
    trip(&mut breaker, at(1.0));
    assert_eq!(settle(&mut breaker, begun_before, CallVerdict::Failed, at(1.0)), BreakerTransition::Stale);
    breaker.open_for_at_least(seconds(100.0), at(1.0));
    breaker.set_mode(BreakerMode::ForcedOpen, at(1.0));
    breaker.reset(at(2.0));
    let fresh = CircuitBreaker::new(config(|_| {}), at(2.0)).snapshot(at(2.0));
    assert_eq!(breaker.snapshot(at(2.0)), BreakerSnapshot { stale_results: 1, ..fresh });
    assert_eq!((breaker.mode(), breaker.room(at(2.0)).calls), (BreakerMode::Automatic, u32::MAX));
}

#[test]
fn a_pause_that_was_asked_for_is_kept_by_everyone() {
    let mut breaker = breaker();
    breaker.open_for_at_least(seconds(30.0), at(1.0));
    assert_eq!(refused(&mut breaker, at(2.0)), (seconds(29.0), BreakerRefusal::Asked));
    assert_eq!(breaker.room(at(2.0)), BreakerCapacity { calls: 0, check_again_in: Some(seconds(29.0)) });
    assert_eq!((breaker.state(), breaker.snapshot(at(2.0)).asked_for), (BreakerState::Closed, Some(seconds(29.0))));
    call(&mut breaker, at(31.0), CallVerdict::Succeeded);
}

#[test]
fn a_pause_is_never_made_shorter_nor_longer_than_an_hour() {
    let mut breaker = breaker();
    breaker.open_for_at_least(seconds(30.0), at(0.0));
    breaker.open_for_at_least(seconds(10.0), at(1.0));
    assert_eq!(refused(&mut breaker, at(1.0)).0, seconds(29.0));
    breaker.open_for_at_least(Duration::MAX, at(1.0));
    assert_eq!(refused(&mut breaker, at(1.0)).0, MAX_PAUSE);
}

#[test]
fn a_pause_outlasts_an_opening_and_an_opening_a_pause() {
    let mut breaker = opened(at(0.0));
    breaker.open_for_at_least(seconds(4.0), at(0.0));
    assert_eq!(refused(&mut breaker, at(1.0)), (seconds(9.0), BreakerRefusal::Open));
    breaker.open_for_at_least(seconds(60.0), at(1.0));
    assert_eq!(refused(&mut breaker, at(2.0)), (seconds(59.0), BreakerRefusal::Open));
    assert_eq!(refused(&mut breaker, at(20.0)), (seconds(41.0), BreakerRefusal::Asked));
    assert!(admitted(&mut breaker, at(61.0)).is_probe());
}

#[test]
fn what_waited_out_a_pause_comes_back_by_the_ramp() {
    let mut breaker = breaker_with(|it| it.ramp = seconds(60.0));
    breaker.open_for_at_least(seconds(30.0), at(0.0));
    let _out: Vec<_> = (0..3).map(|_| admitted(&mut breaker, at(30.0))).collect();
    assert_eq!(refused(&mut breaker, at(30.0)).1, BreakerRefusal::Ramp);
}

fn shedding() -> CircuitBreaker {
    breaker_with(|it| (it.shed_above, it.failure_rate) = (Some(2.0), 1.0))
}

/// How many of a hundred callers, each with a lot of its own, are shed.
fn shed(breaker: &mut CircuitBreaker, now: MonotonicTime) -> usize {
    let mut tickets = Vec::new();
    let mut shed = 0;
    for lot in 0..100 {
        match breaker.admit(now, HOLD, (u64::MAX / 100) * lot) {
            BreakerAdmission::Admitted(ticket) => tickets.push(ticket),
            BreakerAdmission::Refused { retry_after, why } => {
                assert_eq!((retry_after, why), (SHED_DELAY, BreakerRefusal::Shed));
                shed += 1;
            }
        }
    }
    tickets.into_iter().for_each(|ticket| _ = settle(breaker, ticket, CallVerdict::Neutral, now));
    shed
}

#[test]
fn a_participant_that_accepts_half_of_the_calls_or_more_is_not_spared() {
    let mut breaker = shedding();
    for _ in 0..200 {
        call(&mut breaker, at(1.0), CallVerdict::Succeeded);
        call(&mut breaker, at(1.0), CallVerdict::Failed);
    }
    assert_eq!(shed(&mut breaker, at(1.0)), 0);
}

#[test]
fn what_is_beyond_twice_the_accepted_calls_is_shed() {
    let mut breaker = shedding();
    for verdict in [CallVerdict::Succeeded, CallVerdict::Failed, CallVerdict::Failed, CallVerdict::Throttled] {
        for _ in 0..100 {
            let ticket = breaker.admit(at(1.0), HOLD, u64::MAX);
            let BreakerAdmission::Admitted(ticket) = ticket else { panic!("{ticket:?}") };
            settle(&mut breaker, ticket, verdict, at(1.0));
        }
    }
    // (400 - 2 * 100) / 401 of the first, and up to (500 - 2 * 100) / 501 of the last: all ask before any comes back.
    assert!((50..=60).contains(&shed(&mut breaker, at(1.0))));
    assert_eq!(breaker.room(at(1.0)).check_again_in, Some(SHED_DELAY));
    assert_eq!(shed(&mut breaker, at(200.0)), 0);
}

#[test]
fn however_badly_it_goes_a_tenth_of_the_calls_leaves() {
    let mut breaker = shedding();
    call(&mut breaker, at(1.0), CallVerdict::Succeeded);
    let mut left = 0;
    for lot in 0..1_000u64 {
        let random = lot.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if let BreakerAdmission::Admitted(ticket) = breaker.admit(at(1.0), HOLD, random) {
            left += 1;
            settle(&mut breaker, ticket, CallVerdict::Failed, at(1.0));
        }
    }
    assert!(left >= 100, "{left}");
}

#[test]
fn a_burst_of_first_calls_is_not_shed_because_none_has_come_back() {
    let mut breaker = shedding();
    assert_eq!(shed(&mut breaker, at(1.0)), 0);
}
