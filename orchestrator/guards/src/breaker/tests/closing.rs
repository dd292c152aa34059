//! From open to closed: probes, the time between, the ramp.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_closes_after_as_many_successes_as_are_configured() {
    let mut breaker = breaker_with(|it| (it.probes, it.successes) = (1, Some(2)));
    trip(&mut breaker, at(1.0));
    let probe = admitted(&mut breaker, at(11.0));
    assert_eq!(refused(&mut breaker, at(11.0)).1, BreakerRefusal::Probing);
    assert_eq!(settle(&mut breaker, probe, CallVerdict::Succeeded, at(12.0)), BreakerTransition::Kept);
    assert_eq!(call(&mut breaker, at(12.0), CallVerdict::Succeeded), BreakerTransition::Closed);
    assert_eq!(breaker.snapshot(at(12.0)).calls, 0);
}

#[test]
fn a_probe_that_succeeded_is_not_replaced_by_another() {
    let mut breaker = opened(at(1.0));
    call(&mut breaker, at(11.0), CallVerdict::Succeeded);
    let _others = [(); 2].map(|()| admitted(&mut breaker, at(11.0)));
    assert_eq!(refused(&mut breaker, at(11.0)).1, BreakerRefusal::Probing);
}

#[test]
fn any_failed_probe_opens_it_again() {
    for verdict in [CallVerdict::Failed, CallVerdict::Throttled] {
        let mut breaker = opened(at(1.0));
        assert_eq!(call(&mut breaker, at(11.0), CallVerdict::Succeeded), BreakerTransition::Kept);
        assert_eq!(call(&mut breaker, at(11.0), verdict), BreakerTransition::Opened(TripReason::Probe));
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}

#[test]
fn a_slow_probe_is_a_failed_probe() {
    let mut breaker = breaker_with(|it| it.slow_call = Some(SECOND));
    trip(&mut breaker, at(1.0));
    assert_eq!(call_taking(&mut breaker, at(11.0), SECOND), BreakerTransition::Kept);
    assert_eq!(call_taking(&mut breaker, at(11.0), SECOND * 2), BreakerTransition::Opened(TripReason::Probe));
}

#[test]
fn each_opening_lasts_twice_as_long_as_the_one_before_until_it_closed() {
    let mut breaker = breaker_with(|it| it.max_open_for = seconds(35.0));
    let mut now = 0.0;
    trip(&mut breaker, at(now));
    for span in [10.0, 20.0, 35.0, 35.0] {
        assert_eq!(breaker.snapshot(at(now)).open_for, Some(seconds(span)));
        now += span;
        assert_eq!(call(&mut breaker, at(now), CallVerdict::Failed), BreakerTransition::Opened(TripReason::Probe));
    }
    assert_eq!(breaker.snapshot(at(now)).opened_in_a_row, 5);
    now += 35.0;
    (0..3).for_each(|_| _ = call(&mut breaker, at(now), CallVerdict::Succeeded));
    trip(&mut breaker, at(now));
    let snapshot = breaker.snapshot(at(now));
    assert_eq!((snapshot.open_for, snapshot.opened_in_a_row), (Some(OPEN_FOR), 1));
}

#[test]
fn the_time_it_is_open_is_drawn_once_within_a_fifth() {
    let open_for = |random| {
        let mut breaker = breaker_with(|it| it.minimum_calls = 1);
        let ticket = admitted(&mut breaker, at(0.0));
        breaker.settle(ticket, CallVerdict::Failed, Duration::ZERO, at(0.0), random);
        assert_eq!(refused(&mut breaker, at(0.0)), refused(&mut breaker, at(0.0)));
        refused(&mut breaker, at(0.0)).0.as_secs_f64()
    };
    assert_eq!(open_for(0), 8.0);
    assert!((11.999..12.0).contains(&open_for(u64::MAX)));
}

#[test]
fn a_ramp_admits_one_more_per_success_until_its_time_is_over() {
    let mut breaker = ramping(at(0.0));
    let first: Vec<_> = (0..3).map(|_| admitted(&mut breaker, at(0.0))).collect();
    assert_eq!(refused(&mut breaker, at(0.0)), (OPEN_FOR / 4, BreakerRefusal::Ramp));
    first.into_iter().for_each(|ticket| _ = settle(&mut breaker, ticket, CallVerdict::Succeeded, at(1.0)));
    assert_eq!(breaker.snapshot(at(1.0)).ramp, Some(6));
    let _second: Vec<_> = (0..6).map(|_| admitted(&mut breaker, at(1.0))).collect();
    assert_eq!(refused(&mut breaker, at(2.0)).1, BreakerRefusal::Ramp);
    // The sixty seconds of the ramp, and those of the slots.
    let _free: Vec<_> = (0..1_000).map(|_| admitted(&mut breaker, at(60.0))).collect();
    assert_eq!(breaker.snapshot(at(60.0)).ramp, None);
}

#[test]
fn a_ramp_is_over_before_its_time_when_enough_went_well() {
    let mut breaker = ramping(at(0.0));
    for _ in 0..MAX_RAMP {
        call(&mut breaker, at(1.0), CallVerdict::Succeeded);
    }
    assert_eq!(breaker.snapshot(at(1.0)).ramp, None);
    let _all: Vec<_> = (0..1_000).map(|_| admitted(&mut breaker, at(1.0))).collect();
}

#[test]
fn failures_do_not_widen_a_ramp_and_open_it_as_ever() {
    let mut breaker = ramping(at(0.0));
    for _ in 0..9 {
        assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Failed), BreakerTransition::Kept);
    }
    assert_eq!(breaker.snapshot(at(1.0)).ramp, Some(3));
    assert_eq!(call(&mut breaker, at(1.0), CallVerdict::Failed), BreakerTransition::Opened(TripReason::FailureRate));
}

/// It closed at `now`, with a ramp of a minute.
fn ramping(now: MonotonicTime) -> CircuitBreaker {
    let mut breaker = breaker_with(|it| it.ramp = seconds(60.0));
    breaker.set_mode(BreakerMode::ForcedOpen, now);
    breaker.set_mode(BreakerMode::Automatic, now);
    let settled = [(); 3].map(|()| call(&mut breaker, now, CallVerdict::Succeeded));
    assert_eq!(settled[2], BreakerTransition::Closed);
    breaker
}

#[test]
fn room_is_what_it_would_admit_and_looking_changes_nothing() {
    let mut breaker = breaker_with(|it| it.ramp = seconds(60.0));
    assert_eq!(breaker.room(at(0.0)), BreakerCapacity { calls: u32::MAX, check_again_in: None });
    trip(&mut breaker, at(1.0));
    assert_eq!(breaker.room(at(4.0)), BreakerCapacity { calls: 0, check_again_in: Some(seconds(7.0)) });
    assert_eq!(breaker.room(at(11.0)), BreakerCapacity { calls: 3, check_again_in: None });
    assert_eq!(breaker.state(), BreakerState::Open);
    let probe = admitted(&mut breaker, at(11.0));
    assert_eq!(breaker.room(at(12.0)), BreakerCapacity { calls: 2, check_again_in: Some(seconds(4.0)) });
    settle(&mut breaker, probe, CallVerdict::Succeeded, at(12.0));
    (0..2).for_each(|_| _ = call(&mut breaker, at(12.0), CallVerdict::Succeeded));
    let _on_the_ramp = admitted(&mut breaker, at(12.0));
    assert_eq!(breaker.room(at(12.0)), BreakerCapacity { calls: 2, check_again_in: Some(HOLD) });
    assert_eq!(breaker.room(at(71.9)).calls, 3);
    assert_eq!(breaker.room(at(72.0)), BreakerCapacity { calls: u32::MAX, check_again_in: None });
}
