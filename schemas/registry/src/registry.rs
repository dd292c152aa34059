//! The handle of a registry.

use crate::{
    cache::SchemaCache,
    error::RegistryError,
    http::RegistryHttp,
    keeper::{KnownSchemas, SchemaKeeper, SchemaLookup},
    key::SchemaKey,
    settings::RegistrySettings,
};
use saga_schemas::avro::AvroSchema;
use std::{fmt, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Look-ups that wait for the task; those beyond it wait for a place.
const QUEUE: usize = 256;

/// A registry. A clone is the same registry, with the same cache.
#[derive(Clone)]
pub struct SchemaRegistry {
    pub(crate) http: Arc<RegistryHttp>,
    known: Arc<KnownSchemas>,
    lookups: mpsc::Sender<SchemaLookup>,
}

impl SchemaRegistry {
    /// A registry, which is not asked yet. Has to be called within tokio's runtime; the task that looks schemas up ends
    /// with the last clone.
    ///
    /// # Errors
    /// The settings make no client.
    pub fn open(settings: &RegistrySettings) -> Result<SchemaRegistry, RegistryError> {
        let http = Arc::new(RegistryHttp::new(settings)?);
        let known = Arc::new(KnownSchemas::default());
        let cache = SchemaCache::new(settings.max_schemas, settings.max_schema_bytes, settings.unknown_for);
        let (lookups, queue) = mpsc::channel(QUEUE);
        let keeper = SchemaKeeper::new(Arc::clone(&http), cache, Arc::clone(&known));
        tokio::spawn(keeper.run(queue));
        Ok(SchemaRegistry { http, known, lookups })
    }

    /// The schema that a record names, if it is kept: costs a look into a map.
    #[must_use]
    pub fn kept(&self, key: SchemaKey) -> Option<AvroSchema> {
        self.known.load().get(&key).cloned()
    }

    /// The schema that a record names, with all that it refers to. The first who asks causes a request; others wait for
    /// its answer. A call can be cancelled at any time.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`]: wait and ask again. [`RegistryError::Unknown`], [`RegistryError::Unusable`]: the
    /// record cannot be read; the same is answered without a request until `unknown_for` has passed.
    /// [`RegistryError::Refused`]: the configuration is wrong.
    pub async fn schema(&self, key: SchemaKey) -> Result<AvroSchema, RegistryError> {
        if let Some(schema) = self.kept(key) {
            return Ok(schema);
        }
        let (answer, answered) = oneshot::channel();
        let gone = || RegistryError::Unavailable { reason: "the look-up was broken off".to_owned() };
        self.lookups.send(SchemaLookup { key, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRegistry").field("kept", &self.known.load().len()).finish_non_exhaustive()
    }
}
