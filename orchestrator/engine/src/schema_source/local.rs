//! The schemas of the folder, by every name that a record can have for them.

use saga_schemas::embedded::EmbeddedRegistry;
use saga_wire::{PayloadReader, PayloadSchemaName};
use std::{collections::HashMap, sync::Arc};

/// Readers of what the schemas of a folder wrote.
#[derive(Debug, Default)]
pub struct LocalSchemas {
    readers: HashMap<PayloadSchemaName, Arc<PayloadReader>>,
}

impl LocalSchemas {
    /// The schemas of `registry`: by their fingerprints, and by the ids and GUIDs that it gives them.
    #[must_use]
    pub fn new(registry: &EmbeddedRegistry) -> LocalSchemas {
        let mut readers = HashMap::new();
        for (id, guid, schema) in registry.schemas() {
            let reader = Arc::new(PayloadReader::new(schema));
            let names = [
                PayloadSchemaName::Id(id),
                PayloadSchemaName::Guid(guid),
                PayloadSchemaName::Fingerprint(schema.fingerprint()),
            ];
            readers.extend(names.map(|name| (name, Arc::clone(&reader))));
        }
        LocalSchemas { readers }
    }

    pub(super) fn reader(&self, name: PayloadSchemaName) -> Option<Arc<PayloadReader>> {
        self.readers.get(&name).cloned()
    }
}
