//! The schemas of the folder, by every name that a record can have for them.

use saga_schemas::{avro::AvroSchema, embedded::EmbeddedRegistry};
use saga_wire::{PayloadReader, PayloadSchemaName};
use std::{collections::HashMap, sync::Arc};

/// The schemas of a folder, and readers of what they wrote.
#[derive(Debug, Default)]
pub struct LocalSchemas {
    readers: HashMap<PayloadSchemaName, Arc<PayloadReader>>,
    /// Those that have a name.
    schemas: Vec<AvroSchema>,
}

impl LocalSchemas {
    /// The schemas of `registry`: by their fingerprints, and by the ids and GUIDs that it gives them.
    #[must_use]
    pub fn new(registry: &EmbeddedRegistry) -> LocalSchemas {
        let mut readers = HashMap::new();
        let mut schemas = Vec::new();
        for (id, guid, schema) in registry.schemas() {
            let reader = Arc::new(PayloadReader::new(schema));
            let names = [
                PayloadSchemaName::Id(id),
                PayloadSchemaName::Guid(guid),
                PayloadSchemaName::Fingerprint(schema.fingerprint()),
            ];
            readers.extend(names.map(|name| (name, Arc::clone(&reader))));
            schemas.extend(schema.name().is_some().then(|| schema.clone()));
        }
        LocalSchemas { readers, schemas }
    }

    pub(super) fn reader(&self, name: PayloadSchemaName) -> Option<Arc<PayloadReader>> {
        self.readers.get(&name).cloned()
    }

    /// The schema of a record: by its full name, else by its short one if no other record has it.
    pub(super) fn record(&self, name: &str) -> Option<&AvroSchema> {
        let full = self.schemas.iter().find(|schema| schema.name() == Some(name));
        let is_short = |schema: &&AvroSchema| schema.name().and_then(|full| full.rsplit('.').next()) == Some(name);
        let mut short = self.schemas.iter().filter(is_short);
        full.or_else(|| short.next().filter(|_| short.next().is_none()))
    }
}
