//! From what files say to what a saga is pinned to.

use super::{
    model::{PivotSide, SagaDefinition, StepAction, StepCompensation, StepDefinition},
    participants::{HTTP_TIMEOUT, KAFKA_TIMEOUT, ParticipantCatalog},
};
use crate::policy::{AttemptLimit, CommandPolicy, ExhaustionPolicy, RetryPolicy, RetryRule, SagaPolicies, StepPolicy};
use std::time::Duration;

impl SagaPolicies {
    /// The policies of every step: step over saga over participant over default. A participant that is missing counts
    /// as one that says nothing; of several with one capability the most patient counts.
    #[must_use]
    pub fn resolve(definition: &SagaDefinition, participants: &ParticipantCatalog) -> SagaPolicies {
        let steps = definition.steps.iter().map(|step| resolve_step(step, definition, participants)).collect();
        SagaPolicies {
            steps,
            timeout: definition.timeout,
            on_outage: definition.defaults.on_outage.unwrap_or_default(),
        }
    }
}

fn resolve_step(step: &StepDefinition, definition: &SagaDefinition, participants: &ParticipantCatalog) -> StepPolicy {
    StepPolicy {
        forward: forward(step, definition, participants),
        undo: undo(step, participants),
        timeout: step.overrides.timeout,
        on_outage: step.overrides.on_outage.or(definition.defaults.on_outage).unwrap_or_default(),
        on_exhausted: on_exhausted(step, definition),
    }
}

fn forward(step: &StepDefinition, definition: &SagaDefinition, participants: &ParticipantCatalog) -> CommandPolicy {
    let (candidates, default_timeout) = match &step.action {
        StepAction::Call(call) => (participants.candidates(&call.target).collect(), transport_timeout(call)),
        StepAction::Publish { .. } | StepAction::Wait(_) => (Vec::new(), KAFKA_TIMEOUT),
    };
    let said = step.overrides.retry.as_ref().or(definition.defaults.retry.as_ref());
    let policy = |rule: Option<&RetryRule>| {
        rule.map_or_else(|| default_retry(step), |rule| rule.on(default_retry(step).attempts))
    };
    let retry = match said {
        Some(_) => policy(said),
        None => most_patient(candidates.iter().map(|it| policy(it.retry.as_ref()))).unwrap_or_else(|| policy(None)),
    };
    let timeout = step.overrides.attempt_timeout.or(candidates.iter().map(|it| it.timeout).max());
    CommandPolicy { retry, attempt_timeout: timeout.unwrap_or(default_timeout) }
}

/// Of several participants with one capability any may be chosen, so the step is as patient as the most patient of
/// them: by attempts, then by the longest delay.
fn most_patient(policies: impl Iterator<Item = RetryPolicy>) -> Option<RetryPolicy> {
    policies.max_by_key(|policy| {
        let attempts = match policy.attempts {
            AttemptLimit::Limited(count) => u64::from(count.get()),
            AttemptLimit::Forever => u64::MAX,
        };
        (attempts, policy.max_delay)
    })
}

/// After the pivot a saga only goes forward, so a step without a limit is tried for ever.
fn default_retry(step: &StepDefinition) -> RetryPolicy {
    match step.side {
        PivotSide::Before | PivotSide::Pivot => RetryPolicy::standard(),
        PivotSide::After if step.optional => RetryPolicy::standard(),
        PivotSide::After => RetryPolicy { attempts: AttemptLimit::Forever, ..RetryPolicy::undo() },
    }
}

/// An undo has its own, more patient retries; those of its step do not count.
fn undo(step: &StepDefinition, participants: &ParticipantCatalog) -> CommandPolicy {
    let StepCompensation::Undo(undo) = &step.effects else {
        return CommandPolicy { retry: RetryPolicy::undo(), attempt_timeout: HTTP_TIMEOUT };
    };
    let longest = participants.candidates(&undo.call.target).map(|it| it.timeout).max();
    let timeout = undo.overrides.attempt_timeout.or(longest);
    CommandPolicy {
        retry: undo.overrides.retry.as_ref().map_or_else(RetryPolicy::undo, |rule| rule.policy.clone()),
        attempt_timeout: timeout.unwrap_or_else(|| transport_timeout(&undo.call)),
    }
}

fn transport_timeout(call: &crate::definition::CallDefinition) -> Duration {
    match call.target {
        crate::definition::CallTarget::Http { .. } => HTTP_TIMEOUT,
        crate::definition::CallTarget::Kafka { .. } => KAFKA_TIMEOUT,
    }
}

fn on_exhausted(step: &StepDefinition, definition: &SagaDefinition) -> ExhaustionPolicy {
    match step.side {
        PivotSide::After => ExhaustionPolicy::Park,
        PivotSide::Before | PivotSide::Pivot => {
            step.overrides.on_exhausted.or(definition.defaults.on_exhausted).unwrap_or_default()
        }
    }
}
