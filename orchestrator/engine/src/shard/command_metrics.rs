//! The metrics of commands that have ended.

use saga_core::{
    command::{CommandDirection, CommandRef},
    event::{SagaDecision, SagaEvent},
    state::SagaState,
};
use saga_resilience::metrics::{RetryResultKind, retried};

/// Counts the commands that `decision` ended; `state` is the saga after it. Published events have no participant and do
/// not count.
pub(super) fn ended(state: &SagaState, decision: &SagaDecision) {
    for (command, is_success) in decision.events.iter().filter_map(end_of) {
        let it = state.command(command);
        let Some(participant) = it.request.as_ref().and_then(|request| request.participant()) else { continue };
        retried(participant, kind(is_success, it.attempt > 1));
    }
}

/// Which command the event ends, and whether it succeeded. A participant that answered what `check` rejects has done
/// its part.
fn end_of(event: &SagaEvent) -> Option<(CommandRef, bool)> {
    match event {
        SagaEvent::StepSucceeded { step, direction, .. } => {
            Some((CommandRef { step: *step, direction: *direction }, true))
        }
        SagaEvent::StepRejected { step, .. } => {
            Some((CommandRef { step: *step, direction: CommandDirection::Do }, true))
        }
        SagaEvent::StepFailed { step, direction, .. } => {
            Some((CommandRef { step: *step, direction: *direction }, false))
        }
        SagaEvent::SagaStarted { .. }
        | SagaEvent::StepTakenOver { .. }
        | SagaEvent::WaitStarted { .. }
        | SagaEvent::StepStarted { .. }
        | SagaEvent::AttemptStarted { .. }
        | SagaEvent::AttemptFailed { .. }
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
        | SagaEvent::SagaEnded { .. }
        | SagaEvent::IncidentOpened { .. } => None,
    }
}

fn kind(is_success: bool, is_late: bool) -> RetryResultKind {
    match (is_success, is_late) {
        (true, false) => RetryResultKind::SuccessfulWithoutRetry,
        (true, true) => RetryResultKind::SuccessfulWithRetry,
        (false, false) => RetryResultKind::FailedWithoutRetry,
        (false, true) => RetryResultKind::FailedWithRetry,
    }
}
