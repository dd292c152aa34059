//! The breaker, with many concurrent calls that ask it and report to it.

use super::*;
use crate::{
    call_signal::{CallSignal, LoadSignal},
    guard_events::{GuardEvent, GuardEventKind},
    permit::CallPermit,
    settings::ManualOverride,
};
use saga_base::sync::simulated::pass;
use saga_guards::breaker::{BreakerState, CallVerdict};
use std::sync::Mutex;
use tokio::sync::broadcast::Receiver;

const SUCCEEDED: CallSignal =
    CallSignal { verdict: CallVerdict::Succeeded, load_signal: LoadSignal::None, retry_after: None };
const PROBES: u32 = 2;

fn admitted(gate: &Arc<CallGate>) -> CallPermit {
    CallPermit::request(gate, FIRST, WELL).expect("it is admitted")
}

fn half_open() -> Arc<CallGate> {
    let gate = gate(places(8));
    for _ in 0..2 {
        admitted(&gate).settle(CallSignal::TIMEOUT);
    }
    assert_eq!(gate.view().breaker.state, BreakerState::Open);
    pass(Duration::from_secs(60));
    gate
}

/// Each settles one of `permits`, all at once.
fn settle_together(permits: Vec<CallPermit>, said: CallSignal) {
    let many = permits.len();
    let permits = Arc::new(Mutex::new(permits));
    together(many, move |_| {
        let permit = permits.lock().expect("nobody panics").pop().expect("one for each");
        permit.settle(said);
    });
}

fn count(mut changes: Receiver<Arc<GuardEvent>>, wanted: impl Fn(&GuardEventKind) -> bool) -> usize {
    std::iter::from_fn(|| changes.try_recv().ok()).filter(|change| wanted(&change.what)).count()
}

/// resilience4j #1432, Polly #216 and #223, smallrye #319 and #323: asked by many threads, more probes were out than
/// configured. And resilience4j #544, Polly #1979: those that were given up kept their slots.
#[test]
fn never_are_more_probes_out_than_configured_and_a_dropped_one_makes_room() {
    under_all_schedules(|| {
        let (gate, out) = (half_open(), ConcurrencyCounter::default());
        let shared = Arc::clone(&gate);
        together(4, move |number| {
            for _ in 0..2 {
                if let Ok(permit) = CallPermit::request(&shared, FIRST, WELL) {
                    out.one_of_at_most(PROBES);
                    if number % 2 == 0 { drop(permit) } else { permit.settle(CallSignal::NEUTRAL) }
                }
            }
        });
        assert_eq!(gate.view().breaker.state, BreakerState::HalfOpen);
        everything_is_back(&gate);
        let both = [admitted(&gate), admitted(&gate)];
        assert!(CallPermit::request(&gate, FIRST, WELL).is_err());
        drop(both);
    });
}

/// resilience4j #562, #646, #674: two threads reached the threshold, and both reported the transition.
#[test]
fn calls_that_fail_at_once_open_it_once() {
    under_all_schedules(|| {
        let gate = gate(places(8));
        let changes = gate.changes.follow();
        settle_together((0..5).map(|_| admitted(&gate)).collect(), CallSignal::TIMEOUT);
        assert_eq!(count(changes, |what| matches!(what, GuardEventKind::BreakerOpened { .. })), 1);
        assert_eq!(gate.view().breaker.state, BreakerState::Open);
        assert_eq!(gate.view().breaker.stale_results, 3);
        everything_is_back(&gate);
    });
}

#[test]
fn those_who_ask_at_once_begin_its_probing_once_and_probes_that_succeed_at_once_close_it_once() {
    under_all_schedules(|| {
        let gate = half_open();
        let (begun, closed) = (gate.changes.follow(), gate.changes.follow());
        let (shared, out) = (Arc::clone(&gate), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&out);
        together(4, move |_| {
            let admitted = CallPermit::request(&shared, FIRST, WELL);
            kept.lock().expect("nobody panics").extend(admitted);
        });
        let probes = std::mem::take(&mut *out.lock().expect("nobody panics"));
        assert_eq!(probes.len(), 2);
        settle_together(probes, SUCCEEDED);
        assert_eq!(count(begun, |what| matches!(what, GuardEventKind::BreakerHalfOpen)), 1);
        assert_eq!(count(closed, |what| matches!(what, GuardEventKind::BreakerClosed)), 1);
        everything_is_back(&gate);
    });
}

/// Polly #217, ray #65068: a late result of an earlier state decided the present one.
#[test]
fn results_of_calls_from_before_a_reset_decide_nothing_after_it() {
    under_all_schedules(|| {
        let gate = gate(places(8));
        let permits: Vec<_> = (0..3).map(|_| admitted(&gate)).collect();
        let shared = Arc::clone(&gate);
        let by_hand = thread::spawn(move || shared.apply(ManualOverride { resets: 1, ..ManualOverride::default() }));
        settle_together(permits, CallSignal::TIMEOUT);
        by_hand.join().expect("it does not panic");
        assert_eq!(gate.view().breaker.state, BreakerState::Closed);
        everything_is_back(&gate);
    });
}
