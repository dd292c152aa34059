//! The schemas of records: finds those that records name, in the folder of schemas or at a schema registry, and writes
//! records of topics that are in Avro. A registry that does not answer is waited for: what it does not say is no fault
//! of a record.

mod local;
mod patience;
mod standing;
mod writing;

pub use local::LocalSchemas;
pub use patience::{SCHEMA_PATIENCE, SchemaUnanswered};
pub use standing::RegistryOutage;
pub use writing::EncodeRefusal;

use crate::{
    retry::RetryDelays,
    topic_formats::{ReaderSchema, TopicFormats},
};
use patience::WaitedInVain;
use saga_base::{clock::EngineClock, sync::UnpoisonedMutex};
use saga_registry::{RegistryError, SchemaKey, SchemaRegistry};
use saga_schemas::avro::AvroSchema;
use saga_wire::{KafkaRecord, PayloadReader, PayloadSchema, PayloadSchemaName, PoisonCode, PoisonDiagnosis};
use standing::RegistryStanding;
use std::{collections::HashMap, sync::Arc, time::Duration};
use writing::TopicWriters;

/// Between two tries to ask a registry that does not answer.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Most readers of a registry's schemas that are kept, as many as the registry's client keeps schemas.
const MAX_READERS: usize = 1_000;

/// Readers by topic and by the schema that its records name.
type TopicReaders = HashMap<(Arc<str>, PayloadSchemaName), Arc<PayloadReader>>;

/// The schemas that records are read and written by. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct SchemaSource(Arc<SourceParts>);

#[derive(Debug, Default)]
struct SourceParts {
    local: LocalSchemas,
    registry: Option<RegistryAccess>,
    formats: TopicFormats,
    /// Readers that give records of a topic the form of its reader's schema.
    resolved: UnpoisonedMutex<TopicReaders>,
    writers: UnpoisonedMutex<TopicWriters>,
    in_vain: WaitedInVain,
}

#[derive(Debug)]
struct RegistryAccess {
    client: SchemaRegistry,
    readers: UnpoisonedMutex<HashMap<SchemaKey, Arc<PayloadReader>>>,
    /// Reader's schemas, by subject and version.
    subjects: UnpoisonedMutex<HashMap<(String, Option<u32>), AvroSchema>>,
    standing: RegistryStanding,
}

impl SchemaSource {
    /// A source of the schemas of the folder, and of those of a registry, which is given with the name that logs and
    /// the API call it by. `formats`: what the configuration says of topics.
    #[must_use]
    pub fn new(
        local: LocalSchemas,
        registry: Option<(String, SchemaRegistry)>,
        formats: TopicFormats,
        clock: EngineClock,
    ) -> SchemaSource {
        let registry = registry.map(|(address, client)| RegistryAccess {
            client,
            readers: UnpoisonedMutex::default(),
            subjects: UnpoisonedMutex::default(),
            standing: RegistryStanding::new(address, clock),
        });
        SchemaSource(Arc::new(SourceParts { local, registry, formats, ..SourceParts::default() }))
    }

    /// The outage of the registry that records wait for now; `None`: none waits for it.
    #[must_use]
    pub(crate) fn outage(&self) -> Option<RegistryOutage> {
        self.0.registry.as_ref()?.standing.outage()
    }

    /// Asks the registry whether it is there; `None`: there is none.
    pub(crate) async fn ping(&self) -> Option<Result<(), RegistryError>> {
        Some(self.0.registry.as_ref()?.client.ping().await)
    }

    /// Whether [`SchemaSource::of_record`] answers without asking a registry. `named`: the schema that has to be known
    /// before the record is read, if one has to.
    pub(crate) fn is_at_hand(&self, record: &KafkaRecord, named: Option<PayloadSchemaName>) -> bool {
        let Some(name) = named.filter(|_| self.0.formats.refusal(record).is_none()) else { return true };
        match (self.way(name), self.reader_of(&record.topic)) {
            (Err(_), _) => false,
            (Ok(_), None | Some(ReaderSchema::Folder)) => true,
            (Ok(_), Some(ReaderSchema::Subject { subject, version })) => {
                self.0.registry.as_ref().is_none_or(|it| it.subject_kept(subject, *version).is_some())
            }
        }
    }

    /// What is known of the schema of the record's value: the one that it names, in the form of the topic's reader.
    /// Returns when it is known whether it can be had: as long as the registry does not answer, or refuses, this waits.
    /// A call can be cancelled at any time.
    pub async fn of_record(&self, record: &KafkaRecord, named: Option<PayloadSchemaName>) -> PayloadSchema {
        if let Some(poison) = self.0.formats.refusal(record) {
            return PayloadSchema::Unreadable(poison);
        }
        let Some(name) = named else { return PayloadSchema::Unneeded };
        match (self.written_by(name).await, self.reader_of(&record.topic)) {
            (PayloadSchema::Known(writer), Some(wanted)) => {
                PayloadSchema::Known(self.in_form(&record.topic, name, writer, wanted).await)
            }
            (written, _) => written,
        }
    }

    async fn written_by(&self, name: PayloadSchemaName) -> PayloadSchema {
        match self.way(name) {
            Ok(schema) => schema,
            Err((registry, key)) => registry.find(key).await,
        }
    }

    fn reader_of(&self, topic: &str) -> Option<&ReaderSchema> {
        self.0.formats.avro(topic)?.reader.as_ref()
    }

    /// A reader of what `writer` reads, in the form that the topic's reader wants.
    async fn in_form(
        &self,
        topic: &Arc<str>,
        name: PayloadSchemaName,
        writer: Arc<PayloadReader>,
        wanted: &ReaderSchema,
    ) -> Arc<PayloadReader> {
        let place = (Arc::clone(topic), name);
        if let Some(known) = self.0.resolved.lock().get(&place) {
            return Arc::clone(known);
        }
        let reader = match (wanted, &self.0.registry) {
            (ReaderSchema::Folder, _) => writer.record_name().and_then(|record| self.0.local.record(record).cloned()),
            (ReaderSchema::Subject { subject, version }, Some(registry)) => {
                Some(registry.of_subject(subject, *version).await)
            }
            // The configuration is refused without a registry.
            (ReaderSchema::Subject { .. }, None) => None,
        };
        let reader = reader.map_or(writer.clone(), |schema| Arc::new(writer.in_the_form_of(&schema)));
        let mut resolved = self.0.resolved.lock();
        if resolved.len() >= MAX_READERS {
            resolved.clear();
        }
        resolved.insert(place, Arc::clone(&reader));
        reader
    }

    /// What is known of the schema, or where to ask for it.
    fn way(&self, name: PayloadSchemaName) -> Result<PayloadSchema, (&RegistryAccess, SchemaKey)> {
        let unknown = |why: &str| {
            let message = format!("its value names {name}, {why}");
            PayloadSchema::Unreadable(PoisonDiagnosis::new(PoisonCode::UnknownSchema, message))
        };
        let local = |why| self.0.local.reader(name).map_or_else(|| unknown(why), PayloadSchema::Known);
        let key = match name {
            PayloadSchemaName::Fingerprint(_) => return Ok(local("which is in no file of the folder of schemas")),
            PayloadSchemaName::Id(id) => SchemaKey::Id(id),
            PayloadSchemaName::Guid(guid) => SchemaKey::Guid(guid),
        };
        match &self.0.registry {
            None => Ok(local("which is in no file of the folder of schemas, and no schema registry is configured")),
            Some(registry) => registry.kept(key).map(PayloadSchema::Known).ok_or((registry, key)),
        }
    }
}

impl RegistryAccess {
    fn kept(&self, key: SchemaKey) -> Option<Arc<PayloadReader>> {
        self.readers.lock().get(&key).cloned()
    }

    async fn find(&self, key: SchemaKey) -> PayloadSchema {
        let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
        let poison =
            |code, error: RegistryError| PayloadSchema::Unreadable(PoisonDiagnosis::new(code, error.to_string()));
        loop {
            let answer = self.client.schema(key).await;
            match answer {
                // The configuration is wrong: no record is at fault.
                Err(error @ (RegistryError::Unavailable { .. } | RegistryError::Refused { .. })) => {
                    self.standing.missed(&error);
                    delays.wait().await;
                    continue;
                }
                Ok(_) | Err(RegistryError::Unknown { .. } | RegistryError::Unusable { .. }) => self.standing.answered(),
            }
            return match answer {
                Ok(schema) => PayloadSchema::Known(self.keep(key, &schema)),
                Err(error @ RegistryError::Unusable { .. }) => poison(PoisonCode::SchemaMismatch, error),
                Err(error) => poison(PoisonCode::UnknownSchema, error),
            };
        }
    }

    fn subject_kept(&self, subject: &str, version: Option<u32>) -> Option<AvroSchema> {
        self.subjects.lock().get(&(subject.to_owned(), version)).cloned()
    }

    /// The schema of a subject that the configuration names. One that the registry does not have is waited for, like
    /// the registry: no record is at fault.
    async fn of_subject(&self, subject: &str, version: Option<u32>) -> AvroSchema {
        let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
        loop {
            if let Some(schema) = self.subject_kept(subject, version) {
                return schema;
            }
            match self.client.version(subject, version).await {
                Ok(found) => {
                    self.standing.answered();
                    self.subjects.lock().insert((subject.to_owned(), version), found.schema);
                }
                Err(error) => {
                    self.standing.missed(&error);
                    delays.wait().await;
                }
            }
        }
    }

    fn keep(&self, key: SchemaKey, schema: &AvroSchema) -> Arc<PayloadReader> {
        let reader = Arc::new(PayloadReader::new(schema));
        let mut readers = self.readers.lock();
        if readers.len() >= MAX_READERS {
            // The registry's client still has the schemas: the next records make their readers anew.
            readers.clear();
        }
        readers.insert(key, Arc::clone(&reader));
        reader
    }
}

#[cfg(test)]
mod tests;
