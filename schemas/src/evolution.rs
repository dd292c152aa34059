//! Whether a schema may follow earlier ones: every break, by its place and kind, for people and as data.
//!
//! A comparison asks whether a *reader* with one schema reads what a *writer* wrote by another. Backward: the new
//! schema reads the earlier ones; forward: the earlier ones read the new one; full: both.

mod avro;
mod finding;
mod json;
mod rules;

pub use finding::{BreakKind, BreakWeight, EvolutionBreak, ReadDirection};
pub use rules::CompatibilityRule;

use crate::avro::AvroSchema;
use serde_json::Value;

/// Most findings of one comparison: after as many, another one helps nobody.
pub const MAX_FINDINGS: usize = 200;

/// What breaks if `next` follows `earlier`, oldest first. Empty: nothing does.
#[must_use]
pub fn avro_breaks(rule: CompatibilityRule, next: &AvroSchema, earlier: &[AvroSchema]) -> Vec<EvolutionBreak> {
    rules::compare(rule, next, earlier, |reader, writer| avro::breaks(reader.graph(), writer.graph()))
}

/// The same for JSON Schemas. A schema is compared by what it says plainly: `type`, `properties`, `required`,
/// `additionalProperties`, `items`, `enum`, `const`, bounds and patterns, through references within the file and
/// `allOf`. Where the schemas choose (`anyOf`, `oneOf`, `not`, `if`) and differ, a warning says that nothing is proved.
#[must_use]
pub fn json_breaks(rule: CompatibilityRule, next: &Value, earlier: &[Value]) -> Vec<EvolutionBreak> {
    rules::compare(rule, next, earlier, json::breaks)
}

#[cfg(test)]
mod tests;
