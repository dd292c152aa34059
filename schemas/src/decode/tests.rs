use super::*;
use crate::binary::write_long;
use proptest::prelude::*;
use serde_json::json;

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> AvroSchema {
    schema(&format!("{{\"type\": \"record\", \"name\": \"shop.Order\", \"fields\": [{fields}]}}"))
}

fn decoded(of: &AvroSchema, bytes: &[u8]) -> Value {
    AvroDecoder::new(of).decode(bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn told(of: &AvroSchema, bytes: &[u8]) -> String {
    AvroDecoder::new(of).decode(bytes).expect_err("bad bytes").to_string()
}

fn longs(values: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.iter().for_each(|value| write_long(&mut bytes, *value));
    bytes
}

const EVERYTHING: &str = r#"
    {"name": "note", "type": ["null", "string"]},
    {"name": "count", "type": "long"},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "size", "type": {"type": "enum", "name": "Size", "symbols": ["S", "L"]}},
    {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"}},
    {"name": "every", "type": {"type": "fixed", "name": "Every", "size": 12, "logicalType": "duration"}},
    {"name": "raw", "type": "bytes"},
    {"name": "rates", "type": {"type": "map", "values": "double"}},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
        {"name": "price", "type": "float"}, {"name": "part", "type": ["null", "Item"]}]}}}"#;

fn everything() -> Vec<u8> {
    let mut bytes = vec![2, 4, b'h', b'i'];
    bytes.extend(longs(&[i64::MAX, 20_787, 1_500_000]));
    bytes.extend([4, 0x04, 0xe2, 2]);
    bytes.extend([0xab; 16]);
    bytes.extend([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    bytes.extend([4, 0xff, 0xfe]);
    bytes.extend([2, 2, b'x']);
    bytes.extend(f64::NAN.to_le_bytes());
    bytes.extend([0, 1, 2]);
    bytes.extend(0.1f32.to_le_bytes());
    bytes.push(2);
    bytes.extend(f32::NEG_INFINITY.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn an_expression_sees_what_the_table_says() {
    let expected = json!({
        "note": "hi", "count": 9_223_372_036_854_775_807_i64, "day": "2026-11-30", "at": "1970-01-01T00:00:01.5Z",
        "price": "12.50", "size": "L", "id": "abababab-abab-abab-abab-abababababab",
        "every": {"months": 1, "days": 2, "millis": 3}, "raw": "//4=", "rates": {"x": "NaN"},
        "items": [{"price": 0.1, "part": {"price": "-Infinity", "part": null}}],
    });
    assert_eq!(decoded(&record(EVERYTHING), &everything()), expected);
}

#[test]
fn every_cut_is_an_error_with_its_place() {
    let bytes = everything();
    let decoder = AvroDecoder::new(&record(EVERYTHING));
    for length in 0..bytes.len() {
        let error = decoder.decode(&bytes[..length]).expect_err("cut off");
        assert!(error.offset() <= length, "{error}");
    }
    let error = decoder.decode(&bytes[..bytes.len() - 3]).expect_err("cut off");
    assert_eq!(error.to_string(), "items[0].part.price, byte 75: expected a float, found the end");
}

#[test]
fn bytes_that_follow_are_an_error() {
    assert_eq!(told(&schema("\"int\""), &[2, 7, 7]), "the value, byte 1: 2 bytes follow the value");
}

#[test]
fn lengths_are_not_believed() {
    let huge = longs(&[i64::MAX]);
    assert!(told(&schema("\"string\""), &huge).contains("expected a length of at most 0, the bytes that are left"));
    assert!(told(&schema("\"bytes\""), &[1]).contains("found -1"));
    assert!(told(&schema(r#"{"type": "array", "items": "null"}"#), &huge).contains("more than 1048576 values"));
    let blocks = [longs(&[1_000_000]), longs(&[1_000_000])].concat();
    assert!(told(&schema(r#"{"type": "array", "items": "null"}"#), &blocks).contains("more than 1048576 values"));
    assert!(told(&schema(r#"{"type": "map", "values": "null"}"#), &huge).contains("more than"));
    let minimum = longs(&[i64::MIN]);
    assert!(told(&schema(r#"{"type": "array", "items": "int"}"#), &minimum).contains("number of items in a block"));
    let fixed = schema(r#"{"type": "fixed", "name": "F", "size": 9999999999}"#);
    assert!(told(&fixed, &[1, 2]).contains("expected a fixed, found the end"));
}

#[test]
fn a_block_may_say_its_length_in_bytes() {
    let array = schema(r#"{"type": "array", "items": "int"}"#);
    assert_eq!(decoded(&array, &[3, 4, 2, 4, 2, 6, 0]), json!([1, 2, 3]));
}

#[test]
fn small_records_and_long_names_count_for_the_memory_that_they_take() {
    let empty =
        r#"{"type": "array", "items": {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]}}"#;
    assert!(told(&schema(empty), &longs(&[500_000])).contains("more than"));
    let name = "n".repeat(20_000);
    let long = format!(
        r#"{{"type": "array", "items": {{"type": "record", "name": "E", "fields": [
        {{"name": "{name}", "type": "null"}}]}}}}"#
    );
    assert!(told(&schema(&long), &longs(&[5_000])).contains("more than"));
}

#[test]
fn nesting_is_bounded() {
    let tree = schema(r#"{"type": "record", "name": "T", "fields": [{"name": "t", "type": ["null", "T"]}]}"#);
    let nested = |levels: usize| [vec![2; levels - 1], vec![0]].concat();
    assert!(AvroDecoder::new(&tree).decode(&nested(MAX_DEPTH)).is_ok());
    assert!(told(&tree, &nested(MAX_DEPTH + 1)).contains("nested more than 64 levels deep"));
    assert!(told(&tree, &nested(1_000_000)).starts_with("t.t.t.t."));
}

#[test]
fn wrong_values_are_named() {
    assert!(told(&schema("\"boolean\""), &[2]).contains("expected a boolean, 00 or 01, found 02"));
    assert!(told(&schema("\"int\""), &longs(&[1 << 40])).contains("an integer of 32 bits"));
    assert!(told(&schema("\"long\""), &[0xff; 11]).contains("an integer of 64 bits"));
    assert!(told(&schema("[\"null\", \"int\"]"), &[4]).contains("the index of one of 2 branches, found 2"));
    assert!(told(&schema(r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#), &[1]).contains("1 symbols, found -1"));
    assert!(told(&schema("\"string\""), &[4, b'a', 0xff]).contains("found byte FF at position 1"));
    assert!(told(&schema("\"string\""), &[4, b'a', 0]).contains("contains NUL"));
    let map = schema(r#"{"type": "map", "values": "int"}"#);
    assert!(told(&map, &[4, 2, b'a', 2, 2, b'a', 2, 0]).contains("the key \"a\" twice"));
    let date = record(r#"{"name": "day", "type": {"type": "int", "logicalType": "date"}}"#);
    let error = AvroDecoder::new(&date).decode(&longs(&[i64::from(i32::MAX)])).expect_err("no date");
    assert!(matches!(error.fault(), DecodeFault::Logical(LogicalFault::Year { .. })), "{error}");
    assert_eq!(error.path().to_string(), "day");
}

#[test]
fn a_reader_gets_its_own_form() {
    let writer = record(
        r#"{"name": "id", "type": "int"}, {"name": "old", "type": {"type": "array", "items": "string"}},
           {"name": "total", "type": "int"}, {"name": "state", "type": {"type": "enum", "name": "S",
           "symbols": ["OPEN", "PAID"]}}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}"#,
    );
    let reader = record(
        r#"{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
           {"name": "sum", "type": "double", "aliases": ["total"]}, {"name": "id", "type": ["null", "long"]},
           {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["NEW", "PAID"], "default": "NEW"}},
           {"name": "note", "type": ["null", "string"], "default": null},
           {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            "default": "\u0004\u00e2"}"#,
    );
    let bytes = [longs(&[7]), vec![2, 2, b'x', 0], longs(&[40, 0, 1_000])].concat();
    let expected = json!({"id": 7, "sum": 40, "state": "NEW", "note": null, "price": "12.50",
        "at": "1970-01-01T00:00:01Z"});
    assert_eq!(AvroDecoder::resolving(&writer, &reader).decode(&bytes), Ok(expected));
}

#[test]
fn what_the_reader_does_not_take_is_an_error_where_it_comes() {
    let writer = schema("[\"null\", \"string\", \"long\"]");
    let decoder = AvroDecoder::resolving(&writer, &schema("[\"null\", \"int\"]"));
    assert_eq!(decoder.decode(&[0]), Ok(Value::Null));
    let error = decoder.decode(&[4, 2]).expect_err("a long");
    assert_eq!(
        error.to_string(),
        "the value, byte 1: the reader's schema does not read this: it is long, expected [null, int]"
    );
    let without = record(r#"{"name": "a", "type": "int"}"#);
    let with = record(r#"{"name": "a", "type": "int"}, {"name": "b", "type": "int"}"#);
    let error = AvroDecoder::resolving(&without, &with).decode(&[2]).expect_err("a missing field");
    assert!(error.to_string().contains("the field `b` of shop.Order was not written, and has no default"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = AvroDecoder::new(&record(EVERYTHING)).decode(&bytes);
    }

    #[test]
    fn no_changed_byte_makes_it_panic(at: usize, byte: u8) {
        let mut bytes = everything();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = AvroDecoder::new(&record(EVERYTHING)).decode(&bytes);
    }
}
