//! Outcome events that wait for their topic. Each is on record, so its saga is read again when it is called.

use super::Waits;
use crate::{
    message::Message,
    shard::{
        live::{Live, Slot},
        owned::Owned,
    },
};
use saga_core::{
    command::{Failure, Guard},
    id::SagaId,
    input::{Delivery, Input, Publication},
    react::{Effect, PublishEffect},
    state::Course,
};
use saga_resilience::{
    gate::{Coming, InLine, Since, Waiter, Woken},
    permit::Permit,
    registry::{Admission, Guarded},
};
use std::time::Duration;

/// A saga's outcome event that has not left.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has a place in its topic's line, left when dropped.
    InLine(#[expect(dead_code, reason = "for its drop")] InLine),
    /// It may ask now.
    Called(#[expect(dead_code, reason = "for its drop")] Woken),
}

impl Waits {
    /// A saga whose outcome event is not due any more waits for nothing.
    pub(in crate::shard) fn keep_outcome(&mut self, saga: SagaId, effects: &[Effect]) {
        let is_outcome =
            |effect: &Effect| matches!(effect, Effect::Publish(it) if it.publication == Publication::Outcome);
        if !self.outcomes.is_empty() && !effects.iter().any(is_outcome) {
            self.outcomes.remove(&saga);
        }
    }

    fn line_up(&mut self, guarded: &Guarded, live: &Live, topic: &str) {
        let waiter = Waiter { calls: self.calls.clone(), saga: live.state.id, command: None };
        let since_ms = live.state.last_at.0;
        let since = Since { guard: Guard::Transport, since_ms, not_before: Duration::ZERO, has_probed: false };
        self.outcomes.insert(live.state.id, Outcome::InLine(guarded.join_topic(topic, since, waiter)));
    }
}

impl Owned {
    /// Leave to publish the outcome event; `None`: it waits in line for its topic, and that is on record or about to be.
    pub(in crate::shard) fn leave_for_outcome(&mut self, live: &mut Live, effect: &PublishEffect) -> Option<Permit> {
        let coming = match self.waits.outcomes.get(&live.state.id) {
            Some(Outcome::InLine(_)) => return None,
            Some(Outcome::Called(_)) => Coming::Woken,
            None => Coming::Anew,
        };
        let topic = effect.request.whose().into_name();
        let admission = self.parts.guarded.admit_publication(topic, coming);
        // Its turn is over when it has asked.
        drop(self.waits.outcomes.remove(&live.state.id));
        match admission {
            Admission::Admitted(permit) => Some(permit),
            Admission::Refused { .. } | Admission::Gone => {
                self.waits.line_up(&self.parts.guarded, live, topic);
                record_that_it_waits(live, topic);
                None
            }
        }
    }

    /// The topic did not take it: it has not left, and waits in line.
    pub(in crate::shard) fn outcome_not_taken(&mut self, live: &mut Live, input: &Input) {
        let Input::Delivered { delivery: Delivery::Refused { .. } } = input else { return };
        let Course::OutcomeDue { request, .. } = &live.state.course else { return };
        if matches!(self.waits.outcomes.get(&live.state.id), Some(Outcome::InLine(_))) {
            return;
        }
        let topic = request.whose().into_name().to_owned();
        live.outcome_has_not_left();
        self.waits.line_up(&self.parts.guarded, live, &topic);
    }

    /// Its turn has come: the saga is read, unless it is at hand.
    pub(super) fn outcome_called(&mut self, saga: SagaId, woken: Woken) {
        if self.waits.outcomes.insert(saga, Outcome::Called(woken)).is_none() {
            // It left the line while it was called.
            self.waits.outcomes.remove(&saga);
            return;
        }
        match self.sagas.remove(&saga) {
            Some(Slot::Ready(mut live)) => {
                // What is decided now is followed by its effects, this one among them.
                if live.append.is_none() {
                    self.perform(saga, &mut live);
                }
                self.go_on(saga, live);
            }
            Some(loading @ Slot::Loading { .. }) => drop(self.sagas.insert(saga, loading)),
            None => self.take_input(saga, Message::of(saga, Input::TimeReached)),
        }
    }
}

/// Once: a saga of which it is on record waits without a further row.
fn record_that_it_waits(live: &mut Live, topic: &str) {
    if matches!(&live.state.course, Course::OutcomeDue { waits: None, .. }) {
        let failure =
            Failure::new("topic_refuses", format!("topic {topic} does not take records, or not so many at once"));
        let delivery = Delivery::Refused { failure, retry_after: Duration::ZERO };
        live.waiting.push_back(Message::of(live.state.id, Input::Delivered { delivery }));
    }
}
