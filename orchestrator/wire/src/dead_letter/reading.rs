//! A record of a DLQ topic, read back: what the original was, where it came from, and why it is here. Besides the
//! engine's own headers it reads those of Spring for Apache Kafka and of Kafka Connect.

use super::{DeadLetterForm, REDRIVES};
use crate::{
    payload,
    poison::PoisonCode,
    record::{KafkaRecord, RecordHeader},
    reply,
};
use bytes::Bytes;
use saga_core::{
    id::SagaId,
    time::{Timestamp, from_rfc3339},
};
use std::{fmt, str::FromStr, sync::Arc};

/// The first header that the engine adds; the original's own headers end before it.
const FIRST: &str = "saga_dlq_topic";

const SPRING: &str = "kafka_dlt-";
const CONNECT: &str = "__connect.errors.";

/// A dead letter as it stands in a DLQ topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLetter {
    /// Whose headers say where the record came from.
    pub dialect: LetterDialect,
    /// Where the original was read.
    pub origin: LetterOrigin,
    /// The definition that could not process it; `None`: it is no definition's matter, or another program's.
    pub definition: Option<String>,
    /// The class of the fault.
    pub code: LetterCode,
    /// What is wrong, for people; empty where nothing was said.
    pub message: String,
    /// When the fault was found, where that was said.
    pub found_at: Option<Timestamp>,
    /// How often the original had been brought back before.
    pub redrives: u32,
    /// How much of the original is here.
    pub form: DeadLetterForm,
    /// Key, value and headers of the original, byte for byte, as far as `form` says that they are here.
    pub original: OriginalContent,
}

/// Who wrote a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetterDialect {
    /// The engine: headers `saga_dlq_*`.
    Saga,
    /// Spring for Apache Kafka: headers `kafka_dlt-*`, numbers as big-endian bytes.
    Spring,
    /// A sink of Kafka Connect: headers `__connect.errors.*`, numbers as text.
    KafkaConnect,
}

/// Where the original of a dead letter was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterOrigin {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: i32,
    /// Offset in that partition.
    pub offset: i64,
    /// Timestamp of the original, where it was said.
    pub timestamp: Option<Timestamp>,
}

/// The class of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LetterCode {
    /// One of the engine's codes.
    Poison(PoisonCode),
    /// The name of a code that this build does not have, or the class of an exception of another program.
    Other(String),
}

/// What a record was before it became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalContent {
    /// `None` is not the same as empty.
    pub key: Option<Bytes>,
    /// `None` is a tombstone, not the same as empty.
    pub value: Option<Bytes>,
    /// In their order, repeated names included; without those that the writer of the letter added.
    pub headers: Vec<RecordHeader>,
}

/// A record of a DLQ topic that is no dead letter of a known kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownLetter {
    /// It has none of the headers by which a dead letter is known.
    #[error("no header saga_dlq_topic, kafka_dlt-original-topic or __connect.errors.topic says where it came from")]
    NoProvenance,
    /// It has one of them, and this header is missing or cannot be read.
    #[error("the header {0} is missing or unreadable")]
    Unreadable(&'static str),
}

impl FoundLetter {
    /// Reads any record of a DLQ topic. Total: what another program wrote is never a panic.
    ///
    /// # Errors
    /// The record does not say where its original was.
    pub fn read(record: &KafkaRecord) -> Result<FoundLetter, UnknownLetter> {
        if record.header(FIRST).is_some() {
            of_engine(record)
        } else if record.header("kafka_dlt-original-topic").is_some() {
            of_spring(record)
        } else if record.header("__connect.errors.topic").is_some() {
            of_connect(record)
        } else {
            Err(UnknownLetter::NoProvenance)
        }
    }

    /// Identity of the letter: `topic/partition/offset` of the original, and `/definition` where it is one's matter.
    #[must_use]
    pub fn id(&self) -> String {
        let origin = &self.origin;
        let definition = self.definition.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("{origin}{definition}")
    }

    /// The saga that the original is about, if it is a reply that says so.
    #[must_use]
    pub fn saga(&self) -> Option<SagaId> {
        reply::named_saga(&self.original.headers)
    }
}

impl LetterDialect {
    /// Every dialect.
    pub const ALL: [LetterDialect; 3] = [LetterDialect::Saga, LetterDialect::Spring, LetterDialect::KafkaConnect];

    /// The dialect with this name; `None`: there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<LetterDialect> {
        LetterDialect::ALL.into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// The name for programs and people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LetterDialect::Saga => "saga",
            LetterDialect::Spring => "spring",
            LetterDialect::KafkaConnect => "kafkaConnect",
        }
    }
}

impl LetterCode {
    /// The code as its writer named it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            LetterCode::Poison(code) => code.as_str(),
            LetterCode::Other(name) => name,
        }
    }

    fn named(name: &str) -> LetterCode {
        PoisonCode::parse(name).map_or_else(|| LetterCode::Other(name.to_owned()), LetterCode::Poison)
    }
}

impl fmt::Display for LetterCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for LetterOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// The engine's headers follow those of the original, which may have some of the same name: only what follows counts.
fn of_engine(record: &KafkaRecord) -> Result<FoundLetter, UnknownLetter> {
    let own = record.headers.iter().rposition(|(name, _)| name == FIRST).unwrap_or(record.headers.len());
    let (original, added) = record.headers.split_at(own);
    let added = KafkaRecord { headers: added.to_vec(), ..record.clone() };
    let origin = LetterOrigin {
        topic: text(&added, FIRST).ok_or(UnknownLetter::Unreadable(FIRST))?.into(),
        partition: number(&added, "saga_dlq_partition")?,
        offset: number(&added, "saga_dlq_offset")?,
        timestamp: parsed(&added, "saga_dlq_timestamp").map(Timestamp),
    };
    let form = DeadLetterForm::leaving_out(added.header_text("saga_dlq_left_out"))
        .ok_or(UnknownLetter::Unreadable("saga_dlq_left_out"))?;
    let key = if form == DeadLetterForm::PointerAlone { None } else { record.key.clone() };
    let place = format!("{origin}/");
    let definition = text(&added, "saga_dlq_id").and_then(|id| id.strip_prefix(&place)).map(str::to_owned);
    Ok(FoundLetter {
        dialect: LetterDialect::Saga,
        origin,
        definition,
        code: LetterCode::named(text(&added, "saga_dlq_code").ok_or(UnknownLetter::Unreadable("saga_dlq_code"))?),
        message: told(&added, "saga_dlq_message").unwrap_or_default(),
        found_at: text(&added, "saga_dlq_time").and_then(from_rfc3339),
        redrives: parsed(&added, REDRIVES).unwrap_or_default(),
        form,
        original: OriginalContent { key, value: record.value.clone(), headers: original.to_vec() },
    })
}

fn of_spring(record: &KafkaRecord) -> Result<FoundLetter, UnknownLetter> {
    const TOPIC: &str = "kafka_dlt-original-topic";
    const PARTITION: &str = "kafka_dlt-original-partition";
    const OFFSET: &str = "kafka_dlt-original-offset";
    let partition = binary(record, PARTITION).and_then(|number| i32::try_from(number).ok());
    let timestamp = binary(record, "kafka_dlt-original-timestamp").map(Timestamp);
    let origin = LetterOrigin {
        topic: text(record, TOPIC).ok_or(UnknownLetter::Unreadable(TOPIC))?.into(),
        partition: partition.ok_or(UnknownLetter::Unreadable(PARTITION))?,
        offset: binary(record, OFFSET).ok_or(UnknownLetter::Unreadable(OFFSET))?,
        timestamp,
    };
    // The listener's own exception wraps what went wrong; a key that cannot be read has headers of its own.
    let classes = ["exception-cause-fqcn", "exception-fqcn", "key-exception-fqcn"];
    let class = classes.iter().find_map(|name| text(record, &format!("{SPRING}{name}")));
    let messages = ["exception-message", "key-exception-message"];
    let message = messages.iter().find_map(|name| told(record, &format!("{SPRING}{name}")));
    Ok(of_another(record, LetterDialect::Spring, origin, (SPRING, class, message)))
}

fn of_connect(record: &KafkaRecord) -> Result<FoundLetter, UnknownLetter> {
    const TOPIC: &str = "__connect.errors.topic";
    let origin = LetterOrigin {
        topic: text(record, TOPIC).ok_or(UnknownLetter::Unreadable(TOPIC))?.into(),
        partition: number(record, "__connect.errors.partition")?,
        offset: number(record, "__connect.errors.offset")?,
        // A dead letter of Kafka Connect has the timestamp of its original.
        timestamp: (record.timestamp.0 >= 0).then_some(record.timestamp),
    };
    let class = text(record, "__connect.errors.exception.class.name");
    let message = told(record, "__connect.errors.exception.message");
    Ok(of_another(record, LetterDialect::KafkaConnect, origin, (CONNECT, class, message)))
}

fn of_another(
    record: &KafkaRecord,
    dialect: LetterDialect,
    origin: LetterOrigin,
    (prefix, class, message): (&str, Option<&str>, Option<String>),
) -> FoundLetter {
    let headers = record.headers.iter().filter(|(name, _)| !name.starts_with(prefix)).cloned().collect();
    FoundLetter {
        dialect,
        origin,
        definition: None,
        code: LetterCode::named(class.unwrap_or("unknown")),
        message: message.unwrap_or_default(),
        found_at: None,
        redrives: 0,
        form: DeadLetterForm::Whole,
        original: OriginalContent { key: record.key.clone(), value: record.value.clone(), headers },
    }
}

fn text<'a>(record: &'a KafkaRecord, name: &str) -> Option<&'a str> {
    record.header(name).and_then(payload::text)
}

/// A message, which can quote bytes of a poison record: a replacement character stands for each that is no text.
fn told(record: &KafkaRecord, name: &str) -> Option<String> {
    record.header(name).map(|bytes| String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}"))
}

fn parsed<T: FromStr>(record: &KafkaRecord, name: &str) -> Option<T> {
    text(record, name)?.parse().ok()
}

fn number<T: FromStr>(record: &KafkaRecord, name: &'static str) -> Result<T, UnknownLetter> {
    parsed(record, name).ok_or(UnknownLetter::Unreadable(name))
}

/// A number that Spring wrote: the bytes of an `int` or a `long`, or its digits, as header mappers write it. Bytes that
/// are digits count as digits: as the bytes of an `int` they would be a partition above 800 million.
fn binary(record: &KafkaRecord, name: &str) -> Option<i64> {
    let bytes = record.header(name)?;
    let digits = std::str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok());
    digits.or_else(|| match bytes.len() {
        4 => bytes.try_into().ok().map(i32::from_be_bytes).map(i64::from),
        8 => bytes.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
