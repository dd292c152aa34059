//! What to do with the bytes, step by step: a writer's schema, or a writer's and a reader's, worked out once.

use crate::logical::{BytesMeaning, IntMeaning, LongMeaning};
use serde_json::Value;
use std::sync::Arc;

/// Place of a step in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadIndex(pub(super) usize);

/// All steps. The first is that of the whole.
#[derive(Debug)]
pub(super) struct ReadPlan {
    pub(super) steps: Vec<ReadStep>,
}

/// How one value is read.
#[derive(Debug)]
pub(super) enum ReadStep {
    Null,
    Boolean,
    Int(IntMeaning),
    Long(LongMeaning),
    /// An integer that the reader takes as a float or a double.
    IntegerAsFloat,
    Float,
    Double,
    Bytes(BytesMeaning),
    Text,
    Fixed(usize, BytesMeaning),
    Enum(Vec<SymbolReading>),
    Array(ReadIndex),
    Map(ReadIndex),
    Union(Vec<ReadIndex>),
    Record(RecordReading),
    /// Whatever was written, the reader does not take it.
    Mismatch(Arc<str>),
}

/// A symbol of the writer.
#[derive(Debug)]
pub(super) enum SymbolReading {
    /// What the reader takes it for.
    Symbol(Arc<str>),
    /// The reader has neither the symbol nor a default.
    Mismatch(Arc<str>),
}

#[derive(Debug)]
pub(super) struct RecordReading {
    /// Fields in the order in which they were written.
    pub(super) fields: Vec<FieldReading>,
    /// Fields that the writer did not know.
    pub(super) defaults: Vec<(Arc<str>, Value)>,
    /// Cost of the map, its names and defaults, beside that of the values.
    pub(super) cost: usize,
}

#[derive(Debug)]
pub(super) struct FieldReading {
    pub(super) name: Arc<str>,
    pub(super) step: ReadIndex,
    pub(super) fate: FieldFate,
}

/// What becomes of a field that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldFate {
    Kept,
    /// The reader does not know it.
    Dropped,
}

/// Bytes of text that cost as much as one value.
const BYTES_PER_VALUE: usize = 32;

/// What a record, a map or an array costs beside its values: its memory is that of some of them.
pub(super) const COST_OF_CONTAINER: usize = 8;

/// What a text of the schema costs.
pub(super) fn cost_of_text(text: &str) -> usize {
    text.len() / BYTES_PER_VALUE
}

/// What a default costs, which is copied into every record.
pub(super) fn cost_of(value: &Value) -> usize {
    1 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => cost_of_text(text),
        Value::Array(items) => COST_OF_CONTAINER + items.iter().map(cost_of).sum::<usize>(),
        Value::Object(entries) => {
            COST_OF_CONTAINER + entries.iter().map(|(key, value)| cost_of_text(key) + cost_of(value)).sum::<usize>()
        }
    }
}
