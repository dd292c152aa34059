//! Calls that were admitted and have not left when the state changes.

use super::*;

/// A call that is admitted while the breaker is closed and is sent later, as one that waits for a permit is.
#[track_caller]
fn recalled(breaker: &mut CircuitBreaker, admitted_in: BreakerGeneration, now: f64) -> Option<f64> {
    breaker.check_again(admitted_in, at(now)).map(|rest| rest.as_secs_f64())
}

#[test]
fn a_call_that_has_not_left_when_it_opens_is_called_back_until_it_is_closed_again() {
    let mut breaker = breaker();
    let late = admitted(&mut breaker, at(0.0)).generation();
    assert_eq!(recalled(&mut breaker, late, 0.5), None);
    trip(&mut breaker, at(1.0));
    assert_eq!(recalled(&mut breaker, late, 3.0), Some(8.0));
    let probe = admitted(&mut breaker, at(11.0));
    assert_eq!(recalled(&mut breaker, probe.generation(), 11.0), None, "a probe of now may leave");
    assert_eq!(recalled(&mut breaker, late, 11.0), Some(2.5), "beside the probes nobody may");
    settle(&mut breaker, probe, CallVerdict::Succeeded, at(11.0));
    for _ in 0..2 {
        call(&mut breaker, at(11.0), CallVerdict::Succeeded);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(recalled(&mut breaker, late, 11.0), None);
}

#[test]
fn beside_a_ramp_no_call_of_before_leaves() {
    let mut breaker = breaker_with(|settings| settings.ramp = seconds(10.0));
    let late = admitted(&mut breaker, at(0.0)).generation();
    trip(&mut breaker, at(1.0));
    for _ in 0..3 {
        call(&mut breaker, at(11.0), CallVerdict::Succeeded);
    }
    let climbing = admitted(&mut breaker, at(11.0)).generation();
    assert_eq!(recalled(&mut breaker, climbing, 11.0), None);
    assert_eq!(recalled(&mut breaker, late, 11.0), Some(2.5));
}

#[test]
fn who_forces_it_decides_for_those_that_have_not_left_too() {
    let mut breaker = breaker();
    let late = admitted(&mut breaker, at(0.0)).generation();
    breaker.set_mode(BreakerMode::ForcedOpen, at(1.0));
    assert_eq!(recalled(&mut breaker, late, 1.0), Some(FORCED_OPEN_DELAY.as_secs_f64()));
    breaker.set_mode(BreakerMode::ForcedClosed, at(2.0));
    assert_eq!(recalled(&mut breaker, late, 2.0), None);
}

#[test]
fn a_pause_that_the_participant_asks_for_holds_who_has_not_left() {
    let mut breaker = breaker();
    let late = admitted(&mut breaker, at(0.0)).generation();
    breaker.open_for_at_least(seconds(4.0), at(1.0));
    assert_eq!(recalled(&mut breaker, late, 2.0), Some(3.0));
    assert_eq!(recalled(&mut breaker, late, 5.0), None);
}
