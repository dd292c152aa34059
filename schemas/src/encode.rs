//! JSON, as expressions make it → Avro's binary form.
//!
//! The way back from [`crate::decode`]: what is encoded is decoded to the same value, but for fields that get their
//! defaults, and for the spelling of decimals, times and bytes.

mod fault;
mod original;
mod writing;

pub use fault::{EncodeError, EncodeFault};

use crate::{avro::AvroSchema, decode::AvroDecoder};
use original::OriginalPart;
use serde_json::Value;

/// Deepest nesting of records, arrays and maps, as for JSON.
pub const MAX_DEPTH: usize = 64;

/// Most values that are looked at, those included that are tried for several branches of a union: branches within
/// branches multiply.
pub const MAX_TRIED: usize = 1024 * 1024;

/// `value` by `schema`, without a frame. Of a union the first branch that fits is taken. A field that is not given has
/// its default; a field that the schema does not have is an error.
///
/// # Errors
/// Which part of the value does not fit, what was expected there, and what was found.
pub fn encode(schema: &AvroSchema, value: &Value) -> Result<Vec<u8>, EncodeError> {
    writing::write(schema.graph(), value, None)
}

/// `value` in place of what `before` encodes by the same schema. Parts that are equal keep their bytes, so also what
/// JSON does not tell apart; a part that changed stays in the branch of its union if it fits it. Bytes that `schema`
/// did not write count for nothing.
///
/// # Errors
/// As [`encode`].
pub fn encode_changed(schema: &AvroSchema, value: &Value, before: &[u8]) -> Result<Vec<u8>, EncodeError> {
    // Decoding comes first: it holds the bounds that the parts rely on.
    let Ok(old) = AvroDecoder::new(schema).decode(before) else { return encode(schema, value) };
    let Some(part) = original::parts_of(schema.graph(), before) else { return encode(schema, value) };
    let original = OriginalPart { value: &old, part: &part, whole: before };
    writing::write(schema.graph(), value, Some(original))
}

#[cfg(test)]
mod tests;
