//! A journal in words, event by event.

use super::Recorded;
use saga_core::{
    command::{CommandRef, Direction, Failure, Request},
    event::{AttemptOutcome, End, Ending, Event},
    id::StepIndex,
    state::{Plan, view},
    time::rfc3339,
};
use serde::Serialize;
use serde_json::Value;

/// One event of a journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// `<version>.<index>`
    pub event: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The step it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// In words.
    pub text: String,
    /// As it is stored.
    pub data: Value,
}

/// Everything that happened to a saga, oldest first.
#[must_use]
pub fn history(recorded: &Recorded) -> Vec<HistoryLine> {
    let plan = &recorded.plan;
    let numbered = recorded
        .decisions
        .iter()
        .flat_map(|decision| decision.events.iter().enumerate().map(move |(index, event)| (decision, index, event)));
    numbered
        .map(|(decision, index, event)| HistoryLine {
            event: format!("{}.{index}", decision.version),
            at: rfc3339(decision.at),
            step: saga_core::evolve::step_of(event).map(|step| plan.definition.step(step).name.clone()),
            text: describe(plan, event),
            data: serde_json::to_value(event).unwrap_or(Value::Null),
        })
        .collect()
}

/// One event in words.
#[must_use]
pub fn describe(plan: &Plan, event: &Event) -> String {
    match event {
        Event::SagaStarted { name, key, trigger, .. } => {
            format!("saga {name} started for key {key} by {}/{}/{}", trigger.topic, trigger.partition, trigger.offset)
        }
        Event::StepStarted { step, direction, request, probe } => {
            format!("{} sent{}: {}", command(plan, *step, *direction), as_probe(*probe), sent(request))
        }
        Event::WaitStarted { step, until } => format!("{} waits until {}", name(plan, *step), rfc3339(*until)),
        Event::AttemptStarted { step, direction, attempt, probe } => {
            format!("{}: attempt {attempt} sent{}", command(plan, *step, *direction), as_probe(*probe))
        }
        Event::AttemptFailed { step, direction, attempt, outcome, failure, retry_at, needs_person: _ } => {
            let next =
                retry_at.map_or_else(|| "no further attempt".to_owned(), |at| format!("next one at {}", rfc3339(at)));
            let outcome = self::outcome(*outcome);
            format!("{}: attempt {attempt} {outcome} ({}); {next}", command(plan, *step, *direction), told(failure))
        }
        Event::AttemptExtended { step, direction, attempt, deadline, .. } => {
            let command = command(plan, *step, *direction);
            format!("{command}: the participant works on attempt {attempt}, it has until {}", rfc3339(*deadline))
        }
        Event::StepWaiting { step, direction, guard, participant, not_before, .. } => {
            let (command, guard) = (command(plan, *step, *direction), view::guard_name(*guard));
            match participant {
                Some(participant) => {
                    format!("{command} waits for {guard} of {participant}: this time it did not leave")
                }
                None => format!("{command} held back by {guard} until {}", rfc3339(*not_before)),
            }
        }
        Event::StepSucceeded { step, direction: Direction::Do, .. } => format!("{} succeeded", name(plan, *step)),
        Event::StepSucceeded { step, direction: Direction::Undo, .. } => format!("{} undone", name(plan, *step)),
        Event::StepRejected { step, failure, .. } => format!("{} rejected: {}", name(plan, *step), told(failure)),
        Event::StepFailed { step, direction, outcome, failure, ending } => {
            let outcome = match outcome {
                AttemptOutcome::Failed => "failed",
                AttemptOutcome::Unknown => "ended unknown, it may have happened",
            };
            let command = command(plan, *step, *direction);
            format!("{command} {outcome}: {}{}", told(failure), because(*ending))
        }
        Event::StepAnswered { step, by, .. } => format!("{} answered by {}", name(plan, *step), view::stood_in(by)),
        Event::StepSkipped { step, direction: Direction::Do, in_doubt } => {
            let doubt = if *in_doubt { "; it may have happened" } else { "" };
            format!("{} skipped{doubt}", name(plan, *step))
        }
        Event::StepSkipped { step, direction: Direction::Undo, .. } => {
            format!("undo of {} declared done by hand", name(plan, *step))
        }
        Event::ResultArrived { step, .. } => format!("{} reports a late success", name(plan, *step)),
        Event::CompensationStarted { cause } => format!("the saga goes back: {}", view::caused(plan, cause)),
        Event::SagaOverdue => "the saga's time ended after its pivot: overdue, it goes on".into(),
        Event::SagaParked { reason } => format!("parked: {}", view::parked(plan, reason)),
        Event::SagaResumed => "goes on: what it was parked for resolved itself".into(),
        Event::OperatorActed { who, reason, action, command, .. } => {
            format!("{who}: {} ({reason})", view::acted(plan, *action, *command))
        }
        Event::OutcomeDue { request, .. } => format!("outcome event due: {}", sent(request)),
        Event::OutcomeWaiting { failure } => format!("the outcome event waits for its topic: {}", told(failure)),
        Event::OutcomeShortened { request } => format!("outcome event without output due: {}", sent(request)),
        Event::SagaEnded { end } => ended(plan, end),
        Event::IncidentOpened { step, direction, failure } => {
            format!("incident: {}", view::incident(step.map(|step| name(plan, step)), *direction, failure))
        }
    }
}

fn name(plan: &Plan, step: StepIndex) -> &str {
    &plan.definition.step(step).name
}

fn command(plan: &Plan, step: StepIndex, direction: Direction) -> String {
    view::command(plan, CommandRef { step, direction })
}

fn as_probe(probe: bool) -> &'static str {
    if probe { " to find out whether the participant is back; it is not counted" } else { "" }
}

fn sent(request: &Request) -> String {
    match request {
        Request::Kafka { participant, command, .. } => format!("command {command} to {participant}"),
        Request::Http { participant, method, path, .. } => {
            let method = serde_json::to_value(method).ok().and_then(|value| value.as_str().map(str::to_owned));
            format!("{} {participant}/{path}", method.unwrap_or_default())
        }
        Request::Publish { topic, event_type, .. } => format!("event {event_type} to topic {topic}"),
    }
}

fn told(failure: &Failure) -> String {
    view::told(failure)
}

fn outcome(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::Unknown => "is unknown",
    }
}

fn because(ending: Ending) -> &'static str {
    match ending {
        Ending::Definite => "; for good",
        Ending::Exhausted => "",
        Ending::NeedsPerson => "; for a person to look at",
    }
}

fn ended(plan: &Plan, end: &End) -> String {
    match end {
        End::Completed { .. } => "completed".into(),
        End::Compensated { cause, irreversible, in_doubt } => {
            let stays = view::stays(plan, irreversible, in_doubt).map(|stays| format!("; {stays}"));
            format!("compensated ({}){}", view::caused(plan, cause), stays.unwrap_or_default())
        }
        End::Abandoned { who, reason, left } => {
            let names: Vec<&str> = left.iter().map(|step| name(plan, *step)).collect();
            let left = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            format!("abandoned by {who} ({reason}); left undone: {left}")
        }
    }
}
