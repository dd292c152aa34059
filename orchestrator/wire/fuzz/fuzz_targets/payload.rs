//! Any value of a record: the frame that it has, what its bytes say by a schema, and where they stop saying it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_wire::{PayloadSchema, PayloadSchemaName, payload_hints, payload_schema};
use saga_wire_fuzz::{AnyRecord, AnySchema};

/// Bytes that the JSON of a value may have here.
const ROOM: usize = 4096;

fuzz_target!(|input: (AnyRecord, AnySchema)| {
    let (record, schema) = (input.0.read(), input.1.known());
    let value = record.value.clone().unwrap_or_default();
    let _ = (PayloadSchemaName::of(&record), payload_hints::describe_value(&value));
    assert!(payload_schema::not_json(&record).is_none() || payload_schema::not_avro(&record).is_none());
    if let Some(fault) = payload_schema::avro_fault(&record, &schema) {
        assert!(fault.byte <= value.len(), "{fault:?}");
    }
    if let PayloadSchema::Known(reader) = schema
        && let Ok(read) = reader.read(&value, ROOM)
    {
        assert_eq!(saga_core::json::read(read.to_string().as_bytes()), Ok(read));
    }
});
