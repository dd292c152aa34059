//! What an event says about one step, for projections.

use super::ProjectedEvent;
use saga_core::{
    command::{CommandDirection, GuardKind},
    event::SagaEvent,
    id::StepIndex,
};

/// What becomes of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepChange {
    /// Its first attempt, or its wait, begins.
    Begun,
    /// A further attempt begins.
    Tried(u32),
    /// It waits for a guard, or for a time.
    Waits(String),
    /// It goes no further by itself.
    Ended,
}

/// The step that the event changes, as `<name>/do` or `<name>/undo`, and how; `None`: it changes none.
pub(super) fn step_change(event: &ProjectedEvent<'_>) -> Option<(String, StepChange)> {
    let (step, direction, change) = change_of(event.event)?;
    Some((format!("{}/{}", event.step_name(step), direction.as_str()), change))
}

fn change_of(event: &SagaEvent) -> Option<(StepIndex, CommandDirection, StepChange)> {
    use CommandDirection::Do;
    match event {
        SagaEvent::StepStarted { step, direction, .. } => Some((*step, *direction, StepChange::Begun)),
        SagaEvent::WaitStarted { step, .. } => Some((*step, Do, StepChange::Waits("time".to_owned()))),
        SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
            Some((*step, *direction, StepChange::Tried(*attempt)))
        }
        SagaEvent::StepWaiting { step, direction, guard, participant, .. } => {
            Some((*step, *direction, StepChange::Waits(reason(*guard, participant.as_deref()))))
        }
        SagaEvent::StepSucceeded { step, direction, .. }
        | SagaEvent::StepFailed { step, direction, .. }
        | SagaEvent::StepSkipped { step, direction, .. } => Some((*step, *direction, StepChange::Ended)),
        SagaEvent::StepRejected { step, .. } | SagaEvent::StepAnswered { step, .. } => {
            Some((*step, Do, StepChange::Ended))
        }
        SagaEvent::SagaStarted { .. }
        | SagaEvent::StepTakenOver { .. }
        | SagaEvent::AttemptFailed { .. }
        | SagaEvent::AttemptExtended { .. }
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

fn reason(guard: GuardKind, participant: Option<&str>) -> String {
    match participant {
        Some(participant) => format!("{}:{participant}", guard.as_str()),
        None => guard.as_str().to_owned(),
    }
}
