//! What names a schema.

use std::fmt;
use uuid::Uuid;

/// How a record names its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaKey {
    /// By the id in the registry.
    Id(u32),
    /// By the GUID.
    Guid(Uuid),
}

impl SchemaKey {
    pub(crate) fn name(self) -> String {
        match self {
            SchemaKey::Id(id) => id.to_string(),
            SchemaKey::Guid(guid) => guid.to_string(),
        }
    }
}

impl fmt::Display for SchemaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaKey::Id(id) => write!(f, "the schema with the id {id}"),
            SchemaKey::Guid(guid) => write!(f, "the schema with the GUID {guid}"),
        }
    }
}
