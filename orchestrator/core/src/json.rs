//! JSON that is let in: payloads of events, answers, bodies of the API, and what expressions make of them.
//!
//! Digits of numbers are kept as they came. What is let in can be recorded, read back, sent, and wrapped for an undo,
//! so every door asks here.

mod names;
mod number;
mod odd;
mod place;
mod scan;

pub(crate) use number::{DecimalNumber, exact_double, is_exact_double};
pub use number::{MAX_EXPONENT, MAX_NUMBER_CHARS, integer_text};
pub use odd::{visible, what_it_is};
pub use place::place_of_fault;

use serde_json::{Map, Value};
use std::borrow::Cow;

/// Levels of lists and maps, in whatever comes in and whatever leaves. Widespread parsers stop at 64 (.NET) and ours at
/// 128: with the levels that a row of the journal adds, what is let in stays well below.
pub const MAX_DEPTH: usize = 64;

/// Deepest nesting that serde_json itself can read, in levels.
const PARSER_DEPTH: usize = 127;

/// Some write it before a text in UTF-8, where it says nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the names begin with that serde_json keeps for itself: a map with such a name would be read back as something
/// else.
const RESERVED: &str = "$serde_json::private::";

/// Why a text or a value is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text does not parse as JSON; with the parser's reason.
    #[error("{0}")]
    NotJson(String),
    /// The value nests more deeply than the limit.
    #[error("nested {found} levels deep, at most {MAX_DEPTH} are taken")]
    Depth {
        /// Levels of nesting that the reader found.
        found: usize,
    },
    /// A number is so long that no reader can be expected to take it.
    #[error(
        "the number {beginning}… has {chars} characters; at most {MAX_NUMBER_CHARS} are taken: send it as a string"
    )]
    Number {
        /// The first characters of the number, for the message.
        beginning: String,
        /// Number of characters that the whole number has.
        chars: usize,
    },
    /// A number has an exponent beyond the limit; such a number is a mistake of the producer.
    #[error(
        "the number {0} has an exponent beyond {MAX_EXPONENT}, which is the most that is taken: send it as a string"
    )]
    Exponent(String),
    /// A string or a name holds NUL, which Postgres cannot store.
    #[error("{0} contains NUL")]
    Nul(&'static str),
    /// A map has one name twice: readers differ in which of the values counts.
    #[error("the name `{0}` occurs twice in one object; readers differ in which value counts")]
    RepeatedName(String),
    /// A map has a name that the JSON library keeps for itself.
    #[error("a name begins with `{RESERVED}`, which is reserved")]
    ReservedName,
}

impl JsonError {
    /// Short and stable: part of the codes of poison messages and failures.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            JsonError::NotJson(_) => "json",
            JsonError::Depth { .. } => "depth",
            JsonError::Number { .. } | JsonError::Exponent(_) => "number",
            JsonError::Nul(_) => "nul",
            JsonError::RepeatedName(_) => "repeated_name",
            JsonError::ReservedName => "reserved_name",
        }
    }
}

/// `bytes` as JSON, its numbers with the digits that they came with. A byte order mark before it says nothing. Total,
/// and bounded in depth; the caller bounds the size.
///
/// # Errors
/// What it is that cannot be let in.
pub fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    read_within(bytes, MAX_DEPTH)
}

/// As [`read`], of an envelope whose members are let in: its own level is not counted for them.
///
/// # Errors
/// As [`read`].
pub fn read_envelope(bytes: &[u8]) -> Result<Value, JsonError> {
    read_within(bytes, MAX_DEPTH + 1)
}

fn read_within(bytes: &[u8], levels: usize) -> Result<Value, JsonError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let shape = scan::scan(bytes);
    if shape.depth > levels && shape.is_balanced {
        return Err(JsonError::Depth { found: shape.depth });
    }
    if shape.has_reserved_name {
        return Err(JsonError::ReservedName);
    }
    let value = serde_json::from_slice(bytes).map_err(|error| JsonError::NotJson(odd::why(bytes, &error)))?;
    check_scalars(&value)?;
    // Of one name the parser keeps the last.
    if names::count(&value) != shape.names {
        return Err(JsonError::RepeatedName(names::repeated(bytes)));
    }
    Ok(value)
}

/// Whether a value that was made here may be recorded and sent: what `read` asks of a text.
///
/// # Errors
/// What it is that cannot be let in.
pub fn check(value: &Value) -> Result<(), JsonError> {
    let found = depth(value);
    if found > MAX_DEPTH {
        return Err(JsonError::Depth { found });
    }
    check_scalars(value)
}

/// Levels of lists and maps in `value`; 0 for a scalar.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
    }
}

/// Whether a text that serde_json wrote of our own types is read back as what it was: one pass over the bytes.
///
/// # Errors
/// What it is that would not be.
pub fn check_written(text: &[u8]) -> Result<(), JsonError> {
    let shape = scan::scan(text);
    if shape.depth > PARSER_DEPTH {
        return Err(JsonError::Depth { found: shape.depth });
    }
    if shape.has_reserved_name { Err(JsonError::ReservedName) } else { Ok(()) }
}

/// Whether `name` may be the name of a member.
pub(crate) fn check_name(name: &str) -> Result<(), JsonError> {
    if name.starts_with(RESERVED) { Err(JsonError::ReservedName) } else { Ok(()) }
}

/// The text of `value` in which equal numbers are written the same: `1.50` and `15e-1` are one payload.
#[must_use]
pub fn canonical(value: &Value) -> String {
    normalised(value).to_string()
}

fn normalised(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Cow::Borrowed(value),
        Value::Number(number) => number::normalised(number).map_or(Cow::Borrowed(value), |it| Cow::Owned(it.into())),
        Value::Array(items) => {
            let items: Vec<Cow<'_, Value>> = items.iter().map(normalised).collect();
            if items.iter().all(|item| matches!(item, Cow::Borrowed(_))) {
                return Cow::Borrowed(value);
            }
            Cow::Owned(items.into_iter().map(Cow::into_owned).collect())
        }
        Value::Object(members) => {
            let members: Vec<(&String, Cow<'_, Value>)> =
                members.iter().map(|(name, value)| (name, normalised(value))).collect();
            if members.iter().all(|(_, value)| matches!(value, Cow::Borrowed(_))) {
                return Cow::Borrowed(value);
            }
            let members = members.into_iter().map(|(name, value)| (name.clone(), value.into_owned()));
            Cow::Owned(Value::Object(members.collect::<Map<_, _>>()))
        }
    }
}

/// The walk is bounded by the parser's depth, or by what was checked before.
fn check_scalars(value: &Value) -> Result<(), JsonError> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) => number::check(number),
        Value::String(text) => without_nul(text, "a string"),
        Value::Array(items) => items.iter().try_for_each(check_scalars),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            without_nul(name, "a name")?;
            check_name(name)?;
            check_scalars(value)
        }),
    }
}

fn without_nul(text: &str, what: &'static str) -> Result<(), JsonError> {
    if text.contains('\0') { Err(JsonError::Nul(what)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
