//! Avro schemas: parsed by apache-avro, then kept in a form that is cheap to walk.

mod build;
mod canonical;
mod defaults;
pub(crate) mod graph;
pub(crate) mod matching;

use apache_avro::Schema;
use graph::SchemaGraph;
use std::sync::Arc;

/// Largest text of a schema. A registry's answer is text from outside.
pub const MAX_SCHEMA_BYTES: usize = 1024 * 1024;
/// Most schemas that one schema may refer to, and so most requests to a registry for it.
pub const MAX_REFERENCES: usize = 256;
/// Deepest nesting of the texts of a schema and its references, added up: one may stand within the other.
pub const MAX_LEVELS: usize = 512;
/// Most types within one schema, each counted where it stands.
pub const MAX_TYPES: usize = 20_000;

/// Stack of the thread that parses: apache-avro recurses with some kilobytes for each level, more without optimisation.
const PARSER_STACK: usize = 64 * 1024 * 1024;

/// A schema that was parsed, with those that it refers to. A clone costs nothing.
#[derive(Clone, Debug)]
pub struct AvroSchema {
    inner: Arc<ParsedSchema>,
}

#[derive(Debug)]
struct ParsedSchema {
    text: String,
    canonical: String,
    fingerprint: u64,
    graph: SchemaGraph,
}

/// Why a text is no schema that is used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AvroSchemaError {
    /// The text, with what it refers to, is too large.
    #[error("the schema has {found} bytes; at most {MAX_SCHEMA_BYTES} are read")]
    TooLarge {
        /// Bytes of all texts.
        found: usize,
    },
    /// It refers to too many schemas.
    #[error("the schema refers to {found} others; at most {MAX_REFERENCES} are read")]
    TooManyReferences {
        /// Number of references.
        found: usize,
    },
    /// It has too many types.
    #[error("the schema has more than {MAX_TYPES} types")]
    TooManyTypes,
    /// The texts nest too deeply.
    #[error("the schema and its references nest {found} levels deep; at most {MAX_LEVELS} are read")]
    TooDeep {
        /// Levels of all texts, added up.
        found: usize,
    },
    /// The parser did not end as it should, or could not begin.
    #[error("the schema could not be parsed: no thread could be started for it, or it panicked")]
    Parser,
    /// It is not an Avro schema; with the parser's reason.
    #[error("not an Avro schema: {0}")]
    NotAvro(String),
    /// It names a type that neither it nor a reference defines.
    #[error("the type `{0}` is not defined; add the schema that defines it to the references")]
    UnknownType(String),
    /// A default does not fit the type of its field.
    #[error("the default of `{field}` in `{record}` does not fit its type: {reason}")]
    BadDefault {
        /// Full name of the record.
        record: String,
        /// Name of the field.
        field: String,
        /// What was expected.
        reason: String,
    },
}

impl AvroSchema {
    /// Parses a schema that refers to no other.
    ///
    /// # Errors
    /// As [`AvroSchema::parse_with`].
    pub fn parse(text: &str) -> Result<AvroSchema, AvroSchemaError> {
        AvroSchema::parse_with(text, &[])
    }

    /// Parses a schema. `references` are the texts of the schemas that it uses by name, directly or indirectly, in any
    /// order.
    ///
    /// # Errors
    /// It is no Avro schema, or beyond one of the limits of this module.
    pub fn parse_with(text: &str, references: &[String]) -> Result<AvroSchema, AvroSchemaError> {
        check_sizes(text, references)?;
        let parsed = std::thread::scope(|scope| {
            let parser = std::thread::Builder::new().name("avro-schema".to_owned()).stack_size(PARSER_STACK);
            let thread = parser.spawn_scoped(scope, || ParsedSchema::read(text, references));
            thread.map(|thread| thread.join().unwrap_or(Err(AvroSchemaError::Parser)))
        });
        let inner = parsed.unwrap_or(Err(AvroSchemaError::Parser))?;
        Ok(AvroSchema { inner: Arc::new(inner) })
    }

    /// The text that was parsed, without its references.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The parsing canonical form, in which used references stand where they are first named.
    #[must_use]
    pub fn canonical_form(&self) -> &str {
        &self.inner.canonical
    }

    /// CRC-64-AVRO of the canonical form, as single-object encoding carries it.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.inner.fingerprint
    }

    /// Full name of the record, enum or fixed that the schema is; `None`: it is of another type.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.graph().root_name()
    }

    pub(crate) fn graph(&self) -> &SchemaGraph {
        &self.inner.graph
    }
}

impl ParsedSchema {
    fn read(text: &str, references: &[String]) -> Result<ParsedSchema, AvroSchemaError> {
        let not_avro = |error: apache_avro::Error| AvroSchemaError::NotAvro(error.to_string());
        let (schema, others) = Schema::parse_str_with_list(text, references).map_err(not_avro)?;
        let graph = build::graph(&schema, &others)?;
        let canonical = canonical::form(&graph);
        let fingerprint = canonical::fingerprint(&canonical);
        Ok(ParsedSchema { text: text.to_owned(), canonical, fingerprint, graph })
    }
}

impl PartialEq for AvroSchema {
    /// Whether the canonical forms are the same: the same bytes have the same meaning, but for logical types, defaults
    /// and aliases.
    fn eq(&self, other: &AvroSchema) -> bool {
        self.canonical_form() == other.canonical_form()
    }
}

impl Eq for AvroSchema {}

fn check_sizes(text: &str, references: &[String]) -> Result<(), AvroSchemaError> {
    if references.len() > MAX_REFERENCES {
        return Err(AvroSchemaError::TooManyReferences { found: references.len() });
    }
    let found = text.len() + references.iter().map(String::len).sum::<usize>();
    if found > MAX_SCHEMA_BYTES {
        return Err(AvroSchemaError::TooLarge { found });
    }
    let found = levels(text) + references.iter().map(|text| levels(text)).sum::<usize>();
    if found > MAX_LEVELS { Err(AvroSchemaError::TooDeep { found }) } else { Ok(()) }
}

/// How deeply brackets nest in a text of JSON, those within strings not counted.
fn levels(text: &str) -> usize {
    let (mut level, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => level += 1,
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(level);
    }
    deepest
}

#[cfg(test)]
mod tests;
