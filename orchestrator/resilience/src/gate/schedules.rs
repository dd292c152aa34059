//! The gate as it is, under many schedules: no waiting command is forgotten, no permit is lost, and never more calls
//! are in flight than may be.

mod capacity;
mod probes;
mod wait_queue;

use super::{super::settings::GateSettings, AttemptKind, CallArrival, CallGate, PermitRequest};
use crate::guard_events::GuardEventBus;
use saga_base::sync::simulated::under_all_schedules;
use saga_guards::{PriorityLane, breaker};
use shuttle::thread;
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Notify;

const FIRST: PermitRequest =
    PermitRequest { lane: PriorityLane::Do, attempt: AttemptKind::First, arrival: CallArrival::New };
const WELL: Result<(), Duration> = Ok(());

/// Two failures open it, two probes are out at once, and their successes close it.
fn places(limit: u32) -> GateSettings {
    let breaker = breaker::BreakerParameters { minimum_calls: 2, probes: 2, ..breaker::BreakerParameters::default() };
    let breaker = breaker::BreakerConfig::new(breaker).expect("sensible");
    GateSettings { breaker, ..GateSettings::of_limit(NonZeroU32::new(limit).expect("not zero")) }
}

fn gate(settings: GateSettings) -> Arc<CallGate> {
    Arc::new(CallGate::new("payments", settings, Arc::new(Notify::new()), GuardEventBus::default()))
}

/// Lets so many do it at once, each under its number, and waits for all.
fn together(many: usize, act: impl Fn(usize) + Clone + Send + Sync + 'static) {
    let threads = (0..many).map(|number| {
        let act = act.clone();
        thread::spawn(move || act(number))
    });
    let threads: Vec<_> = threads.collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
}

/// No call is in flight, no call waits, and all permits are free.
#[track_caller]
fn everything_is_back(gate: &CallGate) {
    let view = gate.view();
    assert_eq!((view.permits, view.waiting, view.rate_limit_waiting, view.queued), (0, 0, 0, 0));
    assert_eq!(view.breaker.probes_out, 0);
    let (now, inner) = (gate.now(), gate.lock_state());
    assert_eq!((inner.capacity.bulkhead.in_flight(), inner.queues.notified(now)), (0, 0));
}

/// How many are out at once.
#[derive(Clone, Debug, Default)]
struct ConcurrencyCounter(Arc<AtomicU32>);

impl ConcurrencyCounter {
    #[track_caller]
    fn one_of_at_most(&self, most: u32) {
        let out = self.0.fetch_add(1, SeqCst) + 1;
        assert!(out <= most, "{out} are out, {most} may be");
        thread::yield_now();
        self.0.fetch_sub(1, SeqCst);
    }
}
