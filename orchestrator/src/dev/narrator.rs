//! Commits as lines of the terminal, for a reader who sees a saga for the first time.

use super::terminal::{NarrationLine, NarrationMark};
use saga_core::{
    command::{CommandDirection, CommandFailure, CommandRequest},
    event::{AttemptOutcome, CompensationCause, SagaDecision, SagaEnd, SagaEvent, SubstituteAnswer, TriggerRecord},
    id::StepIndex,
    state::{SagaPlan, SagaState},
    time::Timestamp,
    words,
};
use serde_json::Value;
use std::{fmt::Display, time::Duration};

/// Characters of a payload or a result that are shown.
const GIST_CHARS: usize = 60;

/// The decision, one line per fact that such a reader needs.
pub(super) fn narrate(plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) -> Vec<NarrationLine> {
    decision.events.iter().filter_map(|event| SagaNarrator { plan, state, decision }.fact(event)).collect()
}

struct SagaNarrator<'a> {
    plan: &'a SagaPlan,
    state: &'a SagaState,
    decision: &'a SagaDecision,
}

impl SagaNarrator<'_> {
    /// The line of an event; `None`: another event of the same decision says it.
    fn fact(&self, event: &SagaEvent) -> Option<NarrationLine> {
        let line = match event {
            SagaEvent::SagaStarted { name, trigger, .. } => self.saga(NarrationMark::Begin, self.began(name, trigger)),
            SagaEvent::StepStarted { step, direction, request, .. } => self.sent(*step, *direction, request),
            SagaEvent::AttemptStarted { step, direction, attempt, .. } => {
                self.step(*step, *direction, NarrationMark::Send, format!("sent again, attempt {attempt}"))
            }
            SagaEvent::WaitStarted { step, until } => self.waits(*step, *until),
            // The step's own end follows in the same decision.
            SagaEvent::AttemptFailed { retry_at: None, .. } => return None,
            SagaEvent::AttemptFailed { step, direction, outcome, failure, retry_at: Some(at), .. } => {
                let text = format!("{}; next attempt in {}", told(*outcome, failure), self.until(*at));
                self.step(*step, *direction, NarrationMark::Wait, text)
            }
            SagaEvent::AttemptExtended { step, direction, .. } => {
                self.step(*step, *direction, NarrationMark::Wait, "the participant still works on it")
            }
            SagaEvent::StepTakenOver { .. } | SagaEvent::ResultArrived { .. } => return None,
            SagaEvent::StepWaiting { step, direction, guard, .. } => {
                self.step(*step, *direction, NarrationMark::Wait, format!("waits for {}", words::guard_name(*guard)))
            }
            SagaEvent::StepSucceeded { step, direction, result } => self.succeeded(*step, *direction, result),
            SagaEvent::StepAnswered { step, by, result, .. } => self.substituted(*step, by, result),
            SagaEvent::StepRejected { step, failure, result } => {
                let text = format!("answered{}; the check refuses it ({})", self.gist(result), words::told(failure));
                self.step(*step, CommandDirection::Do, NarrationMark::Bad, text)
            }
            SagaEvent::StepFailed { step, direction, outcome, failure, ending: _ } => {
                self.step(*step, *direction, NarrationMark::Bad, told(*outcome, failure))
            }
            SagaEvent::StepSkipped { step, direction, in_doubt } => self.skipped(*step, *direction, *in_doubt),
            SagaEvent::CompensationStarted { cause } => self.saga(NarrationMark::Back, self.goes_back(cause)),
            SagaEvent::SagaOverdue => {
                self.saga(NarrationMark::Wait, "overdue: its timeout is over, and the saga goes on".to_owned())
            }
            SagaEvent::SagaParked { reason } => {
                let text = format!("parked, an operator has to decide: {}", words::parked(self.plan, reason));
                self.saga(NarrationMark::Parked, text)
            }
            SagaEvent::SagaResumed => {
                self.saga(NarrationMark::Good, "goes on: a late answer removed the reason it was parked for".to_owned())
            }
            SagaEvent::OperatorActed { who, reason, action, command, .. } => {
                let text = format!("{who} asks for {}: {reason}", words::acted(self.plan, *action, *command));
                self.saga(NarrationMark::Begin, text)
            }
            SagaEvent::DefinitionChanged { definition, .. } => {
                self.saga(NarrationMark::Begin, format!("from here on it runs by the definition {definition}"))
            }
            SagaEvent::OutcomeDue { request: CommandRequest::Publish { topic, event_type, .. }, .. } => {
                self.saga(NarrationMark::Send, format!("event {event_type} to topic {topic}"))
            }
            SagaEvent::OutcomeDue { .. } | SagaEvent::OutcomeShortened { .. } => return None,
            SagaEvent::OutcomeWaiting { failure } => self
                .saga(NarrationMark::Wait, format!("the outcome event waits for its topic: {}", words::told(failure))),
            SagaEvent::SagaEnded { end } => self.ended(end),
            SagaEvent::IncidentOpened { step, direction, failure } => self.incident(*step, *direction, failure),
        };
        Some(line)
    }

    fn saga(&self, mark: NarrationMark, text: String) -> NarrationLine {
        NarrationLine { step: String::new(), mark, text }
    }

    fn step(
        &self,
        step: StepIndex,
        direction: CommandDirection,
        mark: NarrationMark,
        text: impl Display,
    ) -> NarrationLine {
        let undo = match direction {
            CommandDirection::Do => "",
            CommandDirection::Undo => "undo: ",
        };
        let step = self.plan.definition.step(step).name.clone();
        NarrationLine { step, mark, text: format!("{undo}{text}") }
    }

    /// The line of an undone step, whose mark already says it.
    fn undone(&self, step: StepIndex, text: &str) -> NarrationLine {
        self.step(step, CommandDirection::Do, NarrationMark::Undone, text)
    }

    fn waits(&self, step: StepIndex, until: Timestamp) -> NarrationLine {
        self.step(step, CommandDirection::Do, NarrationMark::Wait, format!("waits for {}", self.until(until)))
    }

    fn succeeded(&self, step: StepIndex, direction: CommandDirection, result: &Value) -> NarrationLine {
        match direction {
            CommandDirection::Do => {
                self.step(step, direction, NarrationMark::Good, format!("done{}", self.gist(result)))
            }
            CommandDirection::Undo => self.undone(step, "undone"),
        }
    }

    fn substituted(&self, step: StepIndex, by: &SubstituteAnswer, result: &Value) -> NarrationLine {
        let mark = if by.failure().is_some() { NarrationMark::Bad } else { NarrationMark::Good };
        let text = format!("answered by {}{}", words::stood_in(by), self.gist(result));
        self.step(step, CommandDirection::Do, mark, text)
    }

    fn skipped(&self, step: StepIndex, direction: CommandDirection, in_doubt: bool) -> NarrationLine {
        match direction {
            CommandDirection::Do => {
                let text = if in_doubt { "skipped; it may have happened" } else { "not needed" };
                self.step(step, direction, NarrationMark::Skip, text)
            }
            CommandDirection::Undo => self.undone(step, "the operator marked it as undone"),
        }
    }

    fn incident(
        &self,
        step: Option<StepIndex>,
        direction: Option<CommandDirection>,
        failure: &CommandFailure,
    ) -> NarrationLine {
        let undo = if direction == Some(CommandDirection::Undo) { "the undo: " } else { "" };
        let text = format!("an operator should look at this: {undo}{}", words::told(failure));
        match step {
            Some(step) => self.step(step, CommandDirection::Do, NarrationMark::Parked, text),
            None => self.saga(NarrationMark::Parked, text),
        }
    }

    fn until(&self, at: Timestamp) -> String {
        span(at.since(self.decision.at))
    }

    fn gist(&self, value: &Value) -> String {
        with_gist(value, &self.state.key)
    }

    fn began(&self, name: &str, trigger: &TriggerRecord) -> String {
        let what = trigger.headers.get("ce_type").or(self.plan.definition.trigger.event_type.as_ref());
        let what = what.map_or("an event", String::as_str);
        format!("{what} on {} starts saga {name}{}", trigger.topic, self.gist(&trigger.event))
    }

    fn sent(&self, step: StepIndex, direction: CommandDirection, request: &CommandRequest) -> NarrationLine {
        let what = match request {
            CommandRequest::Kafka { participant, command, .. } => {
                format!("command {command} to {participant}, over Kafka")
            }
            CommandRequest::Http { participant, method, path, .. } => {
                format!("{} {participant}/{path}, over HTTP", word(method))
            }
            CommandRequest::Publish { topic, event_type, .. } => format!("event {event_type} to topic {topic}"),
        };
        let mark = match direction {
            CommandDirection::Do => NarrationMark::Send,
            CommandDirection::Undo => NarrationMark::Back,
        };
        self.step(step, direction, mark, what)
    }

    fn goes_back(&self, cause: &CompensationCause) -> String {
        let why = match cause {
            CompensationCause::Step { step, .. } => {
                format!("{} did not succeed", self.plan.definition.step(*step).name)
            }
            CompensationCause::Timeout => "its timeout is over".to_owned(),
            CompensationCause::Cancelled { who, reason } => format!("{who} cancelled it ({reason})"),
        };
        format!("{why}: every step that was or may have been done is undone, the last first")
    }

    fn ended(&self, end: &SagaEnd) -> NarrationLine {
        let took = span(self.decision.at.since(self.state.started_at));
        match end {
            SagaEnd::Completed { .. } => self.saga(NarrationMark::Ended, format!("completed after {took}")),
            SagaEnd::Compensated { cause, irreversible, in_doubt } => {
                let left = words::stays(self.plan, irreversible, in_doubt);
                let left = left.unwrap_or_else(|| "everything was undone".to_owned());
                let why = words::caused(self.plan, cause);
                self.saga(NarrationMark::EndedUndone, format!("compensated after {took}, {left} ({why})"))
            }
            SagaEnd::Abandoned { who, reason, left } => {
                let left = if left.is_empty() { "nothing".to_owned() } else { self.names(left) };
                self.saga(NarrationMark::Parked, format!("abandoned by {who} ({reason}); left undone: {left}"))
            }
        }
    }

    fn names(&self, steps: &[StepIndex]) -> String {
        let names: Vec<&str> = steps.iter().map(|step| self.plan.definition.step(*step).name.as_str()).collect();
        names.join(", ")
    }
}

fn told(outcome: AttemptOutcome, failure: &CommandFailure) -> String {
    match outcome {
        AttemptOutcome::Failed => format!("refused ({})", words::told(failure)),
        AttemptOutcome::Unknown if failure.code == "timeout" => "no answer in time: it may have happened".to_owned(),
        AttemptOutcome::Unknown => format!("no answer, so it may have happened ({})", words::told(failure)),
    }
}

/// A unit variant as it is written in JSON.
fn word(variant: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(variant).ok();
    value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The plain fields of an object, as far as they fit a line; a field that repeats the saga's key is left out.
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
