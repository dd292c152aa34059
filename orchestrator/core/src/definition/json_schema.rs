//! JSON Schemas of events: what a record has to be before it starts a saga, and what expressions may read of it.

mod references;
mod shape;
mod wrong;

use super::{
    diagnostic::{CheckFinding, Code, FindingCollector, TextSpan},
    missing_field::{MissingField, ValueForms},
};
use crate::expression::{UnfitKind, ValueKind, shorten};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use std::{fmt, sync::Arc};

/// The ending of the names of JSON Schema files.
pub const FILE_ENDING: &str = ".schema.json";

/// Largest file: every engine holds all of them.
const MAX_FILE_BYTES: usize = 256 * 1024;
/// Most violations that the message for one record reports.
const MAX_TOLD: usize = 3;
/// Most characters of one reported violation: they travel in a header of the dead letter.
const TOLD_CHARS: usize = 160;

/// The JSON Schema of one type of event.
#[derive(Clone)]
pub struct JsonSchema {
    inner: Arc<CompiledSchema>,
}

/// What is wrong at one place of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// JSON Pointer to the value in the event; empty: the event itself.
    pub pointer: String,
    /// Where it is and what was expected, without the value.
    pub message: String,
}

struct CompiledSchema {
    event_type: String,
    root: Value,
    validator: Validator,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSchema").field(&self.inner.event_type).finish()
    }
}

impl JsonSchema {
    /// Reads one file. It is of the events whose type is its `title`; without one, of those that the file is named
    /// after.
    ///
    /// # Errors
    /// Why it is no schema, or none that is read here: references stay within the file, because nothing is fetched, and
    /// end, because a record is judged by them.
    pub(crate) fn parse(file: &str, text: &str) -> Result<JsonSchema, Vec<CheckFinding>> {
        JsonSchema::read(file, text).map_err(|(message, help)| {
            let mut report = FindingCollector::new(file, text);
            report.error(Code::BadSchema, TextSpan::default(), format!("not a JSON Schema: {message}")).help(help);
            report.into_findings()
        })
    }

    fn read(file: &str, text: &str) -> Result<JsonSchema, (String, &'static str)> {
        if text.len() > MAX_FILE_BYTES {
            let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", text.len());
            return Err((message, "describe what the saga reads"));
        }
        let help =
            "write one JSON Schema of an event, {\"title\": \"OrderPlaced\", \"type\": \"object\", \"properties\": …}";
        let root = crate::json::read(text.as_bytes()).map_err(|error| (error.to_string(), help))?;
        references::check(&root)?;
        // The other engine for patterns goes back without a bound.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        wrong::draft(&root)?;
        let validator = options.build(&root).map_err(|error| wrong::schema(&error))?;
        let event_type = root.get("title").and_then(Value::as_str).unwrap_or_else(|| stem(file)).to_owned();
        Ok(JsonSchema { inner: Arc::new(CompiledSchema { event_type, root, validator }) })
    }

    /// The type of the events that it is of.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.inner.event_type
    }

    /// What is wrong with an event, if anything is: where, and what was expected. The message does not contain the
    /// event's
    /// values: they may be secrets.
    ///
    /// # Errors
    /// The first violations, in one line.
    pub fn check(&self, event: &Value) -> Result<(), String> {
        if self.inner.validator.is_valid(event) {
            return Ok(());
        }
        let told: Vec<String> = self.violations(event).into_iter().map(|violation| violation.message).collect();
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }

    /// The first violations, each with its place.
    #[must_use]
    pub fn violations(&self, event: &Value) -> Vec<SchemaViolation> {
        let placed = |error: jsonschema::ValidationError<'_>| SchemaViolation {
            pointer: error.instance_path().to_string(),
            message: violation(&error),
        };
        self.inner.validator.iter_errors(event).take(MAX_TOLD).map(placed).collect()
    }

    pub(crate) fn follow(&self, path: &[String]) -> Result<(), MissingField<'_>> {
        shape::follow(&self.inner.root, path)
    }

    pub(crate) fn unfit(&self, path: &[String]) -> Option<UnfitKind> {
        shape::unfit(&self.inner.root, path)
    }

    pub(crate) fn kinds(&self, path: &[String]) -> Option<Vec<ValueKind>> {
        shape::kinds_of(&self.inner.root, path)
    }

    pub(crate) fn forms(&self, path: &[String]) -> Option<ValueForms> {
        shape::forms(&self.inner.root, path)
    }

    pub(crate) fn is_integer_or_boolean(&self, path: &[String]) -> bool {
        shape::is_integer_or_boolean(&self.inner.root, path)
    }

    /// How many names of `path` lead to the first field that need not be there.
    pub(crate) fn may_be_missing(&self, path: &[String]) -> Option<usize> {
        shape::may_be_missing(&self.inner.root, path)
    }
}

/// `event.amountCents: it is not of type "integer" (it is a string)`
fn violation(error: &jsonschema::ValidationError<'_>) -> String {
    let place: String = error.instance_path().to_string().split('/').skip(1).map(name).collect();
    let found = crate::expression::kind(error.instance());
    shorten(&format!("event{place}: {} (it is {found})", error.masked_with("it")), TOLD_CHARS)
}

/// One part of a JSON pointer as an expression writes it.
fn name(part: &str) -> String {
    let part = part.replace("~1", "/").replace("~0", "~");
    if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("[{part}]")
    } else {
        format!(".{part}")
    }
}

/// `schemas/OrderPlaced.schema.json` is named after `OrderPlaced`.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(FILE_ENDING).unwrap_or(name)
}

#[cfg(test)]
mod tests;
