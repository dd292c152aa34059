//! Any bytes, framed or not, by a schema of all types: a value or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_schemas::{avro::AvroSchema, decode::AvroDecoder, encode::encode, framing::RecordFraming};
use std::sync::LazyLock;

const EVERYTHING: &str = r#"{"type": "record", "name": "All", "fields": [
    {"name": "u", "type": ["null", "string", "long", "double", "All"]},
    {"name": "i", "type": "int"}, {"name": "f", "type": "float"}, {"name": "b", "type": "bytes"},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}},
    {"name": "x", "type": {"type": "fixed", "name": "X", "size": 3}},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "time", "type": {"type": "long", "logicalType": "time-micros"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-nanos"}},
    {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-millis"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
    {"name": "big", "type": {"type": "bytes", "logicalType": "big-decimal"}},
    {"name": "m", "type": {"type": "map", "values": {"type": "array", "items": ["null", "All"]}}},
    {"name": "nulls", "type": {"type": "array", "items": "null"}}]}"#;

static SCHEMA: LazyLock<AvroSchema> = LazyLock::new(|| AvroSchema::parse(EVERYTHING).expect("a schema"));
static DECODER: LazyLock<AvroDecoder> = LazyLock::new(|| AvroDecoder::new(&SCHEMA));

fuzz_target!(|bytes: &[u8]| {
    let _ = RecordFraming::of(bytes, None);
    if let Ok(value) = DECODER.decode(bytes) {
        let again = encode(&SCHEMA, &value).expect("what was decoded fits");
        assert_eq!(DECODER.decode(&again).as_ref(), Ok(&value));
    }
});
