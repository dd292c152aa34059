//! Facts in few words, so that a test reads like what happened.

use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRef},
    event::{
        AttemptOutcome, CompensationCause, OperatorAction, ParkReason, SagaEnd, SagaEvent, StepFailureKind,
        SubstituteAnswer, TakenOutcome,
    },
    id::StepIndex,
    state::SagaPlan,
};

/// A step's name, or `undo` and a step's name.
pub(crate) fn command(plan: &SagaPlan, command: CommandRef) -> String {
    named(plan, command.step, command.direction)
}

fn name(plan: &SagaPlan, step: StepIndex) -> &str {
    &plan.definition.step(step).name
}

fn named(plan: &SagaPlan, step: StepIndex, direction: CommandDirection) -> String {
    match direction {
        CommandDirection::Do => name(plan, step).to_owned(),
        CommandDirection::Undo => format!("undo {}", name(plan, step)),
    }
}

/// A fact.
pub(crate) fn told(plan: &SagaPlan, event: &SagaEvent) -> String {
    let named = |step: &StepIndex, direction: &CommandDirection| named(plan, *step, *direction);
    match event {
        SagaEvent::SagaStarted { .. } => "started".into(),
        SagaEvent::StepTakenOver { step, taken } => {
            let outcome = match &taken.outcome {
                TakenOutcome::Succeeded => "succeeded".to_owned(),
                TakenOutcome::Skipped => "skipped".to_owned(),
                TakenOutcome::Failed { failure } => format!("failed ({})", failure.code),
            };
            format!("{} taken over: {outcome}", name(plan, *step))
        }
        SagaEvent::StepStarted { step, direction, .. } => format!("{} sent", named(step, direction)),
        SagaEvent::WaitStarted { step, .. } => format!("{} waits", name(plan, *step)),
        SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
            format!("{} sent #{attempt}", named(step, direction))
        }
        SagaEvent::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person: _ } => {
            let rests = if retry_at.is_some() { ", rests" } else { "" };
            format!("{} #{attempt} {}{rests}", named(step, direction), ended(*outcome, failure))
        }
        SagaEvent::AttemptExtended { step, direction, attempt, ask_at, .. } => {
            let asked = if ask_at.is_some() { ", to be asked" } else { "" };
            format!("{} #{attempt} ongoing{asked}", named(step, direction))
        }
        SagaEvent::StepWaiting { step, direction, guard, ever_sent, .. } => {
            let sent = if *ever_sent { ", sent before" } else { "" };
            format!("{} held by {guard:?}{sent}", named(step, direction))
        }
        SagaEvent::StepSucceeded { step, direction, .. } => format!("{} succeeded", named(step, direction)),
        SagaEvent::StepRejected { step, failure, .. } => format!("{} rejected ({})", name(plan, *step), failure.code),
        SagaEvent::StepFailed { step, direction, outcome, failure, ending: _ } => {
            format!("{} {}", named(step, direction), ended(*outcome, failure))
        }
        SagaEvent::StepAnswered { step, by, .. } => format!("{} answered by {}", name(plan, *step), substitute(by)),
        SagaEvent::StepSkipped { step, direction, in_doubt } => {
            let doubt = if *in_doubt { ", in doubt" } else { "" };
            format!("{} skipped{doubt}", named(step, direction))
        }
        SagaEvent::ResultArrived { step, .. } => format!("{} result arrived", name(plan, *step)),
        SagaEvent::CompensationStarted { cause } => format!("goes back ({})", caused(plan, cause)),
        SagaEvent::SagaOverdue => "overdue".into(),
        SagaEvent::SagaParked { reason } => format!("parked ({})", parked(plan, reason)),
        SagaEvent::SagaResumed => "resumed".into(),
        SagaEvent::DefinitionChanged { .. } => "another definition".into(),
        SagaEvent::OperatorActed { action, command, .. } => {
            let on = command.map(|on| format!(" {}", self::command(plan, on))).unwrap_or_default();
            format!("{}{on}", acted(*action))
        }
        SagaEvent::OutcomeDue { end, .. } => format!("outcome due: {}", finished(plan, end)),
        SagaEvent::OutcomeWaiting { failure } => format!("outcome waits ({})", failure.code),
        SagaEvent::OutcomeShortened { .. } => "outcome shortened".into(),
        SagaEvent::SagaEnded { end } => finished(plan, end),
        SagaEvent::IncidentOpened { failure, .. } => format!("incident ({})", failure.code),
    }
}

fn substitute(by: &SubstituteAnswer) -> String {
    match by {
        SubstituteAnswer::Cache { .. } => "cache".into(),
        SubstituteAnswer::Fallback { index, kind } => format!("fallback {index} ({})", kind.code()),
    }
}

fn ended(outcome: AttemptOutcome, failure: &CommandFailure) -> String {
    match outcome {
        AttemptOutcome::Failed => format!("failed ({})", failure.code),
        AttemptOutcome::Unknown => format!("unknown ({})", failure.code),
    }
}

fn caused(plan: &SagaPlan, cause: &CompensationCause) -> String {
    match cause {
        CompensationCause::Step { step, failure } => format!("{}: {}", name(plan, *step), failure.code),
        CompensationCause::Timeout => "timeout".into(),
        CompensationCause::Cancelled { who, .. } => format!("cancelled by {who}"),
    }
}

fn parked(plan: &SagaPlan, reason: &ParkReason) -> String {
    match reason {
        ParkReason::StepFailed { step, failure, end } => {
            let end = match end {
                StepFailureKind::Failed => "",
                StepFailureKind::Unknown => " unknown",
                StepFailureKind::Rejected => " rejected",
            };
            format!("{}{end}: {}", name(plan, *step), failure.code)
        }
        ParkReason::PivotUnknown { step, failure } => format!("pivot {} unknown: {}", name(plan, *step), failure.code),
        ParkReason::UndoFailed { steps, .. } => format!("undo of {}", names(plan, steps)),
        ParkReason::Output { failure } => format!("output: {}", failure.code),
        ParkReason::Limit { message } => format!("limit: {message}"),
    }
}

fn acted(action: OperatorAction) -> &'static str {
    match action {
        OperatorAction::Retry => "operator: retry",
        OperatorAction::Skip => "operator: skip",
        OperatorAction::Cancel => "operator: cancel",
        OperatorAction::Abandon => "operator: abandon",
        OperatorAction::Migrate => "operator: migrate",
        OperatorAction::Erase => "operator: erase",
    }
}

fn finished(plan: &SagaPlan, end: &SagaEnd) -> String {
    match end {
        SagaEnd::Completed { .. } => "completed".into(),
        SagaEnd::Compensated { irreversible, .. } if irreversible.is_empty() => "compensated".into(),
        SagaEnd::Compensated { irreversible, .. } => format!("compensated but for {}", names(plan, irreversible)),
        SagaEnd::Abandoned { left, .. } if left.is_empty() => "abandoned".into(),
        SagaEnd::Abandoned { left, .. } => format!("abandoned, left {}", names(plan, left)),
    }
}

fn names(plan: &SagaPlan, steps: &[StepIndex]) -> String {
    steps.iter().map(|step| name(plan, *step)).collect::<Vec<_>>().join(", ")
}
