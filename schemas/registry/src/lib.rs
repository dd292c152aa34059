//! A client of Confluent's schema registry API, as Confluent's registry, Apicurio and others offer it.
//!
//! [`SchemaRegistry`] looks schemas up by what a record's frame names, and keeps them: an id never changes its schema.
//! Look-ups of one schema share one request. It also reads subjects, and registers and compares schemas when asked.
//! [`RegistryError`] tells whether to wait, to put the record aside, or to correct the configuration.

mod cache;
mod error;
mod http;
mod keeper;
mod key;
mod references;
mod registry;
mod settings;
mod subjects;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::RegistryError;
pub use key::SchemaKey;
pub use references::SchemaReference;
pub use registry::SchemaRegistry;
pub use settings::{RegistryCredentials, RegistrySecret, RegistrySettings, RegistrySettingsError};
pub use subjects::{CompatibilityAnswer, SubjectVersion};
