//! A row without what it carries: enough to see where a saga stands, and small however large its payloads are.

use super::{SagaDecision, SagaEnd, SagaEvent, TakenOverStep, TriggerRecord};
use crate::command::CommandRequest;
use serde_json::Value;

impl SagaDecision {
    /// The same without payloads: what was sent, what was answered, and what came in. It folds to the same course, the
    /// same phases of all steps and the same reasons; results, requests and the trigger are missing. For looking at a
    /// saga, never for deciding.
    #[must_use]
    pub fn outline(&self) -> SagaDecision {
        SagaDecision { version: self.version, at: self.at, events: self.events.iter().map(event).collect() }
    }
}

fn event(event: &SagaEvent) -> SagaEvent {
    match event {
        SagaEvent::SagaStarted { name, key, definition, policies, trigger, traceparent: _, forked_from } => {
            SagaEvent::SagaStarted {
                name: name.clone(),
                key: key.clone(),
                definition: definition.clone(),
                policies: policies.clone(),
                trigger: Box::new(self::trigger(trigger)),
                traceparent: None,
                forked_from: forked_from.clone(),
            }
        }
        SagaEvent::StepTakenOver { step, taken } => {
            SagaEvent::StepTakenOver { step: *step, taken: Box::new(self::taken(taken)) }
        }
        SagaEvent::StepStarted { step, direction, request, probe } => SagaEvent::StepStarted {
            step: *step,
            direction: *direction,
            request: self::request(request),
            probe: *probe,
        },
        SagaEvent::StepSucceeded { step, direction, result: _ } => {
            SagaEvent::StepSucceeded { step: *step, direction: *direction, result: Value::Null }
        }
        SagaEvent::StepRejected { step, result: _, failure } => {
            SagaEvent::StepRejected { step: *step, result: Value::Null, failure: failure.clone() }
        }
        SagaEvent::StepAnswered { step, by, request, result: _ } => SagaEvent::StepAnswered {
            step: *step,
            by: by.clone(),
            request: request.as_ref().map(self::request),
            result: Value::Null,
        },
        SagaEvent::ResultArrived { step, result: _ } => SagaEvent::ResultArrived { step: *step, result: Value::Null },
        SagaEvent::OutcomeDue { end, request } => {
            SagaEvent::OutcomeDue { end: self::end(end), request: self::request(request) }
        }
        SagaEvent::OutcomeShortened { request } => SagaEvent::OutcomeShortened { request: self::request(request) },
        SagaEvent::SagaEnded { end } => SagaEvent::SagaEnded { end: self::end(end) },
        SagaEvent::WaitStarted { .. }
        | SagaEvent::AttemptStarted { .. }
        | SagaEvent::AttemptFailed { .. }
        | SagaEvent::AttemptExtended { .. }
        | SagaEvent::StepWaiting { .. }
        | SagaEvent::StepFailed { .. }
        | SagaEvent::StepSkipped { .. }
        | SagaEvent::CompensationStarted { .. }
        | SagaEvent::SagaOverdue
        | SagaEvent::SagaParked { .. }
        | SagaEvent::SagaResumed
        | SagaEvent::OperatorActed { .. }
        | SagaEvent::DefinitionChanged { .. }
        | SagaEvent::OutcomeWaiting { .. }
        | SagaEvent::IncidentOpened { .. } => event.clone(),
    }
}

fn trigger(trigger: &TriggerRecord) -> TriggerRecord {
    TriggerRecord {
        topic: trigger.topic.clone(),
        partition: trigger.partition,
        offset: trigger.offset,
        key: None,
        timestamp: trigger.timestamp,
        headers: std::collections::BTreeMap::new(),
        event: Value::Null,
    }
}

fn taken(taken: &TakenOverStep) -> TakenOverStep {
    TakenOverStep {
        outcome: taken.outcome.clone(),
        result: Value::Null,
        request: taken.request.as_ref().map(request),
        done_in: taken.done_in,
        by: taken.by.clone(),
    }
}

/// The participant or the topic that it goes to; neither path nor body.
fn request(request: &CommandRequest) -> CommandRequest {
    match request {
        CommandRequest::Kafka { participant, command, body: _ } => {
            CommandRequest::Kafka { participant: participant.clone(), command: command.clone(), body: Value::Null }
        }
        CommandRequest::Http { participant, method, path: _, body: _ } => {
            CommandRequest::Http { participant: participant.clone(), method: *method, path: String::new(), body: None }
        }
        CommandRequest::Publish { topic, event_type, key: _, body: _ } => CommandRequest::Publish {
            topic: topic.clone(),
            event_type: event_type.clone(),
            key: String::new(),
            body: Value::Null,
        },
    }
}

fn end(end: &SagaEnd) -> SagaEnd {
    match end {
        SagaEnd::Completed { output: _ } => SagaEnd::Completed { output: Value::Null },
        SagaEnd::Compensated { .. } | SagaEnd::Abandoned { .. } => end.clone(),
    }
}
