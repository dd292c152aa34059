//! Inputs on their way to the shard that owns their saga, through its partition of the inbox.
//!
//! A record that is forwarded keeps its key, value and headers byte for byte; `saga_inbox_*` headers after its own say
//! what it is and where it was read, so that a forwarded record has the identity of the original. What was never a
//! record (the outcome of an HTTP call, an operator's act) is forwarded as JSON.

mod wire;

use super::{
    payload,
    poison::{PoisonCode, PoisonDiagnosis},
    record::{KafkaRecord, OutgoingRecord, RecordHeader, text_header},
};
use bytes::Bytes;
use saga_core::{
    command::CommandAnswer,
    id::{CommandId, SagaId, ShardId},
    input::OperatorAct,
    rerun::RerunOrder,
    time::Timestamp,
};
use serde_json::Value;
use std::{str::FromStr, sync::Arc};

/// Says what kind of input a record of the inbox is; the first of the headers that are added.
const KIND: &str = "saga_inbox_kind";
const TOPIC: &str = "saga_inbox_topic";
const PARTITION: &str = "saga_inbox_partition";
const OFFSET: &str = "saga_inbox_offset";
const TIMESTAMP: &str = "saga_inbox_timestamp";
const DEFINITION: &str = "saga_inbox_definition";
const HASH: &str = "saga_inbox_definition_hash";
const POLICIES: &str = "saga_inbox_policies_hash";
/// The value as JSON, where the value itself is not.
const DECODED: &str = "saga_inbox_decoded";

/// An input for a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxEnvelope {
    /// A record that a definition's trigger wants.
    Trigger {
        /// As it was read from its own topic.
        record: KafkaRecord,
        /// What its value says, where that is not JSON: who takes the record from the inbox needs no schema.
        decoded: Option<Value>,
        /// Name of the definition.
        definition: String,
        /// Hash of the definition's text.
        hash: String,
        /// Hash of the policies that the saga is pinned to; a build before this one did not say.
        policies: Option<String>,
    },
    /// The record of a participant's reply.
    Reply {
        /// As it was read from the topic of replies.
        record: KafkaRecord,
        /// What its value says, where that is not JSON.
        decoded: Option<Value>,
    },
    /// The result of an attempt that did not come as a reply record.
    Outcome(CallOutcome),
    /// An operator's act that runs an ended saga again.
    Rerun {
        /// The ended saga.
        saga: SagaId,
        /// The act, with its id, its author and its reason.
        order: RerunOrder,
        /// By another definition than the ended saga: the hashes of its text and of its policies.
        definition: Option<(String, String)>,
    },
    /// An operator's act on one saga.
    Operator {
        /// The saga that it changes.
        saga: SagaId,
        /// The act, with its id, its author and its reason.
        act: OperatorAct,
        /// Of a retry by another definition: the hashes of its text and of its policies.
        definition: Option<(String, String)>,
    },
}

/// The result of an attempt of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutcome {
    /// The saga that waits for the answer.
    pub saga: SagaId,
    /// The command that was attempted.
    pub command: CommandId,
    /// Number of the attempt, from 1. `None`: not known.
    pub attempt: Option<u32>,
    /// The participant's answer, or why there is none.
    pub answer: CommandAnswer,
}

/// The record that brings `inbound` to `shard`. Delivered at least once.
#[must_use]
pub fn forward(inbox: &Arc<str>, shard: ShardId, inbound: &InboxEnvelope) -> OutgoingRecord {
    let partition = Some(i32::from(shard.0));
    match inbound {
        InboxEnvelope::Trigger { record, decoded, definition, hash, policies } => {
            let mut forwarded = wrap(inbox, "trigger", record, decoded.as_ref());
            forwarded.headers.extend([text_header(DEFINITION, definition.as_str()), text_header(HASH, hash.as_str())]);
            forwarded.headers.extend(policies.as_deref().map(|policies| text_header(POLICIES, policies)));
            OutgoingRecord { partition, ..forwarded }
        }
        InboxEnvelope::Reply { record, decoded } => {
            OutgoingRecord { partition, ..wrap(inbox, "reply", record, decoded.as_ref()) }
        }
        InboxEnvelope::Outcome(outcome) => {
            OutgoingRecord { partition, ..write(inbox, "outcome", outcome.saga, wire::outcome(outcome)) }
        }
        InboxEnvelope::Rerun { saga, order, definition } => {
            OutgoingRecord { partition, ..write(inbox, "rerun", *saga, wire::rerun(*saga, order, definition.as_ref())) }
        }
        InboxEnvelope::Operator { saga, act, definition } => OutgoingRecord {
            partition,
            ..write(inbox, "operator", *saga, wire::operator(*saga, act, definition.as_ref()))
        },
    }
}

/// The input that a record of the inbox brings.
///
/// # Errors
/// No instance wrote it, or one that does not fit this one.
pub fn receive(record: &KafkaRecord) -> Result<InboxEnvelope, PoisonDiagnosis> {
    match record.header_text(KIND) {
        Some("trigger") => Ok(InboxEnvelope::Trigger {
            record: unwrap(record)?,
            decoded: decoded(record)?,
            definition: required(record, DEFINITION)?,
            hash: required(record, HASH)?,
            policies: own(record, POLICIES),
        }),
        Some("reply") => Ok(InboxEnvelope::Reply { record: unwrap(record)?, decoded: decoded(record)? }),
        Some("outcome") => wire::read_outcome(body(record)?).map(InboxEnvelope::Outcome),
        Some("operator") => wire::read_operator(body(record)?),
        Some("rerun") => wire::read_rerun(body(record)?),
        Some(other) => Err(foreign(format!("{KIND} is `{other}`"))),
        None => Err(foreign(format!("no header {KIND}: only instances write to the inbox"))),
    }
}

fn wrap(inbox: &Arc<str>, kind: &str, record: &KafkaRecord, decoded: Option<&Value>) -> OutgoingRecord {
    let mut headers = record.headers.clone();
    headers.extend([
        text_header(KIND, kind),
        text_header(TOPIC, &*record.topic),
        text_header(PARTITION, record.partition.to_string()),
        text_header(OFFSET, record.offset.to_string()),
        text_header(TIMESTAMP, record.timestamp.0.to_string()),
    ]);
    headers.extend(decoded.map(|value| text_header(DECODED, value.to_string())));
    OutgoingRecord {
        topic: inbox.clone(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

/// The original. Its own headers end where ours begin, even if it brought some of the same name.
fn unwrap(record: &KafkaRecord) -> Result<KafkaRecord, PoisonDiagnosis> {
    let own = record.headers.iter().rposition(|(name, _)| name == KIND).unwrap_or(record.headers.len());
    Ok(KafkaRecord {
        topic: required::<String>(record, TOPIC)?.into(),
        partition: required(record, PARTITION)?,
        offset: required(record, OFFSET)?,
        timestamp: Timestamp(required(record, TIMESTAMP)?),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers[..own].to_vec(),
    })
}

fn write(inbox: &Arc<str>, kind: &str, saga: SagaId, body: String) -> OutgoingRecord {
    let headers: Vec<RecordHeader> = vec![text_header("content-type", "application/json"), text_header(KIND, kind)];
    let key = Some(Bytes::from(saga.to_string()));
    OutgoingRecord { topic: inbox.clone(), partition: None, key, value: Some(Bytes::from(body)), headers }
}

fn body(record: &KafkaRecord) -> Result<&[u8], PoisonDiagnosis> {
    record.value.as_deref().ok_or_else(|| foreign("no value".into()))
}

fn required<T: FromStr>(record: &KafkaRecord, name: &str) -> Result<T, PoisonDiagnosis> {
    let text = record.header(name).and_then(payload::text);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| foreign(format!("header {name} is missing or unreadable")))
}

/// A header that follows our first one: the record's own may have the same name.
fn own(record: &KafkaRecord, name: &str) -> Option<String> {
    let first = record.headers.iter().rposition(|(name, _)| name == KIND)?;
    let (_, value) = record.headers[first..].iter().find(|(found, _)| found == name)?;
    value.as_deref().and_then(payload::text).map(str::to_owned)
}

fn decoded(record: &KafkaRecord) -> Result<Option<Value>, PoisonDiagnosis> {
    own(record, DECODED).map(|text| payload::json(text.as_bytes())).transpose()
}

fn foreign(message: String) -> PoisonDiagnosis {
    PoisonDiagnosis::new(PoisonCode::Inbox, message)
}

#[cfg(test)]
mod tests;
