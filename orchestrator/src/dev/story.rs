//! What is committed, told to somebody who sees a saga for the first time.

use super::terminal::{Fact, Mark};
use saga_core::{
    command::{Direction, Failure, Request},
    event::{AttemptOutcome, Cause, Decision, End, Event, Trigger},
    id::StepIndex,
    state::{Plan, State, view},
};
use serde_json::Value;
use std::time::Duration;

/// Of a payload or a result this much is shown.
const GIST_CHARS: usize = 60;

/// The decision, one line per fact that a newcomer needs.
pub(super) fn tell(plan: &Plan, state: &State, decision: &Decision) -> Vec<Fact> {
    decision.events.iter().filter_map(|event| Teller { plan, state, decision }.fact(event)).collect()
}

struct Teller<'a> {
    plan: &'a Plan,
    state: &'a State,
    decision: &'a Decision,
}

impl Teller<'_> {
    fn fact(&self, event: &Event) -> Option<Fact> {
        let (step, mark, text) = match event {
            Event::SagaStarted { name, trigger, .. } => (None, Mark::Begin, self.began(name, trigger)),
            Event::StepStarted { step, direction, request, .. } => self.sent(*step, *direction, request),
            Event::AttemptStarted { step, direction, attempt, .. } => {
                (Some(*step), Mark::Send, format!("{}asked again, attempt {attempt}", undo(*direction)))
            }
            Event::WaitStarted { step, until } => {
                (Some(*step), Mark::Wait, format!("waits for {}", span(until.since(self.decision.at))))
            }
            // The step's own end follows in the same decision.
            Event::AttemptFailed { retry_at: None, .. } => return None,
            Event::AttemptFailed { step, direction, outcome, failure, retry_at: Some(at), .. } => {
                let again = span(at.since(self.decision.at));
                (Some(*step), Mark::Wait, format!("{}{}; again in {again}", undo(*direction), told(*outcome, failure)))
            }
            Event::AttemptExtended { step, direction, .. } => {
                (Some(*step), Mark::Wait, format!("{}the participant is still at work", undo(*direction)))
            }
            Event::ResultArrived { .. } => return None,
            Event::StepWaiting { step, direction, guard, .. } => {
                (Some(*step), Mark::Wait, format!("{}waits for {}", undo(*direction), view::guard_name(*guard)))
            }
            Event::StepSucceeded { step, direction: Direction::Do, result } => {
                (Some(*step), Mark::Good, format!("done{}", with_gist(result, &self.state.key)))
            }
            Event::StepSucceeded { step, direction: Direction::Undo, .. } => {
                (Some(*step), Mark::Undone, "undone".to_owned())
            }
            Event::StepAnswered { step, by, result, .. } => {
                let mark = if by.failure().is_some() { Mark::Bad } else { Mark::Good };
                let gist = with_gist(result, &self.state.key);
                (Some(*step), mark, format!("answered by {}{gist}", view::stood_in(by)))
            }
            Event::StepRejected { step, failure, result } => {
                let answer = with_gist(result, &self.state.key);
                (Some(*step), Mark::Bad, format!("answered{answer}, and that is refused ({})", view::told(failure)))
            }
            Event::StepFailed { step, direction, outcome, failure, ending: _ } => {
                (Some(*step), Mark::Bad, format!("{}{}", undo(*direction), told(*outcome, failure)))
            }
            Event::StepSkipped { step, direction: Direction::Do, in_doubt } => {
                let what = if *in_doubt { "skipped; it may have happened" } else { "not needed" };
                (Some(*step), Mark::Skip, what.to_owned())
            }
            Event::StepSkipped { step, direction: Direction::Undo, .. } => {
                (Some(*step), Mark::Undone, "the operator marked it as undone".to_owned())
            }
            Event::CompensationStarted { cause } => (None, Mark::Back, self.goes_back(cause)),
            Event::SagaOverdue => (None, Mark::Wait, "overdue: its time is over, and it goes on".to_owned()),
            Event::SagaParked { reason } => {
                (None, Mark::Parked, format!("parked, somebody has to decide: {}", view::parked(self.plan, reason)))
            }
            Event::SagaResumed => (None, Mark::Good, "goes on: what it was parked for resolved itself".to_owned()),
            Event::OperatorActed { who, reason, action, command, .. } => {
                (None, Mark::Begin, format!("{who} says {}: {reason}", view::acted(self.plan, *action, *command)))
            }
            Event::DefinitionChanged { definition, .. } => {
                (None, Mark::Begin, format!("from here on it runs by the definition {definition}"))
            }
            Event::OutcomeDue { request: Request::Publish { topic, event_type, .. }, .. } => {
                (None, Mark::Send, format!("event {event_type} to topic {topic}"))
            }
            Event::OutcomeDue { .. } | Event::OutcomeShortened { .. } => return None,
            Event::OutcomeWaiting { failure } => {
                (None, Mark::Wait, format!("its outcome event waits for its topic: {}", view::told(failure)))
            }
            Event::SagaEnded { end } => self.ended(end),
            Event::IncidentOpened { step, direction, failure } => {
                let undo = if *direction == Some(Direction::Undo) { "the undo: " } else { "" };
                (*step, Mark::Parked, format!("somebody should look at this: {undo}{}", view::told(failure)))
            }
        };
        let step = step.map(|step| self.plan.definition.step(step).name.clone()).unwrap_or_default();
        Some(Fact { step, mark, text })
    }

    fn began(&self, name: &str, trigger: &Trigger) -> String {
        let what = trigger.headers.get("ce_type").or(self.plan.definition.trigger.event_type.as_ref());
        let what = what.map_or("an event", String::as_str);
        let gist = with_gist(&trigger.event, &self.state.key);
        format!("{what} on {} starts saga {name}{gist}", trigger.topic)
    }

    fn sent(&self, step: StepIndex, direction: Direction, request: &Request) -> (Option<StepIndex>, Mark, String) {
        let what = match request {
            Request::Kafka { participant, command, .. } => format!("command {command} to {participant}, over Kafka"),
            Request::Http { participant, method, path, .. } => {
                format!("{} {participant}/{path}, over HTTP", word(method))
            }
            Request::Publish { topic, event_type, .. } => format!("event {event_type} to topic {topic}"),
        };
        match direction {
            Direction::Do => (Some(step), Mark::Send, what),
            Direction::Undo => (Some(step), Mark::Back, format!("undo: {what}")),
        }
    }

    fn goes_back(&self, cause: &Cause) -> String {
        let why = match cause {
            Cause::Step { step, .. } => format!("{} did not succeed", self.plan.definition.step(*step).name),
            Cause::Timeout => "its time is over".to_owned(),
            Cause::Cancelled { who, reason } => format!("{who} cancelled it ({reason})"),
        };
        format!("{why}: whatever was or may have been done is undone, the last first")
    }

    fn ended(&self, end: &End) -> (Option<StepIndex>, Mark, String) {
        let took = span(self.decision.at.since(self.state.started_at));
        match end {
            End::Completed { .. } => (None, Mark::Ended, format!("completed after {took}")),
            End::Compensated { cause, irreversible, in_doubt } => {
                let left = view::stays(self.plan, irreversible, in_doubt);
                let left = left.unwrap_or_else(|| "everything was undone".to_owned());
                let why = view::caused(self.plan, cause);
                (None, Mark::EndedUndone, format!("compensated after {took}, {left} ({why})"))
            }
            End::Abandoned { who, reason, left } => {
                let left = if left.is_empty() { "nothing".to_owned() } else { self.names(left) };
                (None, Mark::Parked, format!("abandoned by {who} ({reason}); left undone: {left}"))
            }
        }
    }

    fn names(&self, steps: &[StepIndex]) -> String {
        let names: Vec<&str> = steps.iter().map(|step| self.plan.definition.step(*step).name.as_str()).collect();
        names.join(", ")
    }
}

fn undo(direction: Direction) -> &'static str {
    match direction {
        Direction::Do => "",
        Direction::Undo => "undo: ",
    }
}

fn told(outcome: AttemptOutcome, failure: &Failure) -> String {
    match outcome {
        AttemptOutcome::Failed => format!("refused ({})", view::told(failure)),
        AttemptOutcome::Unknown if failure.code == "timeout" => "no answer in time: it may have happened".to_owned(),
        AttemptOutcome::Unknown => format!("no answer, so it may have happened ({})", view::told(failure)),
    }
}

/// A unit variant as it is written in JSON.
fn word(variant: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(variant).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The plain fields of an object, as far as they fit a line; not those that only repeat the saga's key, which stands before it.
fn with_gist(value: &Value, key: &str) -> String {
    let Some(fields) = value.as_object() else { return String::new() };
    let shown = fields.iter().filter_map(|(name, value)| match value {
        Value::String(text) if text == key => None,
        Value::String(text) => Some(format!("{name} {text}")),
        Value::Number(_) | Value::Bool(_) => Some(format!("{name} {value}")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    });
    let gist = shown.collect::<Vec<_>>().join(", ");
    match gist.char_indices().nth(GIST_CHARS) {
        None if gist.is_empty() => String::new(),
        None => format!(": {gist}"),
        Some((end, _)) => format!(": {}…", &gist[..end]),
    }
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{:.1} h", duration.as_secs_f64() / 3600.0),
    }
}
