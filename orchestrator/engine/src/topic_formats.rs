//! What the configuration says of the records of a topic: in which format they are read, and in which they are written.

use saga_wire::{KafkaRecord, PoisonDiagnosis, payload_schema};
use std::{collections::HashMap, sync::Arc};

/// Formats by topic. A topic without one is read in any format, each record by itself, and written in JSON. A cheap
/// handle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicFormats(Arc<HashMap<String, TopicFormat>>);

/// The one format of the records of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicFormat {
    /// JSON.
    Json,
    /// Avro.
    Avro(AvroFormat),
}

/// How a topic is read and written in Avro.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AvroFormat {
    /// The schema whose form the records get when they are read; `None`: that by which each was written.
    pub reader: Option<ReaderSchema>,
    /// Under which subject the schema of a written record is in the registry.
    pub subject: SubjectNaming,
    /// Whether the engine registers the schemas of what it writes.
    pub registration: SchemaRegistration,
    /// What stands before the bytes of what is written.
    pub frame: AvroFrame,
}

/// Where the reader's schema of a topic is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReaderSchema {
    /// In the folder of schemas: the one whose record has the name of the record that is read. Without one, the form is
    /// that by which the record was written.
    Folder,
    /// In the registry.
    Subject {
        /// Its subject.
        subject: String,
        /// The version; `None`: the latest when it is first needed.
        version: Option<u32>,
    },
}

/// How the subject of a written record is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectNaming {
    /// `<topic>-value`.
    #[default]
    Topic,
    /// The full name of the record.
    Record,
    /// `<topic>-<full name of the record>`.
    TopicRecord,
}

/// Who puts the schemas of written records into the registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaRegistration {
    /// Somebody else: a schema that is not there is waited for.
    #[default]
    Expected,
    /// The engine, before the first record.
    Requested,
}

/// What stands before the bytes of a written record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AvroFrame {
    /// The frame of Confluent's registry, with the schema's id.
    #[default]
    Registry,
    /// Avro's single-object encoding, by a schema of the folder; no registry is asked.
    SingleObject,
}

impl TopicFormats {
    /// The formats of these topics.
    #[must_use]
    pub fn new(formats: impl IntoIterator<Item = (String, TopicFormat)>) -> TopicFormats {
        TopicFormats(Arc::new(formats.into_iter().collect()))
    }

    /// How the topic is read and written in Avro; `None`: it need not be Avro.
    #[must_use]
    pub fn avro(&self, topic: &str) -> Option<&AvroFormat> {
        match self.0.get(topic)? {
            TopicFormat::Json => None,
            TopicFormat::Avro(avro) => Some(avro),
        }
    }

    /// The topics that have a format.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Why the record is not in the format of its topic; `None`: it is, or says nothing about it.
    pub(crate) fn refusal(&self, record: &KafkaRecord) -> Option<PoisonDiagnosis> {
        match self.0.get(&*record.topic)? {
            TopicFormat::Json => payload_schema::not_json(record),
            TopicFormat::Avro(_) => payload_schema::not_avro(record),
        }
    }
}
