//! The metrics of sagas and steps: how many, how long, how they ended. Labels are names from the files of this engine:
//! what comes from data, or from files of another time, is `other`.

use crate::{active_config::ActiveConfig, idempotency};
use metrics::{counter, histogram};
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef},
    definition::SagaDefinition,
    event::{AttemptOutcome, SagaDecision, SagaEnd, SagaEvent},
    id::StepIndex,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_resilience::metrics::RetryResultKind;
use std::sync::Arc;

/// The label of what these files do not have.
const OTHER: &str = "other";
/// The class of a failure that the engine itself found.
const ENGINE: &str = "engine";

/// The names that may be labels: those of the saga's definition, as far as the files have them.
struct BoundedLabels<'a> {
    config: &'a ActiveConfig,
    plan: &'a SagaPlan,
    /// The definition of the same name in the files.
    written: Option<&'a Arc<SagaPlan>>,
}

impl<'a> BoundedLabels<'a> {
    fn of(config: &'a ActiveConfig, plan: &'a SagaPlan) -> BoundedLabels<'a> {
        BoundedLabels { config, plan, written: config.catalog.named(&plan.definition.name) }
    }

    fn saga(&self) -> String {
        self.written.map_or(OTHER, |plan| &plan.definition.name).to_owned()
    }

    fn step(&self, step: StepIndex) -> String {
        let name = &self.plan.definition.step(step).name;
        let is_written = |written: &SagaDefinition| written.find(name).is_some();
        let known = self.written.is_some_and(|plan| is_written(&plan.definition));
        if known { name.clone() } else { OTHER.to_owned() }
    }

    fn participant(&self, name: &str) -> String {
        self.config.participants.get(name).map_or(OTHER, |_| name).to_owned()
    }
}

/// Counts what `decision` did; `state` is the saga after it.
pub(super) fn committed(config: &ActiveConfig, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
    let labels = BoundedLabels::of(config, plan);
    for event in &decision.events {
        count(&labels, state, decision.at, event);
    }
}

fn count(labels: &BoundedLabels<'_>, state: &SagaState, at: Timestamp, event: &SagaEvent) {
    match event {
        SagaEvent::SagaStarted { .. } => {
            idempotency::started();
            counter!("saga_started_total", "saga" => labels.saga()).increment(1);
        }
        SagaEvent::SagaEnded { end } => ended(labels, seconds(state.started_at, at), end),
        SagaEvent::AttemptStarted { step, direction, attempt, .. } if *attempt > 1 => {
            retried(labels, state, CommandRef { step: *step, direction: *direction });
        }
        SagaEvent::AttemptFailed { failure, .. } => failed(failure),
        SagaEvent::StepSucceeded { step, direction, .. } => {
            settled(labels, state, (*step, *direction), at, "succeeded");
            answered(state, CommandRef { step: *step, direction: *direction }, true);
        }
        SagaEvent::StepRejected { step, failure, .. } => {
            failed(failure);
            settled(labels, state, (*step, CommandDirection::Do), at, "rejected");
            // A participant that answered what `check` rejects has done its part.
            answered(state, CommandRef { step: *step, direction: CommandDirection::Do }, true);
        }
        SagaEvent::StepFailed { step, direction, outcome, failure, .. } => {
            failed(failure);
            settled(labels, state, (*step, *direction), at, word(*outcome));
            answered(state, CommandRef { step: *step, direction: *direction }, false);
        }
        SagaEvent::AttemptStarted { .. }
        | SagaEvent::StepTakenOver { .. }
        | SagaEvent::StepStarted { .. }
        | SagaEvent::WaitStarted { .. }
        | SagaEvent::AttemptExtended { .. }
        | SagaEvent::StepWaiting { .. }
        | SagaEvent::StepAnswered { .. }
        | SagaEvent::StepSkipped { .. }
        | SagaEvent::ResultArrived { .. }
        | SagaEvent::CompensationStarted { .. }
        | SagaEvent::SagaOverdue
        | SagaEvent::SagaParked { .. }
        | SagaEvent::SagaResumed
        | SagaEvent::OperatorActed { .. }
        | SagaEvent::DefinitionChanged { .. }
        | SagaEvent::OutcomeDue { .. }
        | SagaEvent::OutcomeWaiting { .. }
        | SagaEvent::OutcomeShortened { .. }
        | SagaEvent::IncidentOpened { .. } => {}
    }
}

fn ended(labels: &BoundedLabels<'_>, lasted: f64, end: &SagaEnd) {
    let end = match end {
        SagaEnd::Completed { .. } => "completed",
        SagaEnd::Compensated { .. } => "compensated",
        SagaEnd::Abandoned { .. } => "abandoned",
    };
    counter!("saga_ended_total", "saga" => labels.saga(), "end" => end).increment(1);
    histogram!("saga_duration_seconds", "saga" => labels.saga(), "end" => end).record(lasted);
}

/// From the beginning of the work on a step, guards and retries included, to its result.
fn settled(
    labels: &BoundedLabels<'_>,
    state: &SagaState,
    (step, direction): (StepIndex, CommandDirection),
    at: Timestamp,
    outcome: &'static str,
) {
    let Some(began) = state.command(CommandRef { step, direction }).began_at else { return };
    let labels = [
        ("saga", labels.saga()),
        ("step", labels.step(step)),
        ("direction", direction.as_str().to_owned()),
        ("outcome", outcome.to_owned()),
    ];
    histogram!("saga_step_duration_seconds", &labels).record(seconds(began, at));
}

/// Counts a command that has ended for its participant. Published events have none and do not count.
fn answered(state: &SagaState, command: CommandRef, is_success: bool) {
    let it = state.command(command);
    let Some(participant) = it.request.as_ref().and_then(|request| request.participant()) else { return };
    let kind = match (is_success, it.attempt > 1) {
        (true, false) => RetryResultKind::SuccessfulWithoutRetry,
        (true, true) => RetryResultKind::SuccessfulWithRetry,
        (false, false) => RetryResultKind::FailedWithoutRetry,
        (false, true) => RetryResultKind::FailedWithRetry,
    };
    saga_resilience::metrics::retried(participant, kind);
}

fn retried(labels: &BoundedLabels<'_>, state: &SagaState, command: CommandRef) {
    let request = state.command(command).request.as_ref();
    let Some(participant) = request.and_then(|request| request.participant()) else { return };
    counter!("saga_retries_total", "participant" => labels.participant(participant)).increment(1);
}

fn failed(failure: &CommandFailure) {
    let class = failure.class.map_or(ENGINE, |class| class.as_str());
    counter!("saga_errors_total", "class" => class).increment(1);
}

fn word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::Unknown => "unknown",
    }
}

#[allow(clippy::cast_precision_loss, reason = "a histogram takes floats")]
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.0 - from.0).max(0) as f64 / 1000.0
}
