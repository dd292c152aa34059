//! Says in words what a record is that a trigger does not expect. The person who repairs the producer has to know what
//! it sends.

use crate::{payload, record::KafkaRecord};
use saga_core::json::{self, JsonError};
use serde_json::Value;

/// Headers in which others say an event's type.
const OTHER_TYPES: [&str; 9] = [
    "type",
    "eventType",
    "event_type",
    "event-type",
    "messageType",
    "ce-type",
    "cloudEvents_type",
    "cloudEvents:type",
    "__TypeId__",
];

/// What `value` seems to be where it is no plain JSON event: another encoding, JSON in a string, an envelope. Completes
/// "it is …"; `None`: nothing is odd, or nothing is known.
#[must_use]
pub fn describe_value(value: &[u8]) -> Option<String> {
    match json::read(value) {
        Ok(event) => describe_shape(&event),
        Err(JsonError::NotJson(_)) => json::what_it_is(value).map(|what| what.to_string()),
        Err(_) => None,
    }
}

/// What is odd about a payload that is JSON; `None`: nothing. Completes "it is …".
pub(crate) fn describe_shape(event: &Value) -> Option<String> {
    if let Value::String(text) = event
        && let Some(times) = times_in_strings(text)
    {
        let times = if times == 1 { "twice".to_owned() } else { format!("{} times", times + 1) };
        return Some(format!("JSON in a string: the producer writes it as JSON {times}"));
    }
    shape(event).map(str::to_owned)
}

fn shape(event: &Value) -> Option<&'static str> {
    let is_event = |value: &Value| value.get("specversion").is_some() && value.get("type").is_some();
    match event {
        Value::String(_) => Some("a string"),
        Value::Array(items) if items.iter().any(is_event) => {
            Some("a batch of CloudEvents, and a record is one event: let the producer send each by itself")
        }
        Value::Array(_) => Some("a list"),
        Value::Object(members) if is_event(event) && !members.is_empty() => {
            Some("a structured CloudEvent without the header content-type: application/cloudevents+json")
        }
        Value::Object(members)
            if members.len() == 2 && ["schema", "payload"].iter().all(|it| members.contains_key(*it)) =>
        {
            Some("in the envelope of Kafka Connect: let its converter write schemas.enable=false")
        }
        Value::Object(members) if ["op", "source", "ts_ms"].iter().all(|it| members.contains_key(*it)) => {
            Some("a change event of Debezium: what the row is now is in event.after")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Why a record may have no type, if its headers or its value give a hint.
pub(crate) fn describe_missing_type(record: &KafkaRecord) -> Option<String> {
    let other = record.headers.iter().find(|(name, _)| {
        OTHER_TYPES.iter().any(|other| other.eq_ignore_ascii_case(name)) || name.eq_ignore_ascii_case("ce_type")
    });
    if let Some((name, _)) = other {
        return Some(format!("the header {name} is not read: call it ce_type"));
    }
    let value = record.value.as_deref().filter(|_| record.size() <= payload::LARGEST_RECORD)?;
    describe_value(value).map(|what| format!("its value is {what}"))
}

/// In how many strings, each within the next, an object or a list stands that `text` holds; `None`: it holds none.
fn times_in_strings(text: &str) -> Option<u32> {
    /// More levels than any producer writes: each level is one serialiser too many.
    const MOST: u32 = 8;
    let mut text = text.to_owned();
    for times in 1..=MOST {
        match json::read(text.as_bytes()).ok()? {
            Value::Object(_) | Value::Array(_) => return Some(times),
            Value::String(inner) => text = inner,
            Value::Null | Value::Bool(_) | Value::Number(_) => return None,
        }
    }
    None
}
