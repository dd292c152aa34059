//! Expressions: CEL, compiled once when a definition is read, evaluated against a [`ExpressionScope`].
//!
//! An expression comes from a file of another author and runs on the thread that owns a shard. So the engine bounds its
//! size before a parser sees it, its depth and nesting before it is accepted, and its iterations while it runs
//! ([`limits`]).

mod arithmetic;
mod choice;
mod compile;
mod element;
mod evaluate;
mod exact;
mod explain;
mod functions;
mod joined;
mod json;
mod kinds;
pub mod limits;
mod literals;
mod long;
mod nodes;
mod own_error;
mod path;
mod place;
mod reads;
mod scan;
mod select;
mod spelling;
mod stack;
mod syntax;
mod template;
mod unfit;

pub use compile::CelExpression;
pub(crate) use element::{ANY_ELEMENT, element, is_element};
pub(crate) use json::kind;
pub(crate) use kinds::{OperatorMismatch, ValueKind};
pub use path::PathTemplate;
pub use reads::{FunctionCall, NameRead, PathFact};
pub(crate) use spelling::{question, spelled};
pub(crate) use stack::on_deep_stack;
pub(crate) use template::closed_at;
pub use template::{TemplatePiece, ValueTemplate};
pub(crate) use unfit::{UnfitKind, UnfitRisk};

use serde_json::{Map, Value};

/// Functions that an expression can call by name.
pub(crate) const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "has",
    "int",
    "matches",
    "size",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Functions that an expression can call on a value.
pub(crate) const METHODS: &[&str] = &[
    "all",
    "contains",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "map",
    "matches",
    "size",
    "startsWith",
];

/// What an expression can see. Absent names are errors that say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpressionScope<'a> {
    /// The value of the trigger's record; `None` where an expression may not read `event`.
    pub event: Option<&'a Value>,
    /// `topic, partition, offset, key, timestamp, headers` of the trigger.
    pub record: Option<&'a Value>,
    /// `id, name, key, startedAt` of the saga.
    pub saga: Option<&'a Value>,
    /// Results of the steps that succeeded, by the step's name.
    pub steps: Option<&'a Map<String, Value>>,
    /// The input that the step's do was sent with.
    pub input: Option<&'a Value>,
    /// The step's answer; `null` if its outcome is unknown.
    pub result: Option<&'a Value>,
    /// The command id of the step's do.
    pub do_id: Option<&'a str>,
}

/// Why the engine cannot compile a source as an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong with the source, in one sentence for the author.
    pub message: String,
    /// What to write instead; `None` where that is not known.
    pub help: Option<String>,
    /// Where the problem begins in the source, in bytes.
    pub offset: usize,
    /// How much of the source is meant, in bytes; 0 for a point.
    pub length: usize,
}

impl CompileError {
    fn at(offset: usize, length: usize, message: impl Into<String>, help: Option<&str>) -> CompileError {
        CompileError { message: message.into(), help: help.map(str::to_owned), offset, length }
    }
}

/// Why the evaluation of an expression ended without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {message}")]
pub struct EvaluateError {
    /// The expression's source, shortened for the message.
    pub expression: String,
    /// What is wrong with the value and what to write instead.
    pub message: String,
    /// The condition that asks for what is missing, if that is what is wrong.
    pub question: Option<String>,
}

/// The longest excerpt of a source that an error carries: errors are journalled, and an excerpt only has to be
/// recognised.
const EXCERPT_CHARS: usize = 120;

impl EvaluateError {
    pub(crate) fn new(source: &str, message: impl Into<String>) -> EvaluateError {
        EvaluateError { expression: shorten(source, EXCERPT_CHARS), message: message.into(), question: None }
    }
}

pub(crate) fn shorten(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
