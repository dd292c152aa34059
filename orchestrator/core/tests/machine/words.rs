//! Facts in few words, so that a test reads like what happened.

use saga_core::{
    command::{CommandRef, Direction, Failure},
    event::{AttemptOutcome, BadEnd, Cause, End, Event, OperatorAction, ParkReason, Substitute},
    id::StepIndex,
    state::Plan,
};

/// A step's name, or `undo` and a step's name.
pub(crate) fn command(plan: &Plan, command: CommandRef) -> String {
    named(plan, command.step, command.direction)
}

fn name(plan: &Plan, step: StepIndex) -> &str {
    &plan.definition.step(step).name
}

fn named(plan: &Plan, step: StepIndex, direction: Direction) -> String {
    match direction {
        Direction::Do => name(plan, step).to_owned(),
        Direction::Undo => format!("undo {}", name(plan, step)),
    }
}

/// A fact.
pub(crate) fn told(plan: &Plan, event: &Event) -> String {
    let named = |step: &StepIndex, direction: &Direction| named(plan, *step, *direction);
    match event {
        Event::SagaStarted { .. } => "started".into(),
        Event::StepStarted { step, direction, .. } => format!("{} sent", named(step, direction)),
        Event::WaitStarted { step, .. } => format!("{} waits", name(plan, *step)),
        Event::AttemptStarted { step, direction, attempt, .. } => format!("{} sent #{attempt}", named(step, direction)),
        Event::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person: _ } => {
            let rests = if retry_at.is_some() { ", rests" } else { "" };
            format!("{} #{attempt} {}{rests}", named(step, direction), ended(*outcome, failure))
        }
        Event::AttemptExtended { step, direction, attempt, ask_at, .. } => {
            let asked = if ask_at.is_some() { ", to be asked" } else { "" };
            format!("{} #{attempt} ongoing{asked}", named(step, direction))
        }
        Event::StepWaiting { step, direction, guard, ever_sent, .. } => {
            let sent = if *ever_sent { ", sent before" } else { "" };
            format!("{} held by {guard:?}{sent}", named(step, direction))
        }
        Event::StepSucceeded { step, direction, .. } => format!("{} succeeded", named(step, direction)),
        Event::StepRejected { step, failure, .. } => format!("{} rejected ({})", name(plan, *step), failure.code),
        Event::StepFailed { step, direction, outcome, failure, ending: _ } => {
            format!("{} {}", named(step, direction), ended(*outcome, failure))
        }
        Event::StepAnswered { step, by, .. } => format!("{} answered by {}", name(plan, *step), substitute(by)),
        Event::StepSkipped { step, direction, in_doubt } => {
            let doubt = if *in_doubt { ", in doubt" } else { "" };
            format!("{} skipped{doubt}", named(step, direction))
        }
        Event::ResultArrived { step, .. } => format!("{} result arrived", name(plan, *step)),
        Event::CompensationStarted { cause } => format!("goes back ({})", caused(plan, cause)),
        Event::SagaOverdue => "overdue".into(),
        Event::SagaParked { reason } => format!("parked ({})", parked(plan, reason)),
        Event::SagaResumed => "resumed".into(),
        Event::DefinitionChanged { .. } => "another definition".into(),
        Event::OperatorActed { action, command, .. } => {
            let on = command.map(|on| format!(" {}", self::command(plan, on))).unwrap_or_default();
            format!("{}{on}", acted(*action))
        }
        Event::OutcomeDue { end, .. } => format!("outcome due: {}", finished(plan, end)),
        Event::OutcomeWaiting { failure } => format!("outcome waits ({})", failure.code),
        Event::OutcomeShortened { .. } => "outcome shortened".into(),
        Event::SagaEnded { end } => finished(plan, end),
        Event::IncidentOpened { failure, .. } => format!("incident ({})", failure.code),
    }
}

fn substitute(by: &Substitute) -> String {
    match by {
        Substitute::Cache { .. } => "cache".into(),
        Substitute::Fallback { index, kind } => format!("fallback {index} ({})", kind.code()),
    }
}

fn ended(outcome: AttemptOutcome, failure: &Failure) -> String {
    match outcome {
        AttemptOutcome::Failed => format!("failed ({})", failure.code),
        AttemptOutcome::Unknown => format!("unknown ({})", failure.code),
    }
}

fn caused(plan: &Plan, cause: &Cause) -> String {
    match cause {
        Cause::Step { step, failure } => format!("{}: {}", name(plan, *step), failure.code),
        Cause::Timeout => "timeout".into(),
        Cause::Cancelled { who, .. } => format!("cancelled by {who}"),
    }
}

fn parked(plan: &Plan, reason: &ParkReason) -> String {
    match reason {
        ParkReason::StepFailed { step, failure, end } => {
            let end = match end {
                BadEnd::Failed => "",
                BadEnd::Unknown => " unknown",
                BadEnd::Rejected => " rejected",
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
    }
}

fn finished(plan: &Plan, end: &End) -> String {
    match end {
        End::Completed { .. } => "completed".into(),
        End::Compensated { irreversible, .. } if irreversible.is_empty() => "compensated".into(),
        End::Compensated { irreversible, .. } => format!("compensated but for {}", names(plan, irreversible)),
        End::Abandoned { left, .. } if left.is_empty() => "abandoned".into(),
        End::Abandoned { left, .. } => format!("abandoned, left {}", names(plan, left)),
    }
}

fn names(plan: &Plan, steps: &[StepIndex]) -> String {
    steps.iter().map(|step| name(plan, *step)).collect::<Vec<_>>().join(", ")
}
