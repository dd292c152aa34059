//! CloudEvents, binary mode out, both modes in: commands, published events, and the type of what arrives.

use super::{
    payload, payload_hints,
    payload_schema::{PayloadSchema, RecordContent},
    poison::{PoisonCode, PoisonDiagnosis},
    record::{KafkaRecord, OutgoingRecord, RecordHeader, text_header},
};
use base64::Engine as _;
use bytes::Bytes;
use saga_contract::headers as names;
use saga_core::{
    id::{CommandId, SagaId},
    time::{Timestamp, rfc3339},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Content type of everything that is sent.
const JSON: &str = "application/json";

/// Content type of what is sent in Avro, whatever its frame.
const AVRO: &str = "application/avro";

/// Content type of a structured CloudEvent, parameters aside.
const STRUCTURED: &str = "application/cloudevents+json";

/// Content type of several CloudEvents in one text.
const BATCH: &str = "application/cloudevents-batch";

/// What a command record says besides its body.
#[derive(Clone, Copy, Debug)]
pub struct CommandRecord<'a> {
    /// The saga that sends it and gets the reply.
    pub saga: SagaId,
    /// The command's identity: `ce_id` and `idempotency_key`. The saga in it performed the step; it is another one if
    /// this one undoes what that one did.
    pub id: &'a CommandId,
    /// Type of the command, for example `ReserveStock`.
    pub command: &'a str,
    /// The value of the record, before it is encoded.
    pub body: &'a Value,
    /// Name of the definition of the saga that sends the command.
    pub saga_name: &'a str,
    /// Number of the attempt: 1, 2, 3, …
    pub attempt: u32,
    /// Where the reply is expected.
    pub reply_topic: &'a str,
    /// The event that caused it, `<version>.<index>`.
    pub causation: &'a str,
    /// W3C `traceparent` to pass on.
    pub traceparent: Option<&'a str>,
    /// When this attempt was decided.
    pub at: Timestamp,
}

/// What a published event says besides its body.
#[derive(Clone, Copy, Debug)]
pub struct PublishedRecord<'a> {
    /// `ce_id`: the command id of a `publish` step, `<saga>:outcome` of an outcome event. The same for every try.
    pub id: &'a str,
    /// Type of the event: the header `ce_type`.
    pub event_type: &'a str,
    /// The key of the record.
    pub key: &'a str,
    /// The value of the record, before it is encoded.
    pub body: &'a Value,
    /// The saga that publishes.
    pub saga: SagaId,
    /// Name of its definition.
    pub saga_name: &'a str,
    /// The event that caused it, `<version>.<index>`.
    pub causation: &'a str,
    /// W3C `traceparent` to pass on.
    pub traceparent: Option<&'a str>,
    /// When it was decided; part of the bytes, so not the time of a try.
    pub at: Timestamp,
}

/// What a record of one event of a journal says besides its body. A part that is not known is left out.
#[derive(Clone, Copy, Debug)]
pub struct JournalEventRecord<'a> {
    /// The saga's id: the key of the record, so that the events of a saga keep their order.
    pub saga: &'a str,
    /// Name of its definition.
    pub saga_name: Option<&'a str>,
    /// The event, `<version>.<index>`. With the saga it is `ce_id`, which is the same for every try.
    pub event: &'a str,
    /// What happened, for example `stepSucceeded`: `ce_type` is `saga.stepSucceeded`.
    pub word: &'a str,
    /// The value of the record, before it is encoded.
    pub body: &'a Value,
    /// W3C `traceparent` to pass on.
    pub traceparent: Option<&'a str>,
    /// When it was decided, RFC 3339.
    pub at: Option<&'a str>,
}

/// The record of one attempt of a command, keyed by the saga that performed the step: a do and its undo stay in order.
#[must_use]
pub fn command(topic: &Arc<str>, record: &CommandRecord<'_>) -> OutgoingRecord {
    let CommandRecord { id, saga_name, attempt, reply_topic, .. } = *record;
    let ce_id = id.to_string();
    let mut headers = event_headers(&ce_id, record.command, saga_name, record.at);
    headers.extend(correlation(&record.saga.to_string(), record.causation, record.traceparent));
    headers.extend([
        text_header(names::SAGA_NAME, saga_name),
        text_header(names::SAGA_STEP, id.step.as_str()),
        text_header(names::SAGA_DIRECTION, id.direction.to_string()),
        text_header(names::SAGA_ATTEMPT, attempt.to_string()),
        text_header(names::IDEMPOTENCY_KEY, ce_id),
        text_header(names::REPLY_TOPIC, reply_topic),
    ]);
    outgoing(topic, id.saga.to_string(), record.body, headers)
}

/// The record of a published event. Every try of it has the same bytes.
#[must_use]
pub fn published(topic: &Arc<str>, record: &PublishedRecord<'_>) -> OutgoingRecord {
    let saga = record.saga.to_string();
    let mut headers = event_headers(record.id, record.event_type, record.saga_name, record.at);
    headers.extend(correlation(&saga, record.causation, record.traceparent));
    headers.push(text_header(names::SAGA_NAME, record.saga_name));
    outgoing(topic, record.key.to_owned(), record.body, headers)
}

/// The record of one event of a journal. Every try of it has the same bytes.
#[must_use]
pub fn journal_event(topic: &Arc<str>, record: &JournalEventRecord<'_>) -> OutgoingRecord {
    let JournalEventRecord { saga, saga_name, event, word, .. } = *record;
    let (id, event_type) = (format!("{saga}:{event}"), format!("saga.{word}"));
    let mut headers = headers_of(&id, &event_type, saga_name, record.at);
    headers.extend(correlation(saga, event, record.traceparent));
    headers.extend(saga_name.map(|name| text_header(names::SAGA_NAME, name)));
    outgoing(topic, saga.to_owned(), record.body, headers)
}

/// The type that a record is sent under.
#[must_use]
pub fn type_of(record: &OutgoingRecord) -> Option<&str> {
    record.header_text(names::CE_TYPE)
}

/// The record with its value in Avro, framed; everything else is as it was.
#[must_use]
pub fn in_avro(record: OutgoingRecord, value: Vec<u8>) -> OutgoingRecord {
    let says = |(name, value): RecordHeader| match name == names::CONTENT_TYPE {
        true => text_header(names::CONTENT_TYPE, AVRO),
        false => (name, value),
    };
    let headers = record.headers.into_iter().map(says).collect();
    OutgoingRecord { value: Some(Bytes::from(value)), headers, ..record }
}

/// What is known of a record before its content is decoded.
#[derive(Debug)]
pub(crate) struct IncomingEvent<'a> {
    record: &'a KafkaRecord,
    event_type: Result<Option<String>, PoisonDiagnosis>,
    structured: StructuredEvent,
    content: RecordContent<'a>,
}

/// The envelope of a structured CloudEvent.
#[derive(Debug)]
enum StructuredEvent {
    /// The record is none.
    No,
    Envelope(Map<String, Value>),
    /// It says it is one and is not.
    Broken(PoisonDiagnosis),
}

impl<'a> IncomingEvent<'a> {
    /// Finds the type of a record: the header `ce_type`, else the `type` of a structured CloudEvent, else the name of
    /// the Avro record that its value is.
    pub(crate) fn of(record: &'a KafkaRecord, schema: &'a PayloadSchema) -> IncomingEvent<'a> {
        let structured = structured(record);
        let content = RecordContent::of(record, schema);
        let in_envelope = || structured.attribute("type").map(str::to_owned);
        let said = payload::header(record, names::CE_TYPE).map(|said| said.map(str::to_owned).or_else(in_envelope));
        let event_type = said.and_then(|said| match (said, &content) {
            (None, RecordContent::Avro(reader, _)) => Ok(reader.record_name().map(str::to_owned)),
            (None, RecordContent::Broken(poison)) => Err(poison.clone()),
            (said, _) => Ok(said),
        });
        IncomingEvent { record, event_type, structured, content }
    }

    /// The record's type, if it says one that can be read.
    pub(crate) fn event_type(&self) -> Option<&str> {
        self.event_type.as_ref().ok()?.as_deref()
    }

    /// Whether its type is `wanted`. The type of an Avro record without another one is its name, full or short.
    pub(crate) fn is_of(&self, wanted: &str) -> bool {
        let Some(found) = self.event_type() else { return false };
        let short = match &self.content {
            RecordContent::Avro(reader, _) if reader.record_name() == Some(found) => found.rsplit('.').next(),
            RecordContent::Avro(..) | RecordContent::Json | RecordContent::Decoded(_) | RecordContent::Broken(_) => {
                None
            }
        };
        found == wanted || short == Some(wanted)
    }

    /// Why its type cannot be read, although it says one.
    pub(crate) fn unreadable_type(&self) -> Option<&PoisonDiagnosis> {
        self.event_type.as_ref().err()
    }

    /// Why a record that claims to be a structured CloudEvent has no type.
    pub(crate) fn broken(&self) -> Option<&PoisonDiagnosis> {
        match &self.structured {
            StructuredEvent::Broken(poison) => Some(poison),
            StructuredEvent::No | StructuredEvent::Envelope(_) => None,
        }
    }

    /// Whether it is a recorded event that is published once more: it has the header `ce_replay`, or a structured
    /// CloudEvent has the attribute `replay`.
    pub(crate) fn is_replayed(&self) -> bool {
        is_replayed(self.record) || self.structured.has("replay")
    }

    /// W3C `traceparent`, from the header or the envelope.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        let header = |name| self.record.header(name).and_then(payload::text);
        header("traceparent").or_else(|| header("ce_traceparent")).or_else(|| self.structured.attribute("traceparent"))
    }

    /// The content: the record's value, or the `data` of a structured CloudEvent. A record without a value has the
    /// content `null`.
    ///
    /// # Errors
    /// It is not JSON and not Avro that can be read, or contains NUL.
    pub(crate) fn decode(self) -> Result<Value, PoisonDiagnosis> {
        // An envelope is JSON, and its topic may be one of Avro.
        if let RecordContent::Broken(poison) = self.content {
            return Err(poison);
        }
        match self.structured {
            StructuredEvent::Broken(poison) => Err(poison),
            StructuredEvent::Envelope(envelope) => data(envelope),
            StructuredEvent::No => self.content.read(self.record),
        }
    }
}

/// Whether the header `ce_replay` marks the record: whoever published it published it once more.
#[must_use]
pub fn is_replayed(record: &KafkaRecord) -> bool {
    record.headers.iter().any(|(name, _)| name == names::CE_REPLAY)
}

/// Marks a record as published once more by `run`.
pub fn mark_replayed(record: &mut OutgoingRecord, run: &str) {
    record.headers.push(text_header(names::CE_REPLAY, run));
}

impl StructuredEvent {
    fn has(&self, name: &str) -> bool {
        match self {
            StructuredEvent::Envelope(envelope) => envelope.contains_key(name),
            StructuredEvent::No | StructuredEvent::Broken(_) => false,
        }
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        match self {
            StructuredEvent::Envelope(envelope) => envelope.get(name)?.as_str(),
            StructuredEvent::No | StructuredEvent::Broken(_) => None,
        }
    }
}

fn structured(record: &KafkaRecord) -> StructuredEvent {
    let content_type = match payload::header(record, "content-type") {
        Ok(said) => said.unwrap_or_default(),
        Err(poison) => return StructuredEvent::Broken(poison),
    };
    if content_type.get(..BATCH.len()).is_some_and(|start| start.eq_ignore_ascii_case(BATCH)) {
        let message = "it is a batch of CloudEvents, and a record is one event: let the producer send each by itself";
        return StructuredEvent::Broken(PoisonDiagnosis::new(PoisonCode::Batch, message));
    }
    let is_structured =
        content_type.get(..STRUCTURED.len()).is_some_and(|start| start.eq_ignore_ascii_case(STRUCTURED));
    let Some(bytes) = record.value.as_deref().filter(|_| is_structured) else { return StructuredEvent::No };
    if record.size() > payload::LARGEST_RECORD {
        return StructuredEvent::Broken(PoisonDiagnosis::new(
            PoisonCode::Oversize,
            "a structured CloudEvent of more than 1 MiB",
        ));
    }
    match payload::envelope(bytes) {
        Ok(Value::Object(envelope)) if envelope.get("type").is_some_and(|it| !it.is_string()) => {
            StructuredEvent::Broken(PoisonDiagnosis::new(
                PoisonCode::Header,
                "the `type` of a structured CloudEvent is not a string",
            ))
        }
        Ok(Value::Object(envelope)) if envelope.contains_key("data") && envelope.contains_key("data_base64") => {
            StructuredEvent::Broken(PoisonDiagnosis::new(
                PoisonCode::NotJson,
                "a structured CloudEvent has `data` and `data_base64`",
            ))
        }
        Ok(Value::Object(envelope)) => StructuredEvent::Envelope(envelope),
        Ok(other) => {
            let what = payload_hints::describe_shape(&other).map(|what| format!("; it is {what}")).unwrap_or_default();
            let message = format!("a structured CloudEvent has to be an object{what}");
            StructuredEvent::Broken(PoisonDiagnosis::new(PoisonCode::NotJson, message))
        }
        Err(poison) => StructuredEvent::Broken(poison),
    }
}

fn data(mut envelope: Map<String, Value>) -> Result<Value, PoisonDiagnosis> {
    let Some(encoded) = envelope.get("data_base64") else {
        return Ok(envelope.remove("data").unwrap_or_default());
    };
    let encoded = encoded.as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded);
    let bytes = bytes.map_err(|error| PoisonDiagnosis::new(PoisonCode::NotJson, format!("data_base64: {error}")))?;
    payload::json(&bytes)
}

fn event_headers(id: &str, event_type: &str, saga_name: &str, at: Timestamp) -> Vec<RecordHeader> {
    headers_of(id, event_type, Some(saga_name), Some(&rfc3339(at)))
}

/// CloudEvents require a source and not a time.
fn headers_of(id: &str, event_type: &str, saga_name: Option<&str>, at: Option<&str>) -> Vec<RecordHeader> {
    let source = saga_name.map_or_else(|| "/sagas".to_owned(), |name| format!("/sagas/{name}"));
    let mut headers = vec![
        text_header(names::CE_SPECVERSION, "1.0"),
        text_header(names::CE_ID, id),
        text_header(names::CE_SOURCE, source),
        text_header(names::CE_TYPE, event_type),
    ];
    headers.extend(at.map(|at| text_header(names::CE_TIME, at)));
    headers
}

fn correlation(saga: &str, causation: &str, traceparent: Option<&str>) -> Vec<RecordHeader> {
    let mut headers = vec![
        text_header(names::CE_CORRELATION_ID, saga),
        text_header(names::CE_CAUSATION_ID, causation),
        text_header(names::CONTENT_TYPE, JSON),
    ];
    headers.extend(traceparent.map(|parent| text_header(names::TRACEPARENT, parent)));
    headers
}

fn outgoing(topic: &Arc<str>, key: String, body: &Value, headers: Vec<RecordHeader>) -> OutgoingRecord {
    let value = Some(Bytes::from(body.to_string()));
    OutgoingRecord { topic: topic.clone(), partition: None, key: Some(Bytes::from(key)), value, headers }
}

#[cfg(test)]
mod tests;
