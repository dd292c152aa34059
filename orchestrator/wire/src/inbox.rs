//! Inputs on their way to the shard that owns their saga, through its partition of the inbox.
//!
//! A record that is forwarded keeps its key, value and headers byte for byte; `saga_inbox_*` headers after its own say what
//! it is and where it was read, so that a forwarded record has the identity of the original. What was never a record (the
//! outcome of an HTTP call, an operator's act) is forwarded as JSON.

mod wire;

use super::{
    payload,
    poison::{Poison, PoisonCode},
    record::{Header, Outgoing, Record, text_header},
};
use bytes::Bytes;
use saga_core::{
    command::Answer,
    id::{CommandId, SagaId, Shard},
    input::OperatorAct,
    time::Timestamp,
};
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

/// An input for a shard.
#[derive(Clone, Debug, PartialEq)]
pub enum Inbound {
    /// A record that a definition's trigger wants.
    Trigger {
        /// As it was read from its own topic.
        record: Record,
        /// Name of the definition.
        definition: String,
        /// Hash of the definition's text.
        hash: String,
        /// Hash of the policies that the saga is pinned to; a build before this one did not say.
        policies: Option<String>,
    },
    /// A participant's reply.
    Reply(Record),
    /// What came back for an attempt by another way than a reply record.
    Outcome(CallOutcome),
    /// An operator acts.
    Operator {
        /// On which saga.
        saga: SagaId,
        /// How.
        act: OperatorAct,
        /// Of a retry by another definition: the hashes of its text and of its policies.
        definition: Option<(String, String)>,
    },
}

/// What came back for an attempt of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutcome {
    /// Which command.
    pub command: CommandId,
    /// Which attempt.
    pub attempt: Option<u32>,
    /// What.
    pub answer: Answer,
}

/// The record that brings `inbound` to `shard`. Delivered at least once.
#[must_use]
pub fn forward(inbox: &Arc<str>, shard: Shard, inbound: &Inbound) -> Outgoing {
    let partition = Some(i32::from(shard.0));
    match inbound {
        Inbound::Trigger { record, definition, hash, policies } => {
            let mut forwarded = wrap(inbox, "trigger", record);
            forwarded.headers.extend([text_header(DEFINITION, definition.as_str()), text_header(HASH, hash.as_str())]);
            forwarded.headers.extend(policies.as_deref().map(|policies| text_header(POLICIES, policies)));
            Outgoing { partition, ..forwarded }
        }
        Inbound::Reply(record) => Outgoing { partition, ..wrap(inbox, "reply", record) },
        Inbound::Outcome(outcome) => {
            Outgoing { partition, ..write(inbox, "outcome", outcome.command.saga, wire::outcome(outcome)) }
        }
        Inbound::Operator { saga, act, definition } => {
            Outgoing { partition, ..write(inbox, "operator", *saga, wire::operator(*saga, act, definition.as_ref())) }
        }
    }
}

/// The input that a record of the inbox brings.
///
/// # Errors
/// No instance wrote it, or one that does not fit this one.
pub fn receive(record: &Record) -> Result<Inbound, Poison> {
    match record.header_text(KIND) {
        Some("trigger") => Ok(Inbound::Trigger {
            record: unwrap(record)?,
            definition: required(record, DEFINITION)?,
            hash: required(record, HASH)?,
            policies: own(record, POLICIES),
        }),
        Some("reply") => Ok(Inbound::Reply(unwrap(record)?)),
        Some("outcome") => wire::read_outcome(body(record)?).map(Inbound::Outcome),
        Some("operator") => wire::read_operator(body(record)?),
        Some(other) => Err(foreign(format!("{KIND} is `{other}`"))),
        None => Err(foreign(format!("no header {KIND}: only instances write to the inbox"))),
    }
}

fn wrap(inbox: &Arc<str>, kind: &str, record: &Record) -> Outgoing {
    let mut headers = record.headers.clone();
    headers.extend([
        text_header(KIND, kind),
        text_header(TOPIC, &*record.topic),
        text_header(PARTITION, record.partition.to_string()),
        text_header(OFFSET, record.offset.to_string()),
        text_header(TIMESTAMP, record.timestamp.0.to_string()),
    ]);
    Outgoing { topic: inbox.clone(), partition: None, key: record.key.clone(), value: record.value.clone(), headers }
}

/// The original. Its own headers end where ours begin, even if it brought some of the same name.
fn unwrap(record: &Record) -> Result<Record, Poison> {
    let own = record.headers.iter().rposition(|(name, _)| name == KIND).unwrap_or(record.headers.len());
    Ok(Record {
        topic: required::<String>(record, TOPIC)?.into(),
        partition: required(record, PARTITION)?,
        offset: required(record, OFFSET)?,
        timestamp: Timestamp(required(record, TIMESTAMP)?),
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers[..own].to_vec(),
    })
}

fn write(inbox: &Arc<str>, kind: &str, saga: SagaId, body: String) -> Outgoing {
    let headers: Vec<Header> = vec![text_header("content-type", "application/json"), text_header(KIND, kind)];
    let key = Some(Bytes::from(saga.to_string()));
    Outgoing { topic: inbox.clone(), partition: None, key, value: Some(Bytes::from(body)), headers }
}

fn body(record: &Record) -> Result<&[u8], Poison> {
    record.value.as_deref().ok_or_else(|| foreign("no value".into()))
}

fn required<T: FromStr>(record: &Record, name: &str) -> Result<T, Poison> {
    let text = record.header(name).and_then(payload::text);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| foreign(format!("header {name} is missing or unreadable")))
}

/// A header that follows our first one: the record's own may have the same name.
fn own(record: &Record, name: &str) -> Option<String> {
    let first = record.headers.iter().rposition(|(name, _)| name == KIND)?;
    let (_, value) = record.headers[first..].iter().find(|(found, _)| found == name)?;
    value.as_deref().and_then(payload::text).map(str::to_owned)
}

fn foreign(message: String) -> Poison {
    Poison::new(PoisonCode::Inbox, message)
}

#[cfg(test)]
mod tests;
