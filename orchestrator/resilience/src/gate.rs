//! All guards of one participant, under one lock that is held for some instructions at a time and never across an await.
//!
//! ```text
//! decision:  health → line → room in memory → breaker → retry budget                → permit, or a place in the line
//! leaving:   rate limit (a short wait) → bulkhead (a short queue) → the call        → breaker and adaptive limit are told
//! ```
//!
//! A gate outlives every change of its settings. Nothing here allocates unless somebody has to wait.

mod capacity;
#[cfg(test)]
mod schedules;
mod state;
mod view;
mod wait_queue;

pub(super) use capacity::AdmittedCall;
pub use capacity::BulkheadSlot;
pub use state::GuardRefusal;
pub(crate) use view::GateView;
pub use wait_queue::NotifiedCall;
pub use wait_queue::WaitQueueHandle;
pub use wait_queue::{SagaWaiter, WaitRequest, WakeSignal, lane};

use super::{
    metrics::{CallResultKind, GuardMetrics},
    permit::{CallPermit, CallSignal},
    settings::{GateSettings, ManualOverride},
};
use crate::{
    failed_call::FailedCall,
    guard_events::{GuardEventBus, GuardEventKind},
};
use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime, PriorityLane,
    breaker::{BreakerState, BreakerTicket, BreakerTransition, CallVerdict, TripReason},
};
use state::{BreakerOpening, GateState};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use tracing::{info, warn};

/// All guards of one participant.
#[derive(Debug)]
pub(crate) struct CallGate {
    name: Arc<str>,
    started: Instant,
    state: UnpoisonedMutex<GateState>,
    /// Rung when somebody who waits may be able to go on.
    wakeup: Arc<Notify>,
    meters: GuardMetrics,
    changes: GuardEventBus,
}

/// Who asks, while a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct PermitRequest {
    /// Undos go first.
    pub lane: PriorityLane,
    /// Which attempt it is to the retry budget.
    pub attempt: AttemptKind,
    /// Who is before it.
    pub arrival: CallArrival,
}

/// How one who asks has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallArrival {
    /// Called out of the line: nobody is before it.
    Notified,
    /// By itself: behind those of its lane.
    New,
    /// By itself, after a probe that failed: behind everybody.
    AfterFailedProbe,
}

/// An attempt, as the retry budget sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// The command's first: it pays.
    First,
    /// A further one: it takes.
    Retry,
    /// The same one again, asked after or sent once more by a new owner: neither.
    Repeat,
}

/// What a call gives back.
#[derive(Debug)]
pub(super) struct CallReturn {
    pub(super) ticket: BreakerTicket,
    pub(super) attempt: AttemptKind,
    pub(super) started_at: MonotonicTime,
    /// Its place in the bulkhead is its own.
    pub(super) holds_slot: bool,
}

impl CallGate {
    pub(super) fn new(name: &str, settings: GateSettings, wakeup: Arc<Notify>, changes: GuardEventBus) -> CallGate {
        CallGate::metered(name, settings, wakeup, changes, GuardMetrics::of(name))
    }

    /// Where those wait whose participant nobody has configured.
    pub(super) fn without_metrics(settings: GateSettings, wakeup: Arc<Notify>, changes: GuardEventBus) -> CallGate {
        CallGate::metered("", settings, wakeup, changes, GuardMetrics::without_metrics())
    }

    fn metered(
        name: &str,
        settings: GateSettings,
        wakeup: Arc<Notify>,
        changes: GuardEventBus,
        meters: GuardMetrics,
    ) -> CallGate {
        let state = UnpoisonedMutex::new(GateState::new(settings, MonotonicTime::default()));
        CallGate { name: name.into(), started: Instant::now(), state, wakeup, meters, changes }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Leave for one call; or who refuses and for how long at least.
    pub(super) fn admit(
        self: &Arc<CallGate>,
        asking: PermitRequest,
        health: Result<(), Duration>,
    ) -> Result<CallPermit, GuardRefusal> {
        let now = self.now();
        let (ticket, begins_probing) = {
            let mut inner = self.lock_state();
            let before = inner.state();
            let ticket = inner.admit(asking, health, now, fastrand::u64(..));
            (ticket, before == BreakerState::Open && inner.state() == BreakerState::HalfOpen)
        };
        if begins_probing {
            self.publish(GuardEventKind::BreakerHalfOpen);
        }
        let ticket = ticket.inspect_err(|refused| {
            if refused.guard == GuardKind::Breaker {
                self.meters.not_permitted();
            }
        })?;
        Ok(CallPermit::new(Arc::clone(self), ticket, asking, now))
    }

    /// Takes a permit's ticket back with what its call said, and its place if it is at hand.
    pub(super) fn settle(self: &Arc<CallGate>, back: CallReturn, said: CallSignal) {
        let CallReturn { ticket, attempt, started_at, holds_slot } = back;
        let now = self.now();
        let took = now.since(started_at);
        let mut inner = self.lock_state();
        if said == CallSignal::NEUTRAL {
            inner.refund_retry_budget(attempt, now);
        }
        let (settled, pause) = inner.settle(ticket, said, took, now, fastrand::u64(..));
        if holds_slot {
            inner.bulkhead.vacate();
        }
        let share = inner.share_now_after_trip(settled, now);
        let woken = inner.resize_limits(now);
        let somebody_waits = inner.has_waiters();
        let opening = matches!(settled, BreakerTransition::Opened(_)).then(|| inner.opening(now));
        drop(inner);
        woken.wake(self);
        self.meters.called(kind(said.verdict), took);
        self.report_transition(settled, opening);
        if let Some(span) = pause {
            self.publish(GuardEventKind::PauseAsked { span });
        }
        if let Some(share) = share {
            self.publish(GuardEventKind::Degraded { share });
        }
        if somebody_waits {
            self.wakeup.notify_one();
        }
    }

    /// Keeps a call that failed for people to see.
    pub(super) fn record_failure(&self, failed: FailedCall) {
        self.lock_state().failed(failed);
    }

    /// A call that had been given up succeeded after all: the participant works.
    pub(super) fn late_success(&self) {
        let now = self.now();
        let asks = self.lock_state().late_success(now);
        if asks {
            info!(
                participant = self.name(),
                "calls that had been given up succeed late: the participant is asked again now"
            );
            self.wakeup.notify_one();
        }
    }

    /// Works by `settings` from now on; what is counted and who waits stays.
    pub(super) fn configure(self: &Arc<CallGate>, settings: GateSettings) {
        self.change(|inner, now| inner.configure(settings, now));
    }

    /// Everybody who waits looks again: what held them back is gone.
    pub(super) fn release_waiters(self: &Arc<CallGate>) {
        self.change(|inner, _| inner.clear_not_before());
    }

    /// What people have decided holds from now on; the same again changes nothing.
    pub(super) fn apply(self: &Arc<CallGate>, said: ManualOverride) {
        let mut told = Vec::new();
        self.change(|inner, now| told = inner.apply(said, now));
        told.into_iter().for_each(|what| self.publish(what));
    }

    pub(super) fn view(&self) -> GateView {
        let now = self.now();
        self.lock_state().view(now)
    }

    /// Puts into effect and tells what time alone has changed since it was last asked to.
    pub(super) fn apply_elapsed_time(self: &Arc<CallGate>) {
        let now = self.now();
        let mut inner = self.lock_state();
        let is_restored = inner.is_restored(now);
        let woken = inner.resize_limits(now);
        drop(inner);
        woken.wake(self);
        if is_restored {
            self.publish(GuardEventKind::Restored);
            self.wakeup.notify_one();
        }
    }

    fn change(self: &Arc<CallGate>, change: impl FnOnce(&mut GateState, MonotonicTime)) {
        let now = self.now();
        let mut inner = self.lock_state();
        change(&mut inner, now);
        let woken = inner.resize_limits(now);
        drop(inner);
        woken.wake(self);
        self.wakeup.notify_one();
    }

    fn report_transition(&self, settled: BreakerTransition, opening: Option<BreakerOpening>) {
        let participant = self.name();
        match settled {
            BreakerTransition::Kept | BreakerTransition::Stale => {}
            BreakerTransition::Opened(trip) => {
                self.report_opening(trip, opening);
            }
            BreakerTransition::Closed => {
                info!(participant, "the breaker closed");
                self.publish(GuardEventKind::BreakerClosed);
            }
            BreakerTransition::WouldOpen(trip) => {
                warn!(participant, trip = trip.as_str(), "the breaker only counts, and would have opened");
                self.publish(GuardEventKind::BreakerWouldOpen { trip });
            }
        }
    }

    fn report_opening(&self, trip: TripReason, opening: Option<BreakerOpening>) {
        let (participant, trip_word) = (self.name(), trip.as_str());
        let (tripped, last) = opening.map_or((None, None), |opening| (opening.tripped, opening.last));
        let (calls, failed) = tripped.map_or((0, 0), |tripped| (tripped.calls, tripped.failures));
        let saga = last.as_ref().map(|last| last.saga.as_str());
        let failure = last.as_ref().map(FailedCall::describe).unwrap_or_default();
        match trip {
            TripReason::Probe => {
                warn!(
                    participant,
                    trip = trip_word,
                    failure,
                    saga,
                    "a probe failed: the breaker stays open; commands wait"
                );
            }
            TripReason::FailureRate | TripReason::SlowCallRate | TripReason::ConsecutiveFailures => {
                warn!(participant, trip = trip_word, calls, failed, failure, saga, "the breaker opened; commands wait");
            }
        }
        self.publish(GuardEventKind::BreakerOpened { trip, calls, failures: failed, last });
    }

    fn publish(&self, what: GuardEventKind) {
        self.changes.publish(Some(&self.name), what);
    }

    /// When the breaker may admit a call; zero: now.
    pub(super) fn time_to_admission(&self) -> Duration {
        let now = self.now();
        self.lock_state().opens_in(now)
    }

    pub(super) fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(self.started.elapsed())
    }

    /// The guards are consistent between any two of their methods, so a panic elsewhere under the lock leaves nothing half done.
    fn lock_state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock()
    }

    /// Whether somebody waits for it, or a call is out.
    pub(super) fn is_in_use(&self) -> bool {
        let view = self.view();
        view.permits > 0 || view.queued > 0
    }

    /// Whether anybody has it: who waits for it, whose call is out, or who has just found it and is about to ask.
    pub(super) fn is_referenced(self: &Arc<CallGate>) -> bool {
        Arc::strong_count(self) > 1
    }
}

fn kind(verdict: CallVerdict) -> CallResultKind {
    match verdict {
        CallVerdict::Succeeded => CallResultKind::Successful,
        CallVerdict::Failed | CallVerdict::Throttled => CallResultKind::Failed,
        CallVerdict::Neutral => CallResultKind::Ignored,
    }
}
