//! What came in and what was sent, as people are shown it.

use crate::{
    command::CommandRequest, direct_start::DirectStart, event::TriggerRecord, time::rfc3339, words::addressed,
};
use serde::Serialize;
use serde_json::Value;

/// The Kafka record that started a saga, or what stands in its place, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerView {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record; -1: it is in no topic.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
    /// The record's key, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The record's Kafka timestamp; RFC 3339, UTC.
    pub timestamp: String,
    /// Who asked the engine for the saga; `None`: a record of the topic started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<DirectStart>,
    /// Its payload: `event` in expressions.
    pub event: Value,
}

impl TriggerView {
    pub(super) fn of(trigger: &TriggerRecord) -> TriggerView {
        TriggerView {
            topic: trigger.topic.clone(),
            partition: trigger.partition,
            offset: trigger.offset,
            key: trigger.key.clone(),
            timestamp: rfc3339(trigger.timestamp),
            started_by: DirectStart::of(trigger),
            event: trigger.event.clone(),
        }
    }
}

/// What a command sends, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    /// The participant and what it is asked for: `POST payments/charges`, `ReserveStock to inventory`.
    pub to: String,
    /// The evaluated body of the request; null if it has none.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

impl RequestView {
    pub(super) fn of(request: &CommandRequest) -> RequestView {
        RequestView { to: addressed(request), body: body(request).cloned().unwrap_or_default() }
    }
}

/// What a request carries.
#[must_use]
pub fn body(request: &CommandRequest) -> Option<&Value> {
    match request {
        CommandRequest::Kafka { body, .. } | CommandRequest::Publish { body, .. } => Some(body),
        CommandRequest::Http { body, .. } => body.as_ref(),
    }
}
