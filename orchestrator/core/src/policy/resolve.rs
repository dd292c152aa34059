//! From what files say to what a saga is pinned to.

use super::{Attempts, CommandPolicy, OnExhausted, Policies, RetryPolicy, StepPolicy};
use crate::definition::{
    Action, Definition, Effects, Participants, PivotSide, Step,
    participants::{HTTP_TIMEOUT, KAFKA_TIMEOUT},
};
use std::time::Duration;

impl Policies {
    /// The policies of every step: step over saga over participant over default. A participant that is missing counts as one
    /// that says nothing.
    #[must_use]
    pub fn resolve(definition: &Definition, participants: &Participants) -> Policies {
        let steps = definition.steps.iter().map(|step| resolve_step(step, definition, participants)).collect();
        Policies { steps, timeout: definition.timeout }
    }
}

fn resolve_step(step: &Step, definition: &Definition, participants: &Participants) -> StepPolicy {
    StepPolicy {
        forward: forward(step, definition, participants),
        undo: undo(step, participants),
        timeout: step.overrides.timeout,
        on_exhausted: on_exhausted(step, definition),
    }
}

fn forward(step: &Step, definition: &Definition, participants: &Participants) -> CommandPolicy {
    let (participant, default_timeout) = match &step.action {
        Action::Call(call) => (Some(call.target.participant()), transport_timeout(call)),
        Action::Publish { .. } | Action::Wait(_) => (None, KAFKA_TIMEOUT),
    };
    let participant = participant.and_then(|name| participants.get(name));
    let said = step.overrides.retry.as_ref().or(definition.defaults.retry.as_ref());
    let retry = said.or(participant.and_then(|participant| participant.retry.as_ref()));
    let timeout = step.overrides.attempt_timeout.or(participant.map(|participant| participant.timeout));
    CommandPolicy {
        retry: retry.map_or_else(|| default_retry(step), |rule| rule.on(default_retry(step).attempts)),
        attempt_timeout: timeout.unwrap_or(default_timeout),
    }
}

/// After the pivot a saga only goes forward, so what nobody limited is tried for ever.
fn default_retry(step: &Step) -> RetryPolicy {
    match step.side {
        PivotSide::Before | PivotSide::Pivot => RetryPolicy::standard(),
        PivotSide::After if step.optional => RetryPolicy::standard(),
        PivotSide::After => RetryPolicy { attempts: Attempts::Forever, ..RetryPolicy::undo() },
    }
}

/// An undo has its own, more patient retries; those of its step do not count.
fn undo(step: &Step, participants: &Participants) -> CommandPolicy {
    let Effects::Undo(undo) = &step.effects else {
        return CommandPolicy { retry: RetryPolicy::undo(), attempt_timeout: HTTP_TIMEOUT };
    };
    let participant = participants.get(undo.call.target.participant());
    let timeout = undo.overrides.attempt_timeout.or(participant.map(|participant| participant.timeout));
    CommandPolicy {
        retry: undo.overrides.retry.as_ref().map_or_else(RetryPolicy::undo, |rule| rule.policy.clone()),
        attempt_timeout: timeout.unwrap_or_else(|| transport_timeout(&undo.call)),
    }
}

fn transport_timeout(call: &crate::definition::Call) -> Duration {
    match call.target {
        crate::definition::Target::Http { .. } => HTTP_TIMEOUT,
        crate::definition::Target::Kafka { .. } => KAFKA_TIMEOUT,
    }
}

fn on_exhausted(step: &Step, definition: &Definition) -> OnExhausted {
    match step.side {
        PivotSide::After => OnExhausted::Park,
        PivotSide::Before | PivotSide::Pivot => {
            step.overrides.on_exhausted.or(definition.defaults.on_exhausted).unwrap_or_default()
        }
    }
}
