//! The guards of one participant, in the order in which a call meets them.
//!
//! Before the decision on the call (`gate/admission.rs`), each for an instant:
//!
//! 1. **health check** refuses while checks find the participant unhealthy. The command waits for the next check. A
//!    breaker that is forced closed, or that only counts, skips this step.
//! 2. **wait queue** refuses while commands wait and there is not room for all of them and for this call. The command
//!    waits behind them; an undo waits behind undos only. The refusal names the guard with the least room.
//! 3. **memory** refuses while no slot of the bulkhead is free and its queue in memory (`maxWaiting`) is full, or while
//!    the wait for the rate limit would be longer than `maxWait`. The command waits until a call has ended, or for its
//!    time. The refusal names the bulkhead or the rate limit.
//! 4. **breaker** (`saga_guards::breaker`) refuses while it is open, while all its probes are in flight (half-open),
//!    while its ramp is full, or while it sheds load. The command waits until the breaker may admit it.
//! 5. **retry budget** refuses a further attempt while the budget is spent. The command waits in a queue of its own and
//!    holds no other command back.
//!
//! A Kafka command then asks its topic, outside of this gate (`GuardRegistry::admit`): the guard `transport`.
//!
//! After the decision is committed, before the call (`gate/acquire.rs`):
//!
//! 6. **breaker**, again: if it has opened since the decision, the call is not made, and its command waits.
//! 7. **rate limit**: the call sleeps at most `maxWait`. If the wait would be longer, its command waits.
//! 8. **bulkhead**: the call waits in memory at most `maxWait` for a slot; after that its command waits.
//! 9. **breaker**, a last time, if the call has waited in 7 or 8.
//!
//! Over Kafka `maxWait` is zero: no call waits in memory.
//!
//! After the call (`gate/state.rs`): the slot is free again, and the breaker and the adaptive limit count the result.
//!
//! No refusal is an attempt. A refused command waits durably: the journal has its wait, its saga leaves memory, and the
//! gate notifies it when there is capacity (`gate/wait_queue.rs`).
//!
//! A participant that fails goes through these states (`saga_guards::breaker` has the rules). *Closed*: calls pass and
//! are counted. *Open*: every decision is refused; the commands wait, and calls that were admitted before are not sent.
//! *Half-open*: as many commands as there are probes are notified; one failed probe opens the breaker again, for
//! longer, and its command goes to the end of the queue. *Closed again*: the ramp, the bulkhead and
//! degraded mode (`gate/capacity.rs`) decide how fast the queue is notified.
//!
//! One lock protects all guards of a participant (`gate/state.rs`). It is held for some instructions at a time and
//! never across an await. What follows from a change (wakeups, events, log lines) happens after the lock is released. A
//! call that does not wait allocates nothing. A gate outlives every change of its settings.

mod acquire;
mod admission;
mod capacity;
mod events;
mod request;
#[cfg(test)]
mod schedules;
mod state;
mod view;
mod wait_queue;

pub use acquire::BulkheadSlot;
pub(crate) use request::{AdmittedCall, CallReturn};
pub use request::{AttemptKind, CallArrival, GuardRefusal, PermitRequest};
pub(crate) use view::GateView;
pub use wait_queue::{NotifiedCall, SagaWaiter, WaitQueueHandle, WaitRequest, WakeSignal, lane};

use crate::{
    call_metrics::{CallResultKind, GuardMetrics},
    call_signal::CallSignal,
    failed_call::FailedCall,
    guard_events::{GuardEventBus, GuardEventKind},
    settings::{GateSettings, ManualOverride},
};
use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime,
    breaker::{BreakerState, BreakerTicket, CallVerdict},
};
use state::GateState;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use tracing::info;

/// All guards of one participant.
#[derive(Debug)]
pub(crate) struct CallGate {
    name: Arc<str>,
    started: Instant,
    state: UnpoisonedMutex<GateState>,
    /// Notified when a command that waits may be able to go on; the wait scheduler listens.
    wakeup: Arc<Notify>,
    meters: GuardMetrics,
    changes: GuardEventBus,
}

impl CallGate {
    pub(crate) fn new(name: &str, settings: GateSettings, wakeup: Arc<Notify>, changes: GuardEventBus) -> CallGate {
        CallGate::metered(name, settings, wakeup, changes, GuardMetrics::of(name))
    }

    /// For what is no configured participant: topics, and commands to unknown participants.
    pub(crate) fn without_metrics(settings: GateSettings, wakeup: Arc<Notify>, changes: GuardEventBus) -> CallGate {
        CallGate::metered("", settings, wakeup, changes, GuardMetrics::without_metrics())
    }

    fn metered(
        name: &str,
        settings: GateSettings,
        wakeup: Arc<Notify>,
        changes: GuardEventBus,
        meters: GuardMetrics,
    ) -> CallGate {
        let state = UnpoisonedMutex::new(GateState::new(&settings, MonotonicTime::default()));
        CallGate { name: name.into(), started: Instant::now(), state, wakeup, meters, changes }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Leads a call through the guards of the decision. Answers its ticket and when it was admitted.
    ///
    /// # Errors
    /// The guard that refuses. Nothing is taken then.
    pub(crate) fn admit(
        &self,
        request: PermitRequest,
        health: Result<(), Duration>,
    ) -> Result<(BreakerTicket, MonotonicTime), GuardRefusal> {
        let now = self.now();
        let (admitted, begins_probing) = {
            let mut state = self.lock_state();
            let before = state.state();
            let admitted = state.admit(request, health, now, fastrand::u64(..));
            (admitted, before == BreakerState::Open && state.state() == BreakerState::HalfOpen)
        };
        if begins_probing {
            self.publish(GuardEventKind::BreakerHalfOpen);
        }
        let counted = admitted.inspect_err(|refusal| {
            if refusal.guard == GuardKind::Breaker {
                self.meters.not_permitted();
            }
        });
        counted.map(|ticket| (ticket, now))
    }

    /// Takes back what the permit of a call held, with what the call said.
    pub(crate) fn settle(self: &Arc<CallGate>, back: CallReturn, signal: CallSignal) {
        let now = self.now();
        let took = now.since(back.started_at);
        let settled = self.lock_state().settle(back, signal, now, fastrand::u64(..));
        settled.wakeups.wake(self);
        self.meters.called(kind(signal.verdict), took);
        self.report_transition(settled.transition, settled.opening);
        if let Some(span) = settled.pause {
            self.publish(GuardEventKind::PauseAsked { span });
        }
        if let Some(share) = settled.degraded_to {
            self.publish(GuardEventKind::Degraded { share });
        }
        if settled.has_waiters {
            self.wakeup.notify_one();
        }
    }

    /// Keeps a call that failed for people to see.
    pub(crate) fn record_failure(&self, failed: FailedCall) {
        self.lock_state().failures.add(failed);
    }

    /// A call that had been given up succeeded after all: the participant works.
    pub(crate) fn late_success(&self) {
        let now = self.now();
        let probes_now = self.lock_state().late_success(now);
        if probes_now {
            info!(
                participant = self.name(),
                "calls that had timed out succeed late: the breaker lets probes through now"
            );
            self.wakeup.notify_one();
        }
    }

    /// Works by `settings` from now on. Counts, state and waiting commands stay.
    pub(crate) fn configure(self: &Arc<CallGate>, settings: GateSettings) {
        self.change(|state, now| state.configure(&settings, now));
    }

    /// What held the waiting commands back is gone: all of them may be notified at once.
    pub(crate) fn release_waiters(self: &Arc<CallGate>) {
        self.change(|state, _| state.queues.clear_not_before());
    }

    /// Puts into effect what operators have set; the same again changes nothing.
    pub(crate) fn apply(self: &Arc<CallGate>, manual: ManualOverride) {
        let mut changes = Vec::new();
        self.change(|state, now| changes = state.apply(manual, now));
        changes.into_iter().for_each(|what| self.publish(what));
    }

    pub(crate) fn view(&self) -> GateView {
        let now = self.now();
        self.lock_state().view(now)
    }

    /// Puts into effect, and publishes, what time alone has changed since the last call.
    pub(crate) fn apply_elapsed_time(self: &Arc<CallGate>) {
        let now = self.now();
        let mut state = self.lock_state();
        let is_restored = state.capacity.degraded.take_restored(now);
        let wakeups = state.resize_limits(now);
        drop(state);
        wakeups.wake(self);
        if is_restored {
            self.publish(GuardEventKind::Restored);
            self.wakeup.notify_one();
        }
    }

    fn change(self: &Arc<CallGate>, change: impl FnOnce(&mut GateState, MonotonicTime)) {
        let now = self.now();
        let mut state = self.lock_state();
        change(&mut state, now);
        let wakeups = state.resize_limits(now);
        drop(state);
        wakeups.wake(self);
        self.wakeup.notify_one();
    }

    /// When the breaker may admit a call; zero: now.
    pub(crate) fn time_to_admission(&self) -> Duration {
        let now = self.now();
        self.lock_state().time_to_admission(now)
    }

    pub(crate) fn now(&self) -> MonotonicTime {
        MonotonicTime::since_origin(self.started.elapsed())
    }

    /// The guards are consistent between any two of their methods, so a panic elsewhere under the lock leaves nothing
    /// half done.
    fn lock_state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock()
    }

    /// Whether a command waits here, or a call is not settled.
    pub(crate) fn is_in_use(&self) -> bool {
        let view = self.view();
        view.permits > 0 || view.queued > 0
    }

    /// Whether anything else has it: a command that waits, a call that is not settled, or a caller that has just looked
    /// it up.
    pub(crate) fn is_referenced(self: &Arc<CallGate>) -> bool {
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
