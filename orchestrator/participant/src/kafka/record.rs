//! Records in and out, as the contract has them.

use crate::{
    answer::ParticipantAnswer,
    command::{SagaCommand, SagaCommandError},
};
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders, OwnedMessage},
};
use saga_brokers::header_at;
use saga_contract::{ReplyOutcome, headers as names};
use serde_json::Value;
use std::fmt;

/// A record that can never be answered, and is skipped.
#[derive(Clone, Debug)]
pub struct PoisonRecord {
    /// Why the record can never be answered.
    pub reason: PoisonReason,
    /// The record as it was.
    pub record: OwnedMessage,
}

/// Why a record is poison.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoisonReason {
    /// It is no command.
    #[error(transparent)]
    NotACommand(#[from] SagaCommandError),
    /// It does not say where its reply goes.
    #[error("the header `reply_topic` is missing: there is no topic for the reply")]
    NoReplyTopic,
    /// The command was performed, and its reply can never be written where it says.
    #[error("no reply can be written to topic `{topic}`: {reason}")]
    Reply {
        /// The topic that the command names for its reply.
        topic: String,
        /// The error of the Kafka client, as text.
        reason: String,
    },
}

impl fmt::Display for PoisonRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        write!(f, "{}/{}/{}: {}", record.topic(), record.partition(), record.offset(), self.reason)
    }
}

/// The command in a record, and where its reply goes.
pub(super) fn command(record: &OwnedMessage) -> Result<(SagaCommand, String), PoisonReason> {
    let command = SagaCommand::from_record(headers(record), record.payload())?;
    let reply_topic = command.header(names::REPLY_TOPIC).filter(|topic| !topic.is_empty());
    let reply_topic = reply_topic.ok_or(PoisonReason::NoReplyTopic)?.to_owned();
    Ok((command, reply_topic))
}

/// Headers that are text, by names in lower case.
fn headers(record: &OwnedMessage) -> Vec<(String, String)> {
    let Some(native) = record.headers() else { return Vec::new() };
    (0..native.count()).filter_map(|index| header(native, index)).collect()
}

/// A header whose name or value is no text is passed over.
fn header(native: &OwnedHeaders, index: usize) -> Option<(String, String)> {
    let header = header_at(native, index)?;
    Some((header.key.to_ascii_lowercase(), String::from_utf8(header.value?.to_vec()).ok()?))
}

/// The headers and the value of a reply.
pub(super) fn reply(command: &SagaCommand, answer: &ParticipantAnswer) -> (OwnedHeaders, Option<String>) {
    let repeated = names::REPEATED_IN_REPLY.iter().filter_map(|name| Some((*name, command.header(name)?)));
    let headers = repeated.fold(OwnedHeaders::new(), |headers, (key, value)| with(headers, key, value));
    match answer {
        ParticipantAnswer::Succeeded(result) => {
            (with(headers, names::SAGA_OUTCOME, ReplyOutcome::Succeeded.as_str()), value(result))
        }
        ParticipantAnswer::Ongoing => (with(headers, names::SAGA_OUTCOME, ReplyOutcome::Ongoing.as_str()), None),
        ParticipantAnswer::Failed { code, message, retryable } => {
            let headers = with(headers, names::SAGA_OUTCOME, ReplyOutcome::Failed.as_str());
            let headers = with(with(headers, names::ERROR_CODE, code), names::ERROR_MESSAGE, message);
            (with(headers, names::ERROR_RETRYABLE, if *retryable { "true" } else { "false" }), None)
        }
    }
}

fn value(result: &Value) -> Option<String> {
    (!result.is_null()).then(|| result.to_string())
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}
