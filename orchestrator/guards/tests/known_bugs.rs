//! Faults that breakers, bulkheads and budgets elsewhere have had, as what holds here. Each names where it was
//! reported.
//!
//! Not here, because there is nothing to fail: listeners that are called under the lock (Polly #2953; settling returns
//! what happened), a reservation that an idle clone holds (tower #689; there is no `poll_ready`), and tokio's semaphore
//! (#8020, #6450, #8371; the bulkhead's queue is its own). Rates are those of the crate that counts them.

#[path = "support/lots.rs"]
mod lots;

use lots::Lots;
use saga_guards::{
    MonotonicTime,
    breaker::{
        BreakerAdmission, BreakerConfig, BreakerMode, BreakerParameters, BreakerRefusal, BreakerState, BreakerTicket,
        BreakerTransition, CallVerdict, CircuitBreaker, TripReason,
    },
    budget::{self, RetryBudget},
    bulkhead::{CallBulkhead, WithdrawOutcome},
};
use std::{num::NonZeroU32, time::Duration};

const HOLD: Duration = Duration::from_secs(5);
const OPEN_FOR: Duration = Duration::from_secs(10);
/// The lot by which it is open for exactly the configured time.
const MIDDLE: u64 = 1 << 63;

fn at(seconds: f64) -> MonotonicTime {
    MonotonicTime::since_origin(Duration::from_secs_f64(seconds))
}

fn breaker(change: impl FnOnce(&mut BreakerParameters)) -> CircuitBreaker {
    let mut settings = BreakerParameters { open_for: OPEN_FOR, ramp: Duration::ZERO, ..BreakerParameters::default() };
    change(&mut settings);
    CircuitBreaker::new(BreakerConfig::new(settings).expect("valid settings"), at(0.0))
}

fn ask(breaker: &mut CircuitBreaker, now: MonotonicTime) -> Result<BreakerTicket, BreakerRefusal> {
    match breaker.admit(now, HOLD, MIDDLE) {
        BreakerAdmission::Admitted(ticket) => Ok(ticket),
        BreakerAdmission::Refused { retry_after, why } => {
            assert!(retry_after > Duration::ZERO, "{why:?}");
            Err(why)
        }
    }
}

#[track_caller]
fn admitted(breaker: &mut CircuitBreaker, now: MonotonicTime) -> BreakerTicket {
    ask(breaker, now).expect("it is admitted")
}

fn settle(
    breaker: &mut CircuitBreaker,
    ticket: BreakerTicket,
    verdict: CallVerdict,
    now: MonotonicTime,
) -> BreakerTransition {
    breaker.settle(ticket, verdict, Duration::from_millis(5), now, MIDDLE)
}

/// It opened at `now`, by ten failures.
fn opened(now: MonotonicTime, change: impl FnOnce(&mut BreakerParameters)) -> CircuitBreaker {
    let mut breaker = breaker(change);
    for _ in 0..10 {
        let ticket = admitted(&mut breaker, now);
        settle(&mut breaker, ticket, CallVerdict::Failed, now);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

/// resilience4j #544, #903, #935, #1389: a permitted call whose outcome is ignored kept its permit, and the breaker
/// stayed half-open.
#[test]
fn a_probe_whose_outcome_says_nothing_gives_its_slot_back() {
    let mut breaker = opened(at(0.0), |_| {});
    for _ in 0..1_000 {
        let probe = admitted(&mut breaker, at(10.0));
        assert_eq!(settle(&mut breaker, probe, CallVerdict::Neutral, at(10.0)), BreakerTransition::Kept);
    }
    assert_eq!(breaker.snapshot(at(10.0)).probes_out, 0);
    assert_eq!(breaker.room(at(10.0)).calls, 3);
}

/// Polly #1979, zio-openfeature #263; gobreaker and linkerd's probation have no limit: a probe that never ends rejects
/// everyone for ever.
#[test]
fn a_probe_that_vanished_keeps_its_slot_for_as_long_as_it_said_and_not_longer() {
    let mut breaker = opened(at(0.0), |_| {});
    let _lost = [(); 3].map(|()| admitted(&mut breaker, at(10.0)));
    assert_eq!(ask(&mut breaker, at(14.9)), Err(BreakerRefusal::Probing));
    let _next = admitted(&mut breaker, at(15.0));
    let snapshot = breaker.snapshot(at(15.0));
    assert_eq!((snapshot.probes_out, snapshot.probes_expired), (1, 3));
}

/// The same, where the caller gives a probe all the time in the world.
#[test]
fn a_probe_keeps_its_slot_no_longer_than_the_breaker_allows() {
    let mut breaker = opened(at(0.0), |it| (it.probes, it.probe_timeout) = (1, Duration::from_secs(2)));
    let _lost = breaker.admit(at(10.0), Duration::MAX, MIDDLE);
    assert_eq!(ask(&mut breaker, at(11.9)), Err(BreakerRefusal::Probing));
    assert!(ask(&mut breaker, at(12.0)).is_ok());
}

/// A late answer of a probe is no worse an answer: a participant that takes longer than its slots would never be found
/// well.
#[test]
fn a_probe_that_outlived_its_slot_is_still_evidence() {
    let mut breaker = opened(at(0.0), |_| {});
    let late = [(); 3].map(|()| admitted(&mut breaker, at(10.0)));
    let replacement = admitted(&mut breaker, at(16.0));
    let settled = late.map(|ticket| settle(&mut breaker, ticket, CallVerdict::Succeeded, at(30.0)));
    assert_eq!(settled, [BreakerTransition::Kept, BreakerTransition::Kept, BreakerTransition::Closed]);
    assert_eq!(settle(&mut breaker, replacement, CallVerdict::Failed, at(30.0)), BreakerTransition::Stale);
}

/// Polly #1991: an outcome that nobody handles closed the circuit, and a cancelled probe was one.
#[test]
fn a_neutral_probe_neither_closes_nor_opens_it() {
    let mut breaker = opened(at(0.0), |it| it.probes = 1);
    for _ in 0..10 {
        let probe = admitted(&mut breaker, at(10.0));
        settle(&mut breaker, probe, CallVerdict::Neutral, at(10.0));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}

/// resilience4j #1432, Polly #216 and #223, smallrye #319 and #323, tower #855, safe-client-gateway #3442: in an outage
/// everyone was a probe. A hundred workers hammer a participant that hangs, and some of them vanish.
#[test]
fn never_are_more_probes_out_than_configured() {
    let mut breaker = opened(at(0.0), |it| it.probes = 4);
    let mut lots = Lots(7);
    let mut out: Vec<(MonotonicTime, BreakerTicket)> = Vec::new();
    for millis in (0..600_000u32).step_by(25) {
        let now = at(f64::from(millis) / 1_000.0);
        // Those of earlier periods are no probes any more, and a slot that expired is somebody else's.
        while let Ok(ticket) = ask(&mut breaker, now) {
            assert!(ticket.is_probe());
            out.push((now, ticket));
            assert!(out.iter().filter(|(since, _)| now.since(*since) < HOLD).count() <= 4);
        }
        out.retain(|(since, _)| now.since(*since) < HOLD);
        if lots.draw().is_multiple_of(200) && !out.is_empty() {
            let (_, ticket) = out.swap_remove(0);
            settle(&mut breaker, ticket, CallVerdict::Failed, now);
            // It is open again, and whatever was out is stale.
            out.drain(..).for_each(|(_, ticket)| _ = settle(&mut breaker, ticket, CallVerdict::Succeeded, now));
        }
        assert_ne!(breaker.state(), BreakerState::Closed);
    }
}

/// Polly #217, ray #65068, nv-redfish #211: a call that was begun before it opened closed it with its success.
#[test]
fn a_call_begun_while_it_was_closed_neither_opens_nor_closes_it_later() {
    let mut breaker = breaker(|it| it.probes = 1);
    let early = [(); 3].map(|()| admitted(&mut breaker, at(0.0)));
    for _ in 0..10 {
        let ticket = admitted(&mut breaker, at(1.0));
        settle(&mut breaker, ticket, CallVerdict::Failed, at(1.0));
    }
    let [while_open, while_half_open, also] = early;
    assert_eq!(settle(&mut breaker, while_open, CallVerdict::Succeeded, at(2.0)), BreakerTransition::Stale);
    assert_eq!(breaker.state(), BreakerState::Open);
    let _probe = admitted(&mut breaker, at(11.0));
    assert_eq!(settle(&mut breaker, while_half_open, CallVerdict::Succeeded, at(11.0)), BreakerTransition::Stale);
    assert_eq!(settle(&mut breaker, also, CallVerdict::Failed, at(11.0)), BreakerTransition::Stale);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

/// resilience4j: `releasePermission` while half-open counted permits up without bound, whoever released.
#[test]
fn what_is_given_back_by_calls_of_an_earlier_state_makes_no_room_for_probes() {
    let mut breaker = breaker(|it| it.probes = 1);
    let early = [(); 20].map(|()| admitted(&mut breaker, at(0.0)));
    for _ in 0..10 {
        let ticket = admitted(&mut breaker, at(0.0));
        settle(&mut breaker, ticket, CallVerdict::Failed, at(0.0));
    }
    let _probe = admitted(&mut breaker, at(10.0));
    early.into_iter().for_each(|ticket| _ = settle(&mut breaker, ticket, CallVerdict::Neutral, at(10.0)));
    assert_eq!(ask(&mut breaker, at(10.0)), Err(BreakerRefusal::Probing));
    assert_eq!(breaker.room(at(10.0)).calls, 0);
}

/// gobreaker #122: results of another generation were dropped, and nobody could see how many.
#[test]
fn results_that_come_too_late_are_counted() {
    let mut breaker = breaker(|_| {});
    let early = [(); 5].map(|()| admitted(&mut breaker, at(0.0)));
    breaker.reset(at(1.0));
    let verdicts = [
        CallVerdict::Succeeded,
        CallVerdict::Failed,
        CallVerdict::Throttled,
        CallVerdict::Neutral,
        CallVerdict::Neutral,
    ];
    for (ticket, verdict) in early.into_iter().zip(verdicts) {
        assert_eq!(settle(&mut breaker, ticket, verdict, at(2.0)), BreakerTransition::Stale);
    }
    assert_eq!(breaker.snapshot(at(2.0)).stale_results, 3, "what says nothing is no result");
}

/// resilience4j #562, #646, #674: two threads that reached the threshold both reported the transition, or one of them
/// failed.
#[test]
fn however_many_calls_fail_at_once_it_opens_once() {
    let mut breaker = breaker(|_| {});
    let out: Vec<BreakerTicket> = (0..100).map(|_| admitted(&mut breaker, at(0.0))).collect();
    let settled: Vec<BreakerTransition> =
        out.into_iter().map(|ticket| settle(&mut breaker, ticket, CallVerdict::Failed, at(1.0))).collect();
    let opened =
        settled.iter().filter(|settled| **settled == BreakerTransition::Opened(TripReason::FailureRate)).count();
    let stale = settled.iter().filter(|settled| **settled == BreakerTransition::Stale).count();
    assert_eq!((opened, stale), (1, 90));
}

/// The same at the other end: probes that succeed at once close it once.
#[test]
fn however_many_probes_succeed_at_once_it_closes_once() {
    let mut breaker = opened(at(0.0), |it| (it.probes, it.successes) = (5, Some(5)));
    let probes = [(); 5].map(|()| admitted(&mut breaker, at(10.0)));
    let settled = probes.map(|probe| settle(&mut breaker, probe, CallVerdict::Succeeded, at(11.0)));
    assert_eq!(settled.iter().filter(|settled| **settled == BreakerTransition::Closed).count(), 1);
}

/// resilience4j #2038 and #2095: with an open time of next to nothing, open and half-open called each other until the
/// stack was full.
#[test]
fn an_open_time_of_nothing_costs_no_stack() {
    let nothing = Duration::from_nanos(1);
    let mut breaker = breaker(|it| (it.minimum_calls, it.open_for, it.max_open_for) = (1, nothing, nothing));
    for millis in 0..100_000u32 {
        let now = at(f64::from(millis) / 1_000.0);
        let ticket = admitted(&mut breaker, now);
        assert!(matches!(settle(&mut breaker, ticket, CallVerdict::Failed, now), BreakerTransition::Opened(_)));
    }
}

/// failsafe #70, failsafe-go #142, stoplight #364: whatever opened together probed together.
#[test]
fn breakers_that_opened_together_do_not_probe_together() {
    let mut lots = Lots(1);
    let mut ends: Vec<Duration> = (0..100)
        .map(|_| {
            let mut breaker = breaker(|it| it.minimum_calls = 1);
            let ticket = admitted(&mut breaker, at(0.0));
            breaker.settle(ticket, CallVerdict::Failed, Duration::ZERO, at(0.0), lots.draw());
            breaker.snapshot(at(0.0)).open_for.expect("it is open")
        })
        .collect();
    ends.sort_unstable();
    assert!(ends[0] >= OPEN_FOR * 4 / 5 && ends[99] <= OPEN_FOR * 6 / 5);
    assert!(ends[99] - ends[0] > OPEN_FOR / 5, "{ends:?}");
    let most_within_a_hundredth = ends.windows(12).filter(|some| some[11] - some[0] < OPEN_FOR / 100).count();
    assert_eq!(most_within_a_hundredth, 0, "{ends:?}");
}

/// Hystrix #1647: a participant that has just come back got everything at once and fell over again.
#[test]
fn after_closing_load_comes_back_by_doubling() {
    let mut breaker = opened(at(0.0), |it| it.ramp = Duration::from_secs(10));
    for _ in 0..3 {
        let probe = admitted(&mut breaker, at(10.0));
        settle(&mut breaker, probe, CallVerdict::Succeeded, at(10.0));
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    let mut widths = Vec::new();
    for round_trip in 0..5 {
        let now = at(10.0 + f64::from(round_trip) / 10.0);
        let room = breaker.room(now).calls;
        let out: Vec<BreakerTicket> = std::iter::from_fn(|| ask(&mut breaker, now).ok()).take(1_000).collect();
        assert_eq!(out.len(), room as usize);
        widths.push(room);
        out.into_iter().for_each(|ticket| _ = settle(&mut breaker, ticket, CallVerdict::Succeeded, now));
    }
    assert_eq!(widths, [3, 6, 12, 24, 48]);
}

/// hoglet #25, zio-openfeature #304, circuitbreaker (Python) #31: a wall clock that was set back kept it open for as
/// long. There is no wall clock here; what is left is a reader that read the clock a moment before another.
#[test]
fn an_older_reading_is_told_no_longer_a_time_than_it_is_open() {
    let mut breaker = opened(at(1_000.0), |_| {});
    for older in [0.0, 500.0, 999.9] {
        let BreakerAdmission::Refused { retry_after, why } = breaker.admit(at(older), HOLD, MIDDLE) else {
            panic!("it is open")
        };
        assert_eq!((retry_after, why), (OPEN_FOR, BreakerRefusal::Open));
        assert_eq!(breaker.room(at(older)).check_again_in, Some(OPEN_FOR));
    }
}

/// resilience4j #332, failsafe #365, failsafe-go before 0.9.2, conjure #1147, tower-resilience #365, #367, #382: a call
/// that was cancelled kept its permit. Here of the ramp, the probes and the bulkhead alike.
#[test]
fn a_call_that_was_given_up_leaves_no_permit_behind() {
    let mut breaker = breaker(|it| it.ramp = Duration::from_secs(10));
    breaker.set_mode(BreakerMode::ForcedOpen, at(0.0));
    breaker.set_mode(BreakerMode::Automatic, at(0.0));
    for _ in 0..3 {
        let probe = admitted(&mut breaker, at(0.0));
        settle(&mut breaker, probe, CallVerdict::Succeeded, at(0.0));
    }
    let before = breaker.room(at(1.0));
    for _ in 0..1_000 {
        let ticket = admitted(&mut breaker, at(1.0));
        settle(&mut breaker, ticket, CallVerdict::Neutral, at(1.0));
    }
    assert_eq!(breaker.room(at(1.0)), before);
}

/// tower-resilience #363: a waiter that was woken went on without taking a place, so more calls were out than allowed.
#[test]
fn a_waiter_that_is_woken_has_its_place_already() {
    let mut bulkhead = CallBulkhead::new(NonZeroU32::MIN, 8);
    assert!(bulkhead.try_acquire());
    let first = bulkhead.enqueue(saga_guards::PriorityLane::Do, "first").expect("there is room");
    assert_eq!(bulkhead.leave(), Some("first"));
    assert!(!bulkhead.try_acquire(), "the place is the waiter's");
    assert_eq!(bulkhead.withdraw(first), WithdrawOutcome::HasPermit);
    assert_eq!((bulkhead.leave(), bulkhead.in_flight()), (None, 0));
}

/// tower's budget looked first and counted afterwards, so askers at once overshot it.
#[test]
fn whoever_may_try_again_has_been_counted_already() {
    let mut budget = RetryBudget::new(budget::RetryBudgetConfig { share: 0.0, reserve_per_second: 1 }, at(0.0));
    let taken = (0..1_000).filter(|_| budget.take(at(0.0)).is_ok()).count();
    assert_eq!((taken, budget.snapshot(at(0.0)).balance), (10, 0));
}

/// go-zero #5011: requests that were counted when they came back hid a participant that hangs from what sheds its load.
#[test]
fn calls_that_hang_count_before_they_come_back() {
    let mut breaker = breaker(|it| (it.shed_above, it.failure_rate) = (Some(2.0), 1.0));
    let ticket = admitted(&mut breaker, at(0.0));
    settle(&mut breaker, ticket, CallVerdict::Succeeded, at(0.0));
    for _ in 0..10 {
        let ticket = admitted(&mut breaker, at(0.0));
        settle(&mut breaker, ticket, CallVerdict::Failed, at(0.0));
    }
    let mut lots = Lots(3);
    let mut left_of_a_hundred = || {
        let admissions = (0..100).map(|_| breaker.admit(at(1.0), HOLD, lots.draw()));
        admissions.filter(|admission| matches!(admission, BreakerAdmission::Admitted(_))).count()
    };
    let (first, then) = (left_of_a_hundred(), left_of_a_hundred());
    assert!(first <= 30 && then <= 20, "{first}, {then}: none of them came back");
}
