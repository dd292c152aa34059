//! Finds the schemas that records name: in the folder of schemas, or at a schema registry. A registry that does not
//! answer is waited for: what it does not say is no fault of a record.

mod local;
mod standing;

pub use local::LocalSchemas;
pub use standing::RegistryOutage;

use crate::retry::RetryDelays;
use saga_base::{clock::EngineClock, sync::UnpoisonedMutex};
use saga_registry::{RegistryError, SchemaKey, SchemaRegistry};
use saga_schemas::avro::AvroSchema;
use saga_wire::{PayloadReader, PayloadSchema, PayloadSchemaName, PoisonCode, PoisonDiagnosis};
use standing::RegistryStanding;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Between two tries to ask a registry that does not answer.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Most readers of a registry's schemas that are kept, as many as the registry's client keeps schemas.
const MAX_READERS: usize = 1_000;

/// Finds the schemas that records name. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct SchemaSource(Arc<SourceParts>);

#[derive(Debug, Default)]
struct SourceParts {
    local: LocalSchemas,
    registry: Option<RegistryAccess>,
}

#[derive(Debug)]
struct RegistryAccess {
    client: SchemaRegistry,
    readers: UnpoisonedMutex<HashMap<SchemaKey, Arc<PayloadReader>>>,
    standing: RegistryStanding,
}

impl SchemaSource {
    /// A source of the schemas of the folder, and of those of a registry, which is given with the name that logs and
    /// the API call it by.
    #[must_use]
    pub fn new(local: LocalSchemas, registry: Option<(String, SchemaRegistry)>, clock: EngineClock) -> SchemaSource {
        let registry = registry.map(|(address, client)| RegistryAccess {
            client,
            readers: UnpoisonedMutex::default(),
            standing: RegistryStanding::new(address, clock),
        });
        SchemaSource(Arc::new(SourceParts { local, registry }))
    }

    /// The outage of the registry that records wait for now; `None`: none waits for it.
    #[must_use]
    pub(crate) fn outage(&self) -> Option<RegistryOutage> {
        self.0.registry.as_ref()?.standing.outage()
    }

    /// Whether [`SchemaSource::find`] answers without asking a registry.
    pub(crate) fn is_at_hand(&self, name: PayloadSchemaName) -> bool {
        self.way(name).is_ok()
    }

    /// The schema that a record names. Returns when it is known whether it can be had: as long as the registry does not
    /// answer, or refuses, this waits. A call can be cancelled at any time.
    pub(crate) async fn find(&self, name: PayloadSchemaName) -> PayloadSchema {
        match self.way(name) {
            Ok(schema) => schema,
            Err((registry, key)) => registry.find(key).await,
        }
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
