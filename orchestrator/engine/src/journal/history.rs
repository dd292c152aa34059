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
use std::collections::BTreeMap;

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
    /// What came in, was sent, or was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
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
    let events: Vec<&Event> = recorded.decisions.iter().flat_map(|decision| &decision.events).collect();
    numbered
        .zip(left(&events))
        .map(|((decision, index, event), left)| HistoryLine {
            event: format!("{}.{index}", decision.version),
            at: rfc3339(decision.at),
            step: saga_core::evolve::step_of(event).map(|step| plan.definition.step(step).name.clone()),
            text: describe(plan, event, left),
            payload: payload(event).filter(|payload| !payload.is_null()).cloned(),
            data: serde_json::to_value(event).unwrap_or(Value::Null),
        })
        .collect()
}

/// What an event carries: the trigger, a request, an answer, an output.
fn payload(event: &Event) -> Option<&Value> {
    match event {
        Event::SagaStarted { trigger, .. } => Some(&trigger.event),
        Event::StepStarted { request, .. }
        | Event::OutcomeDue { request, .. }
        | Event::OutcomeShortened { request } => view::body(request),
        Event::StepSucceeded { result, .. }
        | Event::StepRejected { result, .. }
        | Event::StepAnswered { result, .. }
        | Event::ResultArrived { result, .. } => Some(result),
        Event::SagaEnded { end: End::Completed { output } } => Some(output),
        Event::SagaEnded { end: End::Compensated { .. } | End::Abandoned { .. } }
        | Event::WaitStarted { .. }
        | Event::AttemptStarted { .. }
        | Event::AttemptFailed { .. }
        | Event::AttemptExtended { .. }
        | Event::StepWaiting { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::CompensationStarted { .. }
        | Event::SagaOverdue
        | Event::SagaParked { .. }
        | Event::SagaResumed
        | Event::OperatorActed { .. }
        | Event::DefinitionChanged { .. }
        | Event::OutcomeWaiting { .. }
        | Event::IncidentOpened { .. } => None,
    }
}

/// One event in words.
#[must_use]
pub fn describe(plan: &Plan, event: &Event, left: Left) -> String {
    match event {
        Event::SagaStarted { name, key, trigger, .. } => {
            format!("saga {name} started for key {key} by {}/{}/{}", trigger.topic, trigger.partition, trigger.offset)
        }
        Event::StepStarted { step, direction, request, probe } => {
            format!("{} {}: {}", command(plan, *step, *direction), left.sent(*probe), sent(request))
        }
        Event::WaitStarted { step, until } => format!("{} waits until {}", name(plan, *step), rfc3339(*until)),
        Event::AttemptStarted { step, direction, attempt, probe } => {
            format!("{}: attempt {attempt} {}", command(plan, *step, *direction), left.sent(*probe))
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
            let command = command(plan, *step, *direction);
            let not_sent = if left == Left::No { " was not sent:" } else { "" };
            match participant {
                Some(participant) => format!("{command}{not_sent} {}", view::held_back(*guard, participant)),
                None => {
                    format!(
                        "{command}{not_sent} held back by {} until {}",
                        view::guard_name(*guard),
                        rfc3339(*not_before)
                    )
                }
            }
        }
        Event::StepSucceeded { step, direction: Direction::Do, .. } => format!("{} succeeded", name(plan, *step)),
        Event::StepSucceeded { step, direction: Direction::Undo, .. } => format!("{} undone", name(plan, *step)),
        Event::StepRejected { step, failure, .. } => format!("{} rejected: {}", name(plan, *step), told(failure)),
        Event::StepFailed { step, direction, outcome, failure, ending } => {
            let outcome = match outcome {
                AttemptOutcome::Failed => "failed",
                AttemptOutcome::Unknown => "result unknown, it may have happened",
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
            format!("the undo of {} is marked as done by hand", name(plan, *step))
        }
        Event::ResultArrived { step, .. } => format!("{} reports a late success", name(plan, *step)),
        Event::CompensationStarted { cause } => format!("compensation starts: {}", view::caused(plan, cause)),
        Event::SagaOverdue => "the saga's time ended after its pivot: overdue, it goes on".into(),
        Event::SagaParked { reason } => format!("parked: {}", view::parked(plan, reason)),
        Event::SagaResumed => "goes on: what it was parked for resolved itself".into(),
        Event::OperatorActed { who, reason, action, command, .. } => {
            format!("{who}: {} ({reason})", view::acted(plan, *action, *command))
        }
        Event::DefinitionChanged { definition, .. } => format!("from here on it runs by the definition {definition}"),
        Event::OutcomeDue { request, .. } => format!("the outcome event will be published: {}", sent(request)),
        Event::OutcomeWaiting { failure } => format!("the outcome event waits for its topic: {}", told(failure)),
        Event::OutcomeShortened { request } => {
            format!("the outcome event will be published without output: {}", sent(request))
        }
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

/// Whether an attempt left that was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// As far as the journal tells.
    Yes,
    /// A guard held it back at the last moment, which the journal says after it. Of what a guard holds back: an attempt of it was decided on.
    No,
}

impl Left {
    fn sent(self, probe: bool) -> &'static str {
        match (self, probe) {
            (Left::Yes, false) => "sent",
            (Left::Yes, true) => "sent as a probe (does not count as an attempt)",
            (Left::No, false) => "chosen to be sent, but not sent (see below)",
            (Left::No, true) => "chosen as a probe, but not sent (see below)",
        }
    }
}

/// Of each event whether the attempt that it is about left: a start that the next event of its command takes back did not.
fn left(events: &[&Event]) -> Vec<Left> {
    let mut left = vec![Left::Yes; events.len()];
    let mut started: BTreeMap<CommandRef, usize> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if let Event::StepStarted { step, direction, .. } | Event::AttemptStarted { step, direction, .. } = event {
            started.insert(CommandRef { step: *step, direction: *direction }, index);
        } else if let Event::StepWaiting { step, direction, .. } = event {
            if let Some(start) = started.remove(&CommandRef { step: *step, direction: *direction }) {
                (left[start], left[index]) = (Left::No, Left::No);
            }
        } else if let Some(step) = saga_core::evolve::step_of(event) {
            started.retain(|command, _| command.step != step);
        }
    }
    left
}

fn sent(request: &Request) -> String {
    view::addressed(request)
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

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::{command::Guard, time::Timestamp};

    const STEP: StepIndex = StepIndex(0);

    fn started(direction: Direction) -> Event {
        Event::AttemptStarted { step: STEP, direction, attempt: 2, probe: true }
    }

    fn held(direction: Direction) -> Event {
        Event::StepWaiting {
            step: STEP,
            direction,
            guard: Guard::Breaker,
            participant: Some("payouts".into()),
            not_before: Timestamp(0),
            ever_sent: true,
        }
    }

    fn failed() -> Event {
        Event::AttemptFailed {
            step: STEP,
            direction: Direction::Do,
            attempt: 2,
            outcome: AttemptOutcome::Failed,
            failure: Failure::new("busy", ""),
            retry_at: None,
            needs_person: false,
        }
    }

    fn of(events: &[Event]) -> Vec<Left> {
        left(&events.iter().collect::<Vec<_>>())
    }

    #[test]
    fn an_attempt_that_a_guard_took_back_is_told_as_not_sent_from_the_start() {
        let (go, back) = (Direction::Do, Direction::Undo);
        assert_eq!(of(&[started(go), held(go)]), [Left::No, Left::No]);
        assert_eq!(of(&[held(go), started(go), failed(), held(go)]), [Left::Yes; 4]);
        // What is about the undo says nothing of the do.
        assert_eq!(of(&[started(go), held(back)]), [Left::Yes; 2]);
        assert_eq!(Left::No.sent(true), "chosen as a probe, but not sent (see below)");
    }
}
