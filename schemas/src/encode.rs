//! JSON, as expressions make it → Avro's binary form.
//!
//! The way back from [`crate::decode`]: what is encoded is decoded to the same value, but for fields that get their
//! defaults, and for the spelling of decimals, times and bytes.

mod fault;
mod writing;

pub use fault::{EncodeError, EncodeFault};

use crate::avro::AvroSchema;
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
    writing::write(schema.graph(), value)
}

#[cfg(test)]
mod tests;
