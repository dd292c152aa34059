//! Avro's binary form → the JSON that an expression sees.
//!
//! Total: any bytes give a value or an error that names the place. No length that the bytes claim is believed before
//! the bytes are there, nesting and the number of values are bounded.

mod cursor;
mod fault;
mod plan;
mod reading;
mod resolve;

pub(crate) use cursor::ByteCursor;
pub(crate) use fault::RisingFault;
pub use fault::{DecodeError, DecodeFault, LogicalFault};

use crate::avro::AvroSchema;
use plan::ReadPlan;
use serde_json::Value;

/// Deepest nesting of records, arrays and maps, as for JSON.
pub const MAX_DEPTH: usize = 64;

/// Most values of one record, about as many as JSON of 1 MiB can have: an item of type null, or a field with a default,
/// takes no byte of the record. A record, an array or a map counts eight more, and a text of the schema (a field's
/// name, an enum's symbol, a default) one for each 32 bytes of it.
pub const MAX_VALUES: usize = 1024 * 1024;

/// Reads what one schema wrote. Made once per schema, or pair of schemas, and used for all records.
#[derive(Debug)]
pub struct AvroDecoder {
    plan: ReadPlan,
}

impl AvroDecoder {
    /// A decoder for what `writer` wrote, as it was written.
    #[must_use]
    pub fn new(writer: &AvroSchema) -> AvroDecoder {
        AvroDecoder { plan: resolve::plan_of_one(writer.graph()) }
    }

    /// A decoder that gives what `writer` wrote the form of `reader`: fields that the reader does not know are left
    /// out, those that the writer did not know have their defaults. Where the two do not fit, the decoder is made all
    /// the same, and reading a value that comes to that place is an error.
    #[must_use]
    pub fn resolving(writer: &AvroSchema, reader: &AvroSchema) -> AvroDecoder {
        AvroDecoder { plan: resolve::plan(writer.graph(), reader.graph()) }
    }

    /// The value that `bytes` are, without a frame. All bytes have to be used.
    ///
    /// # Errors
    /// Where the bytes stop being what the schema says, and what was expected there.
    pub fn decode(&self, bytes: &[u8]) -> Result<Value, DecodeError> {
        reading::read(&self.plan, bytes)
    }
}

#[cfg(test)]
mod tests;
