//! What in a record is at fault, and where: a place in its text or its bytes, a value that its schema does not take, or
//! the part of it that an expression does not find.

mod dumping;
mod expression;
mod marking;

pub(crate) use dumping::{dump, readable};

use expression::ExpressionReads;
use marking::MarkedText;
use saga_core::{
    definition::{SagaDefinition, json_schema::SchemaViolation},
    json,
};
use saga_wire::{KafkaRecord, PayloadSchema, PoisonCode, payload_schema, trigger};
use serde::Serialize;
use serde_json::Value;

/// Characters of a value that are shown to people beside what is wrong with it.
const VALUE_CHARS: usize = 240;

/// A place that is at fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum LetterFault {
    /// In the text of the value.
    Text(MarkedText),
    /// In the bytes of the value.
    Bytes {
        /// Path to what is wrong, by the schema.
        path: String,
        /// Offset in the value, from 0.
        byte: usize,
        /// What was expected.
        message: String,
        /// The bytes around it.
        shown: Vec<String>,
    },
    /// A value of the event, which its schema does not take.
    Value {
        /// JSON Pointer into the event.
        pointer: String,
        /// What was expected.
        message: String,
        /// The value.
        value: Value,
    },
    /// What an expression of the trigger reads.
    Expression(ExpressionReads),
}

impl LetterFault {
    /// Where the record is at fault for `definition`, which has judged it as `code`. `None`: no place in it is.
    pub(super) fn find(
        code: PoisonCode,
        record: &KafkaRecord,
        schema: &PayloadSchema,
        definition: Option<&SagaDefinition>,
    ) -> Option<LetterFault> {
        match code {
            PoisonCode::When | PoisonCode::Key => {
                let event = trigger::decoded(record, schema).ok()?;
                ExpressionReads::find(code, &event, definition?).map(LetterFault::Expression)
            }
            PoisonCode::Schema => {
                let event = trigger::decoded(record, schema).ok()?.event;
                let violations = definition?.trigger.schema.as_ref()?.violations(&event);
                violations.into_iter().next().map(|violation| LetterFault::violated(&event, violation))
            }
            code if is_of_content(code) => LetterFault::of_content(record, schema),
            _ => None,
        }
    }

    /// Where the content of the value cannot be read.
    pub(super) fn of_content(record: &KafkaRecord, schema: &PayloadSchema) -> Option<LetterFault> {
        let value = record.value.as_deref()?;
        if let Some(place) = payload_schema::avro_fault(record, schema) {
            let payload_schema::AvroFaultPlace { path, byte, fault } = place;
            return Some(LetterFault::Bytes { path, byte, message: fault, shown: dumping::around(value, byte) });
        }
        if matches!(schema, PayloadSchema::Known(_)) {
            return None;
        }
        json::place_of_fault(value).map(|at| LetterFault::Text(MarkedText::of(value, at..at)))
    }

    fn violated(event: &Value, SchemaViolation { pointer, message }: SchemaViolation) -> LetterFault {
        let value = event.pointer(&pointer).cloned().unwrap_or_default();
        LetterFault::Value { pointer, message, value }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            LetterFault::Text(place) => {
                format!("line {}, column {} of the value\n{}", place.line, place.column, indented(&place.shown))
            }
            LetterFault::Bytes { path, byte, message, shown } => {
                format!("{path}, byte {byte} of the value: {message}\n{}", indented(shown))
            }
            LetterFault::Value { pointer, message, value } => {
                let pointer = if pointer.is_empty() { "the event itself" } else { pointer };
                format!("{message}\n  {pointer}: {}", shortened(value))
            }
            LetterFault::Expression(reads) => reads.text(),
        }
    }
}

/// Whether a code is about the content of a value, whoever reads it.
pub(super) fn is_of_content(code: PoisonCode) -> bool {
    matches!(
        code,
        PoisonCode::NotJson
            | PoisonCode::Avro
            | PoisonCode::Nul
            | PoisonCode::Depth
            | PoisonCode::Number
            | PoisonCode::RepeatedName
            | PoisonCode::ReservedName
    )
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A value in a line.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests;
