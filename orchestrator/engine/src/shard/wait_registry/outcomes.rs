//! Outcome events that wait for their topic. Each is on record, so its saga is read again when it is called.

use super::WaitRegistry;
use crate::{
    message::ShardMessage,
    shard::{
        ShardLoop,
        live_saga::{LiveSaga, SagaSlot},
    },
};
use saga_core::{
    command::{CommandFailure, GuardKind},
    id::SagaId,
    input::{OutcomeDelivery, PublicationRef, SagaInput},
    react::{PublishEffect, SagaEffect},
    state::SagaPhase,
};
use saga_resilience::{
    gate::{CallArrival, NotifiedCall, SagaWaiter, WaitQueueHandle, WaitRequest},
    permit::CallPermit,
    registry::{GuardAdmission, GuardRegistry},
};
use std::time::Duration;

/// A saga's outcome event that has not been sent.
#[derive(Debug)]
pub(super) enum OutcomeEventWait {
    /// The event has a place in its topic's wait queue, left when dropped.
    Queued(#[expect(dead_code, reason = "for its drop")] WaitQueueHandle),
    /// The topic's guard called the event, which may ask now.
    Notified(#[expect(dead_code, reason = "for its drop")] NotifiedCall),
}

impl WaitRegistry {
    /// A saga whose outcome event is not due any more waits for nothing.
    pub(in crate::shard) fn keep_outcome(&mut self, saga: SagaId, effects: &[SagaEffect]) {
        let is_outcome = |effect: &SagaEffect| matches!(effect, SagaEffect::Publish(it) if it.publication == PublicationRef::Outcome);
        if !self.outcomes.is_empty() && !effects.iter().any(is_outcome) {
            self.outcomes.remove(&saga);
        }
    }

    fn line_up(&mut self, guarded: &GuardRegistry, live: &LiveSaga, topic: &str) {
        let waiter = SagaWaiter { wake_sender: self.calls.clone(), saga: live.state.id, command: None };
        let since_ms = live.state.last_at.0;
        let since = WaitRequest {
            guard: GuardKind::Transport,
            since_ms,
            not_before: Duration::ZERO,
            after_failed_probe: false,
        };
        self.outcomes
            .insert(live.state.id, OutcomeEventWait::Queued(guarded.enqueue_publication(topic, since, waiter)));
    }
}

impl ShardLoop {
    /// The permit to publish the outcome event; `None`: the event waits in its topic's queue, and that is on record or
    /// about to be.
    pub(in crate::shard) fn acquire_outcome_permit(
        &mut self,
        live: &mut LiveSaga,
        effect: &PublishEffect,
    ) -> Option<CallPermit> {
        let arrival = match self.table.waits.outcomes.get(&live.state.id) {
            Some(OutcomeEventWait::Queued(_)) => return None,
            Some(OutcomeEventWait::Notified(_)) => CallArrival::Notified,
            None => CallArrival::New,
        };
        let topic = effect.request.whose().into_name();
        let admission = self.context.sources.guards().admit_publication(topic, arrival);
        // Its turn is over when it has asked.
        drop(self.table.waits.outcomes.remove(&live.state.id));
        match admission {
            GuardAdmission::Admitted(permit) => Some(permit),
            GuardAdmission::Refused { .. } | GuardAdmission::NotConfigured => {
                self.table.waits.line_up(self.context.sources.guards(), live, topic);
                record_that_it_waits(live, topic);
                None
            }
        }
    }

    /// The topic did not take the event: it has not been sent, and waits in the queue.
    pub(in crate::shard) fn requeue_outcome(&mut self, live: &mut LiveSaga, input: &SagaInput) {
        let SagaInput::Delivered { delivery: OutcomeDelivery::Refused { .. } } = input else { return };
        let SagaPhase::OutcomeDue { request, .. } = &live.state.course else { return };
        if matches!(self.table.waits.outcomes.get(&live.state.id), Some(OutcomeEventWait::Queued(_))) {
            return;
        }
        let topic = request.whose().into_name().to_owned();
        live.mark_outcome_unsent();
        self.table.waits.line_up(self.context.sources.guards(), live, &topic);
    }

    /// Its turn has come: the saga is read, unless it is at hand.
    pub(super) fn on_outcome_notified(&mut self, saga: SagaId, woken: NotifiedCall) {
        if self.table.waits.outcomes.insert(saga, OutcomeEventWait::Notified(woken)).is_none() {
            // It left the line while it was called.
            self.table.waits.outcomes.remove(&saga);
            return;
        }
        match self.table.sagas.remove(&saga) {
            Some(SagaSlot::Ready(mut live)) => {
                // What is decided now is followed by its effects, this one among them.
                if live.append.is_none() {
                    self.dispatch_outstanding(saga, &mut live);
                }
                self.process_pending(saga, live);
            }
            Some(loading @ SagaSlot::Loading { .. }) => drop(self.table.sagas.insert(saga, loading)),
            None => self.handle_input(saga, ShardMessage::of(saga, SagaInput::TimeReached)),
        }
    }
}

/// Once: a saga of which it is on record waits without a further row.
fn record_that_it_waits(live: &mut LiveSaga, topic: &str) {
    if matches!(&live.state.course, SagaPhase::OutcomeDue { waits: None, .. }) {
        let failure = CommandFailure::new(
            "topic_refuses",
            format!("topic {topic} does not take records, or not so many at once"),
        );
        let delivery = OutcomeDelivery::Refused { failure, retry_after: Duration::ZERO };
        live.waiting.push_back(ShardMessage::of(live.state.id, SagaInput::Delivered { delivery }));
    }
}
