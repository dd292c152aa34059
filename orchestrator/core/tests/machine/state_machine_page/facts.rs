//! Facts and outcomes in the words of the page.

use super::cases::Case;
use saga_core::{
    command::{CommandDirection, CommandRef},
    decide::DecisionOutcome,
    event::SagaEvent,
    evolve,
};
use serde_json::Value;
use std::fmt::Debug;

/// What was decided on an input.
pub(super) fn outcome(case: &Case, outcome: &DecisionOutcome) -> String {
    match outcome {
        DecisionOutcome::Decided(decision) => facts(case, &decision.events),
        DecisionOutcome::Noted => "noted: nothing is recorded".into(),
        DecisionOutcome::Ignored(ignored) => format!("ignored: {}", ignored.code().replace('_', " ")),
        DecisionOutcome::Refused(refused) => format!("refused: {refused}"),
    }
}

/// The events of one row of the journal.
pub(super) fn facts(case: &Case, events: &[SagaEvent]) -> String {
    events.iter().map(|event| fact(case, event)).collect::<Vec<_>>().join(", ")
}

fn fact(case: &Case, event: &SagaEvent) -> String {
    let (name, detail) = (variant(event), detail(event));
    let detail = if detail.is_empty() { detail } else { format!("({detail})") };
    format!("`{name}{detail}`{}", of(case, event))
}

/// The name of an enum's variant.
pub(super) fn variant(value: &impl Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// Whose event it is, if not that of the command that the case is about.
fn of(case: &Case, event: &SagaEvent) -> String {
    match about(event) {
        None => String::new(),
        Some(command) if command == case.focus => String::new(),
        Some(command) if command.step == case.focus.step => format!(" of its {}", command.direction),
        Some(CommandRef { step, direction }) => {
            let name = &case.saga.plan.definition.step(step).name;
            let direction = if direction == CommandDirection::Undo { "the undo of " } else { "" };
            format!(" of {direction}{name}")
        }
    }
}

/// The command that an event is about. Of an event that has no direction it is the do.
fn about(event: &SagaEvent) -> Option<CommandRef> {
    if let SagaEvent::OperatorActed { command, .. } = event {
        return *command;
    }
    let step = evolve::step_of(event)?;
    let fields = serde_json::to_value(event).expect("an event is JSON");
    let said = fields.as_object().and_then(|fields| fields.values().next()).map(|fields| fields["direction"].clone());
    let direction =
        said.as_ref().and_then(Value::as_str).and_then(CommandDirection::parse).unwrap_or(CommandDirection::Do);
    Some(CommandRef { step, direction })
}

/// What of an event decides how a saga goes on.
fn detail(event: &SagaEvent) -> String {
    match event {
        SagaEvent::StepTakenOver { taken, .. } => variant(&taken.outcome),
        SagaEvent::AttemptFailed { outcome, retry_at: Some(_), .. } => format!("{outcome:?}, retried"),
        SagaEvent::AttemptFailed { outcome, retry_at: None, .. } => format!("{outcome:?}"),
        SagaEvent::StepFailed { outcome, ending, .. } => format!("{outcome:?}, {ending:?}"),
        SagaEvent::StepWaiting { guard, .. } => variant(guard),
        SagaEvent::StepAnswered { by, .. } => variant(by),
        SagaEvent::StepSkipped { in_doubt: true, .. } => "in doubt".into(),
        SagaEvent::CompensationStarted { cause } => variant(cause),
        SagaEvent::SagaParked { reason } => variant(reason),
        SagaEvent::OperatorActed { action, .. } => variant(action),
        SagaEvent::OutcomeDue { end, .. } | SagaEvent::SagaEnded { end } => variant(end),
        SagaEvent::IncidentOpened { failure, .. } => failure.code.clone(),
        SagaEvent::StepSkipped { in_doubt: false, .. }
        | SagaEvent::StepSucceeded { .. }
        | SagaEvent::StepRejected { .. } => String::new(),
        SagaEvent::SagaStarted { .. } | SagaEvent::StepStarted { .. } | SagaEvent::WaitStarted { .. } => String::new(),
        SagaEvent::AttemptStarted { .. } | SagaEvent::AttemptExtended { .. } | SagaEvent::ResultArrived { .. } => {
            String::new()
        }
        SagaEvent::SagaOverdue | SagaEvent::SagaResumed | SagaEvent::DefinitionChanged { .. } => String::new(),
        SagaEvent::OutcomeWaiting { .. } | SagaEvent::OutcomeShortened { .. } => String::new(),
    }
}
