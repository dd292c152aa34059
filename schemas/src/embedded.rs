//! A schema registry that only reads: Confluent's API, answered from a folder of Avro schemas, so that clients with
//! Avro serialisers work where no registry runs.
//!
//! Pure: a request goes in, an answer comes out; the binary serves it. Every schema is of the subject of its record's
//! name, and of those that the caller names. An id is made of the schema's canonical form, so it stays the same
//! when files are added, removed and renamed, and on every machine.

mod answer;
mod routes;

pub use answer::RegistryAnswer;

use crate::avro::{AvroSchema, AvroSchemaError};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Namespace of the GUIDs; drawn once.
const GUIDS: Uuid = Uuid::from_u128(0x6f0d_7d52_2f0b_4bb4_a1f6_0a53_3c51_7e19);

/// Schemas by id and by subject.
#[derive(Clone, Debug, Default)]
pub struct EmbeddedRegistry {
    schemas: BTreeMap<u32, EmbeddedSchema>,
    /// Each subject has one version: a folder has no history.
    subjects: BTreeMap<String, u32>,
}

#[derive(Clone, Debug)]
struct EmbeddedSchema {
    id: u32,
    guid: Uuid,
    schema: AvroSchema,
}

/// Why a folder makes no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbeddedRegistryError {
    /// A file is no schema.
    #[error("{file}: {reason}")]
    Schema {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        reason: AvroSchemaError,
    },
    /// Two schemas would have the same id: they differ only in what is no part of the canonical form, or by a chance of
    /// 1 in 2 billion.
    #[error("{file}: its schema gets the id of another file's; keep one of the two, or change a name in it")]
    TakenId {
        /// Name of the file.
        file: String,
    },
    /// A subject is to have a schema that is in no file.
    #[error("the subject {subject} is to have the schema {record}, which is in no file")]
    UnknownRecord {
        /// Name of the subject.
        subject: String,
        /// Name of the record.
        record: String,
    },
}

impl EmbeddedRegistry {
    /// A registry of files, given as (file name, text), and of further subjects, given as (subject, full or short name
    /// of the record): `("shop.orders-value", "OrderPlaced")`.
    ///
    /// # Errors
    /// A file is no schema, or a subject names none.
    pub fn new<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        subjects: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<EmbeddedRegistry, EmbeddedRegistryError> {
        let mut registry = EmbeddedRegistry::default();
        for (file, text) in files {
            registry.add(file, text)?;
        }
        for (subject, record) in subjects {
            let found = registry.of_record(record);
            let unknown = || EmbeddedRegistryError::UnknownRecord { subject: subject.into(), record: record.into() };
            registry.subjects.insert(subject.to_owned(), found.ok_or_else(unknown)?);
        }
        Ok(registry)
    }

    /// The id of a schema that the registry has: one with the same canonical form.
    #[must_use]
    pub fn id_of(&self, schema: &AvroSchema) -> Option<u32> {
        self.schemas.get(&id(schema)).filter(|known| known.schema == *schema).map(|known| known.id)
    }

    /// The schema with this id.
    #[must_use]
    pub fn schema(&self, id: u32) -> Option<&AvroSchema> {
        self.schemas.get(&id).map(|known| &known.schema)
    }

    /// All schemas, each with its id and its GUID.
    pub fn schemas(&self) -> impl Iterator<Item = (u32, Uuid, &AvroSchema)> {
        self.schemas.values().map(|known| (known.id, known.guid, &known.schema))
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It is no schema, or its id is taken.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), EmbeddedRegistryError> {
        let bad = |reason| EmbeddedRegistryError::Schema { file: file.to_owned(), reason };
        let schema = AvroSchema::parse(text).map_err(bad)?;
        let id = id(&schema);
        if self.schemas.get(&id).is_some_and(|known| known.schema.text() != schema.text()) {
            return Err(EmbeddedRegistryError::TakenId { file: file.to_owned() });
        }
        self.subjects.extend(schema.name().map(|name| (name.to_owned(), id)));
        let guid = Uuid::new_v5(&GUIDS, schema.canonical_form().as_bytes());
        self.schemas.insert(id, EmbeddedSchema { id, guid, schema });
        Ok(())
    }

    /// Names one more subject of the schema of `record`, a full or short name, if there is one and the subject is not
    /// taken.
    pub fn add_subject(&mut self, subject: &str, record: &str) {
        if let Some(id) = self.of_record(record) {
            self.subjects.entry(subject.to_owned()).or_insert(id);
        }
    }

    /// Answers a request. `path` is what stands after the address, with its query: `/schemas/ids/4?fetchMaxId=false`.
    #[must_use]
    pub fn answer(&self, method: &str, path: &str, body: &[u8]) -> RegistryAnswer {
        routes::answer(self, method, path, body)
    }

    fn of_record(&self, record: &str) -> Option<u32> {
        let is_record = |name: &str| name == record || name.rsplit('.').next() == Some(record);
        self.schemas.values().find(|known| known.schema.name().is_some_and(is_record)).map(|known| known.id)
    }
}

/// Positive in 32 bits with a sign, as clients in Java need it.
fn id(schema: &AvroSchema) -> u32 {
    let [.., a, b, c, d] = schema.fingerprint().to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff).max(1)
}

#[cfg(test)]
mod tests;
