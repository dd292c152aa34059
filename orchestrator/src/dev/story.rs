//! What is committed, told to somebody who sees a saga for the first time.

use super::terminal::{NarrationLine, NarrationMark};
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRequest},
    event::{AttemptOutcome, CompensationCause, SagaDecision, SagaEnd, SagaEvent, TriggerRecord},
    id::StepIndex,
    state::{SagaPlan, SagaState},
    words,
};
use serde_json::Value;
use std::time::Duration;

/// Of a payload or a result this much is shown.
const GIST_CHARS: usize = 60;

/// The decision, one line per fact that a newcomer needs.
pub(super) fn tell(plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) -> Vec<NarrationLine> {
    decision.events.iter().filter_map(|event| SagaNarrator { plan, state, decision }.fact(event)).collect()
}

struct SagaNarrator<'a> {
    plan: &'a SagaPlan,
    state: &'a SagaState,
    decision: &'a SagaDecision,
}

impl SagaNarrator<'_> {
    fn fact(&self, event: &SagaEvent) -> Option<NarrationLine> {
        let (step, mark, text) = match event {
            SagaEvent::SagaStarted { name, trigger, .. } => (None, NarrationMark::Begin, self.began(name, trigger)),
            SagaEvent::StepStarted { step, direction, request, .. } => self.sent(*step, *direction, request),
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
                (Some(*step), NarrationMark::Send, format!("{}asked again, attempt {attempt}", undo(*direction)))
            }
            SagaEvent::WaitStarted { step, until } => {
                (Some(*step), NarrationMark::Wait, format!("waits for {}", span(until.since(self.decision.at))))
            }
            // The step's own end follows in the same decision.
            SagaEvent::AttemptFailed { retry_at: None, .. } => return None,
            SagaEvent::AttemptFailed { step, direction, outcome, failure, retry_at: Some(at), .. } => {
                let again = span(at.since(self.decision.at));
                (
                    Some(*step),
                    NarrationMark::Wait,
                    format!("{}{}; again in {again}", undo(*direction), told(*outcome, failure)),
                )
            }
            SagaEvent::AttemptExtended { step, direction, .. } => {
                (Some(*step), NarrationMark::Wait, format!("{}the participant is still at work", undo(*direction)))
            }
            SagaEvent::ResultArrived { .. } => return None,
            SagaEvent::StepWaiting { step, direction, guard, .. } => (
                Some(*step),
                NarrationMark::Wait,
                format!("{}waits for {}", undo(*direction), words::guard_name(*guard)),
            ),
            SagaEvent::StepSucceeded { step, direction: CommandDirection::Do, result } => {
                (Some(*step), NarrationMark::Good, format!("done{}", with_gist(result, &self.state.key)))
            }
            SagaEvent::StepSucceeded { step, direction: CommandDirection::Undo, .. } => {
                (Some(*step), NarrationMark::Undone, "undone".to_owned())
            }
            SagaEvent::StepAnswered { step, by, result, .. } => {
                let mark = if by.failure().is_some() { NarrationMark::Bad } else { NarrationMark::Good };
                let gist = with_gist(result, &self.state.key);
                (Some(*step), mark, format!("answered by {}{gist}", words::stood_in(by)))
            }
            SagaEvent::StepRejected { step, failure, result } => {
                let answer = with_gist(result, &self.state.key);
                (
                    Some(*step),
                    NarrationMark::Bad,
                    format!("answered{answer}, and that is refused ({})", words::told(failure)),
                )
            }
            SagaEvent::StepFailed { step, direction, outcome, failure, ending: _ } => {
                (Some(*step), NarrationMark::Bad, format!("{}{}", undo(*direction), told(*outcome, failure)))
            }
            SagaEvent::StepSkipped { step, direction: CommandDirection::Do, in_doubt } => {
                let what = if *in_doubt { "skipped; it may have happened" } else { "not needed" };
                (Some(*step), NarrationMark::Skip, what.to_owned())
            }
            SagaEvent::StepSkipped { step, direction: CommandDirection::Undo, .. } => {
                (Some(*step), NarrationMark::Undone, "the operator marked it as undone".to_owned())
            }
            SagaEvent::CompensationStarted { cause } => (None, NarrationMark::Back, self.goes_back(cause)),
            SagaEvent::SagaOverdue => {
                (None, NarrationMark::Wait, "overdue: its time is over, and it goes on".to_owned())
            }
            SagaEvent::SagaParked { reason } => (
                None,
                NarrationMark::Parked,
                format!("parked, somebody has to decide: {}", words::parked(self.plan, reason)),
            ),
            SagaEvent::SagaResumed => {
                (None, NarrationMark::Good, "goes on: what it was parked for resolved itself".to_owned())
            }
            SagaEvent::OperatorActed { who, reason, action, command, .. } => (
                None,
                NarrationMark::Begin,
                format!("{who} says {}: {reason}", words::acted(self.plan, *action, *command)),
            ),
            SagaEvent::DefinitionChanged { definition, .. } => {
                (None, NarrationMark::Begin, format!("from here on it runs by the definition {definition}"))
            }
            SagaEvent::OutcomeDue { request: CommandRequest::Publish { topic, event_type, .. }, .. } => {
                (None, NarrationMark::Send, format!("event {event_type} to topic {topic}"))
            }
            SagaEvent::OutcomeDue { .. } | SagaEvent::OutcomeShortened { .. } => return None,
            SagaEvent::OutcomeWaiting { failure } => {
                (None, NarrationMark::Wait, format!("its outcome event waits for its topic: {}", words::told(failure)))
            }
            SagaEvent::SagaEnded { end } => self.ended(end),
            SagaEvent::IncidentOpened { step, direction, failure } => {
                let undo = if *direction == Some(CommandDirection::Undo) { "the undo: " } else { "" };
                (*step, NarrationMark::Parked, format!("somebody should look at this: {undo}{}", words::told(failure)))
            }
        };
        let step = step.map(|step| self.plan.definition.step(step).name.clone()).unwrap_or_default();
        Some(NarrationLine { step, mark, text })
    }

    fn began(&self, name: &str, trigger: &TriggerRecord) -> String {
        let what = trigger.headers.get("ce_type").or(self.plan.definition.trigger.event_type.as_ref());
        let what = what.map_or("an event", String::as_str);
        let gist = with_gist(&trigger.event, &self.state.key);
        format!("{what} on {} starts saga {name}{gist}", trigger.topic)
    }

    fn sent(
        &self,
        step: StepIndex,
        direction: CommandDirection,
        request: &CommandRequest,
    ) -> (Option<StepIndex>, NarrationMark, String) {
        let what = match request {
            CommandRequest::Kafka { participant, command, .. } => {
                format!("command {command} to {participant}, over Kafka")
            }
            CommandRequest::Http { participant, method, path, .. } => {
                format!("{} {participant}/{path}, over HTTP", method.as_str())
            }
            CommandRequest::Publish { topic, event_type, .. } => format!("event {event_type} to topic {topic}"),
        };
        match direction {
            CommandDirection::Do => (Some(step), NarrationMark::Send, what),
            CommandDirection::Undo => (Some(step), NarrationMark::Back, format!("undo: {what}")),
        }
    }

    fn goes_back(&self, cause: &CompensationCause) -> String {
        let why = match cause {
            CompensationCause::Step { step, .. } => {
                format!("{} did not succeed", self.plan.definition.step(*step).name)
            }
            CompensationCause::Timeout => "its time is over".to_owned(),
            CompensationCause::Cancelled { who, reason } => format!("{who} cancelled it ({reason})"),
        };
        format!("{why}: whatever was or may have been done is undone, the last first")
    }

    fn ended(&self, end: &SagaEnd) -> (Option<StepIndex>, NarrationMark, String) {
        let took = span(self.decision.at.since(self.state.started_at));
        match end {
            SagaEnd::Completed { .. } => (None, NarrationMark::Ended, format!("completed after {took}")),
            SagaEnd::Compensated { cause, irreversible, in_doubt } => {
                let left = words::stays(self.plan, irreversible, in_doubt);
                let left = left.unwrap_or_else(|| "everything was undone".to_owned());
                let why = words::caused(self.plan, cause);
                (None, NarrationMark::EndedUndone, format!("compensated after {took}, {left} ({why})"))
            }
            SagaEnd::Abandoned { who, reason, left } => {
                let left = if left.is_empty() { "nothing".to_owned() } else { self.names(left) };
                (None, NarrationMark::Parked, format!("abandoned by {who} ({reason}); left undone: {left}"))
            }
        }
    }

    fn names(&self, steps: &[StepIndex]) -> String {
        let names: Vec<&str> = steps.iter().map(|step| self.plan.definition.step(*step).name.as_str()).collect();
        names.join(", ")
    }
}

fn undo(direction: CommandDirection) -> &'static str {
    match direction {
        CommandDirection::Do => "",
        CommandDirection::Undo => "undo: ",
    }
}

fn told(outcome: AttemptOutcome, failure: &CommandFailure) -> String {
    match outcome {
        AttemptOutcome::Failed => format!("refused ({})", words::told(failure)),
        AttemptOutcome::Unknown if failure.code == "timeout" => "no answer in time: it may have happened".to_owned(),
        AttemptOutcome::Unknown => format!("no answer, so it may have happened ({})", words::told(failure)),
    }
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
