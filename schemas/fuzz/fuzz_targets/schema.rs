//! Any text as a schema, and the rest as bytes by it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_schemas::{avro::AvroSchema, decode::AvroDecoder};

fuzz_target!(|input: (&str, &[u8])| {
    if let Ok(schema) = AvroSchema::parse(input.0) {
        let _ = AvroDecoder::new(&schema).decode(input.1);
    }
});
