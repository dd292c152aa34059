//! A row without what it carries: enough to see where a saga stands, and small however large its payloads are.

use super::{Decision, End, Event, Trigger};
use crate::command::Request;
use serde_json::Value;

impl Decision {
    /// The same without payloads: what was sent, what was answered, and what came in. It folds to the same course, the same phases of all steps
    /// and the same reasons; results, requests and the trigger are missing. For looking at a saga, never for deciding.
    #[must_use]
    pub fn outline(&self) -> Decision {
        Decision { version: self.version, at: self.at, events: self.events.iter().map(event).collect() }
    }
}

fn event(event: &Event) -> Event {
    match event {
        Event::SagaStarted { name, key, definition, policies, trigger, traceparent: _ } => Event::SagaStarted {
            name: name.clone(),
            key: key.clone(),
            definition: definition.clone(),
            policies: policies.clone(),
            trigger: Box::new(self::trigger(trigger)),
            traceparent: None,
        },
        Event::StepStarted { step, direction, request, probe } => {
            Event::StepStarted { step: *step, direction: *direction, request: self::request(request), probe: *probe }
        }
        Event::StepSucceeded { step, direction, result: _ } => {
            Event::StepSucceeded { step: *step, direction: *direction, result: Value::Null }
        }
        Event::StepRejected { step, result: _, failure } => {
            Event::StepRejected { step: *step, result: Value::Null, failure: failure.clone() }
        }
        Event::StepAnswered { step, by, request, result: _ } => Event::StepAnswered {
            step: *step,
            by: by.clone(),
            request: request.as_ref().map(self::request),
            result: Value::Null,
        },
        Event::ResultArrived { step, result: _ } => Event::ResultArrived { step: *step, result: Value::Null },
        Event::OutcomeDue { end, request } => {
            Event::OutcomeDue { end: self::end(end), request: self::request(request) }
        }
        Event::OutcomeShortened { request } => Event::OutcomeShortened { request: self::request(request) },
        Event::SagaEnded { end } => Event::SagaEnded { end: self::end(end) },
        Event::WaitStarted { .. }
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
        | Event::IncidentOpened { .. } => event.clone(),
    }
}

fn trigger(trigger: &Trigger) -> Trigger {
    Trigger {
        topic: trigger.topic.clone(),
        partition: trigger.partition,
        offset: trigger.offset,
        key: None,
        timestamp: trigger.timestamp,
        headers: std::collections::BTreeMap::new(),
        event: Value::Null,
    }
}

/// Whom it goes to; neither path nor body.
fn request(request: &Request) -> Request {
    match request {
        Request::Kafka { participant, command, body: _ } => {
            Request::Kafka { participant: participant.clone(), command: command.clone(), body: Value::Null }
        }
        Request::Http { participant, method, path: _, body: _ } => {
            Request::Http { participant: participant.clone(), method: *method, path: String::new(), body: None }
        }
        Request::Publish { topic, event_type, key: _, body: _ } => Request::Publish {
            topic: topic.clone(),
            event_type: event_type.clone(),
            key: String::new(),
            body: Value::Null,
        },
    }
}

fn end(end: &End) -> End {
    match end {
        End::Completed { output: _ } => End::Completed { output: Value::Null },
        End::Compensated { .. } | End::Abandoned { .. } => end.clone(),
    }
}
