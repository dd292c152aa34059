//! Saga definitions: the validated form of one YAML file. Invalid ones cannot be built; [`parse`] is the only way in.
//!
//! A file is read into a tree with positions, the tree into drafts of steps, and what they mean together is proved.
//! Every finding is collected: a file is refused with all of its errors at once.

pub mod avro;
mod build;
pub mod business_key;
mod covered;
pub mod diagnostic;
mod draft;
mod duration;
mod engine_topics;
mod event_schema;
mod fallbacks;
mod fields;
mod fit;
mod fitting;
mod given;
mod graph;
mod headers;
pub mod json_schema;
mod keys;
pub mod library;
mod missing_field;
pub mod model;
mod names;
pub mod participants;

mod places;
mod policies;
mod proofs;
mod quoting;
mod remedy;
mod resolved;
mod retention;
pub mod schema;
mod schema_change;
mod sensitive;
mod spanned;
mod steps;
mod tags;
mod target;
mod terms;
mod tree;
mod unquoted;
mod uses;
mod values;
mod wishes;
mod written;

pub use avro::SchemaCatalog;
pub use diagnostic::{
    CheckFinding, Code, FindingSeverity, RenderStyle, SuggestedFix, did_you_mean, or_did_you_mean, render,
    without_credentials,
};
pub use duration::span;
pub use engine_topics::{MARK, ReservedTopic};
pub use headers::HeaderReads;
pub use json_schema::JsonSchema;
pub use library::{DefinitionLibrary, SchemalessDefinition, SourceFile};
pub use model::*;
pub use participants::{ParticipantCatalog, ParticipantConfig};
pub use places::line_of;
pub use schema_change::changed_by;
pub use steps::MAX_STEPS;
pub use tree::MAX_FILE_BYTES;

use crate::digest::sha256_hex;

/// A validated definition, together with the warnings that an author should read.
#[derive(Clone, Debug)]
pub struct ParsedDefinition {
    /// The validated definition; the engine can run it.
    pub definition: SagaDefinition,
    /// Findings that do not stop the engine from using the definition.
    pub warnings: Vec<CheckFinding>,
}

/// Reads and proves one definition. Without participants and schemas, what depends on them is not proved.
///
/// # Errors
/// Every finding of the file, warnings included, if one of them is an error.
pub fn parse(
    file_name: &str,
    text: &str,
    participants: Option<&ParticipantCatalog>,
    schemas: Option<&SchemaCatalog>,
) -> Result<ParsedDefinition, Vec<CheckFinding>> {
    build::parse(file_name, text, participants, schemas)
}

/// Reads a definition that was proved when it was stored: participants and schemas may have changed since, and what is
/// proved may have become more. A saga that runs by it goes on.
///
/// # Errors
/// Why the text cannot be read any more, in one line.
pub fn parse_stored(text: &str) -> Result<SagaDefinition, String> {
    build::parse_stored(text).map_err(|findings| {
        let first = findings.iter().find(|finding| finding.is_error());
        first.map_or_else(|| "it cannot be read".to_owned(), ToString::to_string)
    })
}

/// Hex SHA-256 of a definition's text: its identity beside the name.
#[must_use]
pub fn hash(text: &str) -> String {
    sha256_hex(text)
}
