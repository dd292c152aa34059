//! Records of topics that are written in Avro: which schema, under which id, and the bytes.

use super::{SchemaSource, SourceParts};
use crate::topic_formats::{AvroFormat, AvroFrame, SchemaRegistration, SubjectNaming};
use saga_base::sync::UnpoisonedMutex;
use saga_registry::{RegistryError, SchemaRegistry};
use saga_schemas::{
    avro::AvroSchema,
    encode::encode,
    framing::{framed_as_single_object, framed_by_id},
};
use saga_wire::{OutgoingRecord, cloudevents};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::OnceCell, time::Instant};

/// How long a schema that could not be had is not asked for again: commands that came together fail together, and not
/// each after a request of its own.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Writers by topic and type: as many as the definitions have.
pub(super) type TopicWriters = HashMap<(Arc<str>, String), Arc<WriterCell>>;

/// A writer, made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct WriterCell {
    writer: OnceCell<TopicWriter>,
    missed: UnpoisonedMutex<Option<(Instant, EncodeRefusal)>>,
}

/// Writes the records of one type to one topic.
#[derive(Debug)]
pub(super) struct TopicWriter {
    schema: AvroSchema,
    frame: WrittenFrame,
}

#[derive(Debug)]
enum WrittenFrame {
    Id(u32),
    SingleObject,
}

/// Why a record cannot be written in Avro.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeRefusal {
    /// Its value does not fit the schema, and never will.
    #[error("{0}")]
    Unfit(String),
    /// Its schema cannot be had now: no fault of the record.
    #[error("{0}")]
    NoSchema(String),
}

impl SchemaSource {
    /// The record as its topic takes it: in Avro where the configuration says so, else as it is. One look-up at most;
    /// it does not wait for a registry that does not answer. A call can be cancelled at any time.
    ///
    /// # Errors
    /// The value does not fit its schema, or the schema cannot be had now.
    pub async fn encoded(&self, record: OutgoingRecord) -> Result<OutgoingRecord, EncodeRefusal> {
        let Some(format) = self.0.formats.avro(&record.topic) else { return Ok(record) };
        let event_type = cloudevents::type_of(&record).unwrap_or_default().to_owned();
        let cell = {
            let mut writers = self.0.writers.lock();
            Arc::clone(writers.entry((Arc::clone(&record.topic), event_type.clone())).or_default())
        };
        let writer = cell.writer(|| self.0.writer(&record.topic, &event_type, format)).await?;
        writer.write(record, &event_type)
    }
}

impl WriterCell {
    /// The writer; `make` is called by one caller at a time.
    pub(super) async fn writer<F>(&self, make: impl FnOnce() -> F) -> Result<&TopicWriter, EncodeRefusal>
    where
        F: Future<Output = Result<TopicWriter, EncodeRefusal>>,
    {
        let made = async {
            let missed = self.missed.lock().clone();
            if let Some((_, refusal)) = missed.filter(|(at, _)| at.elapsed() < ASK_AGAIN) {
                return Err(refusal);
            }
            let made = make().await;
            *self.missed.lock() = made.as_ref().err().map(|refusal| (Instant::now(), refusal.clone()));
            made
        };
        self.writer.get_or_try_init(|| made).await
    }
}

impl SourceParts {
    async fn writer(&self, topic: &str, event_type: &str, format: &AvroFormat) -> Result<TopicWriter, EncodeRefusal> {
        let local = self.local.record(event_type).cloned();
        match (format.frame, &self.registry) {
            (AvroFrame::SingleObject, _) => {
                let schema = local.ok_or_else(|| {
                    let message = format!("no file in the folder of schemas has a record `{event_type}`: add one");
                    EncodeRefusal::NoSchema(message)
                })?;
                Ok(TopicWriter { schema, frame: WrittenFrame::SingleObject })
            }
            (AvroFrame::Registry, None) => {
                Err(EncodeRefusal::NoSchema("no schema registry is configured: set `schemaRegistry.url`".to_owned()))
            }
            (AvroFrame::Registry, Some(registry)) => {
                let found = registered(&registry.client, local, (topic, event_type), format).await;
                match &found {
                    Err(error @ (RegistryError::Unavailable { .. } | RegistryError::Refused { .. })) => {
                        registry.standing.missed(error);
                    }
                    Ok(_) | Err(RegistryError::Unknown { .. } | RegistryError::Unusable { .. }) => {
                        registry.standing.answered();
                    }
                }
                found.map_err(|error| EncodeRefusal::NoSchema(no_schema(&error, event_type, format.registration)))
            }
        }
    }
}

/// The schema of the folder under the id that the registry has for it, else the latest version of the subject.
async fn registered(
    client: &SchemaRegistry,
    local: Option<AvroSchema>,
    (topic, event_type): (&str, &str),
    format: &AvroFormat,
) -> Result<TopicWriter, RegistryError> {
    let record = local.as_ref().and_then(AvroSchema::name).unwrap_or(event_type);
    let subject = match format.subject {
        SubjectNaming::Topic => format!("{topic}-value"),
        SubjectNaming::Record => record.to_owned(),
        SubjectNaming::TopicRecord => format!("{topic}-{record}"),
    };
    let Some(schema) = local else {
        let latest = client.version(&subject, None).await?;
        return Ok(TopicWriter { schema: latest.schema, frame: WrittenFrame::Id(latest.id) });
    };
    let id = match format.registration {
        SchemaRegistration::Expected => client.look_up(&subject, schema.text(), &[]).await?,
        SchemaRegistration::Requested => client.register(&subject, schema.text(), &[]).await?,
    };
    Ok(TopicWriter { schema, frame: WrittenFrame::Id(id) })
}

fn no_schema(error: &RegistryError, event_type: &str, registration: SchemaRegistration) -> String {
    let help = match (error, registration) {
        (RegistryError::Unknown { .. }, SchemaRegistration::Expected) => {
            ": register it, or let the engine do it (`register: true` in `topics.formats`)"
        }
        (RegistryError::Unknown { .. }, SchemaRegistration::Requested) => {
            ": register it, or add a file with this record to the folder of schemas"
        }
        (RegistryError::Unavailable { .. } | RegistryError::Refused { .. } | RegistryError::Unusable { .. }, _) => "",
    };
    format!("the schema of `{event_type}`: {error}{help}")
}

impl TopicWriter {
    fn write(&self, record: OutgoingRecord, event_type: &str) -> Result<OutgoingRecord, EncodeRefusal> {
        let unfit = |why: String| {
            let schema = self.schema.name().unwrap_or("the schema");
            EncodeRefusal::Unfit(format!("`{event_type}` does not fit {schema}: {why}"))
        };
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or(b"null"))
            .map_err(|error| unfit(error.to_string()))?;
        let bytes = encode(&self.schema, &value).map_err(|error| unfit(error.to_string()))?;
        let framed = match self.frame {
            WrittenFrame::Id(id) => framed_by_id(id, &bytes),
            WrittenFrame::SingleObject => framed_as_single_object(self.schema.fingerprint(), &bytes),
        };
        Ok(cloudevents::in_avro(record, framed))
    }
}
