//! Records that other clients produced: fastavro 1.x and the Avro serialiser of confluent-kafka, both for Python.

use saga_schemas::{
    DOMAIN_EVENTS, avro::AvroSchema, decode::AvroDecoder, embedded::EmbeddedRegistry, encode::encode,
    framing::RecordFraming,
};
use serde_json::{Value, json};

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("a byte");
    digits.chunks(2).map(byte).collect()
}

fn everything() -> (AvroSchema, Vec<u8>) {
    let schema = AvroSchema::parse(include_str!("foreign/everything.avsc")).expect("a schema");
    (schema, bytes(include_str!("foreign/everything.hex")))
}

fn expected() -> Value {
    let price = "-12345678901234567890.1200";
    json!({
        "flag": true, "count": i32::MIN, "total": i64::MAX, "rate": 0.1, "exact": -1e300, "raw": "AP8=",
        "text": "Grüße, 世界", "price": price, "debt": "-0.05", "id": "89791762-2336-4186-9674-299b90a802e2",
        "day": "2026-11-30", "time": "16:15:00.5", "fine": "23:59:59.999999", "at": "2026-11-30T16:15:00.5Z",
        "precise": "1969-12-31T23:59:59.999999Z", "local": "2026-11-30T16:15:00", "state": "PAID", "hash": "3q2+7w==",
        "note": null, "who": {"name": "Ada", "boss": {"name": "Charles", "boss": null}},
        "tags": {"a": 1, "b b": -2}, "lines": [{"sku": "x", "qty": 1}, {"sku": "y", "qty": 300}],
    })
}

#[test]
fn a_record_of_all_types_by_fastavro_is_read() {
    let (schema, bytes) = everything();
    assert_eq!(AvroDecoder::new(&schema).decode(&bytes), Ok(expected()));
}

/// The same bytes: fastavro writes arrays and maps in one block, as this product does.
#[test]
fn what_is_written_here_is_what_fastavro_writes() {
    let (schema, bytes) = everything();
    assert_eq!(encode(&schema, &expected()), Ok(bytes));
}

#[test]
fn a_fingerprint_is_that_of_fastavro() {
    let (schema, _) = everything();
    assert_eq!(schema.fingerprint().to_le_bytes().to_vec(), bytes("78d8c295f97ef065"));
}

#[test]
fn a_record_by_confluents_serialiser_is_read() {
    let record = bytes("0000000001083437313106632d319e1f00000208626f6f6b029e1f00");
    let framing = RecordFraming::of(&record, None).expect("a frame");
    assert!(matches!(framing, RecordFraming::RegistryId { id: 1, .. }), "{framing:?}");
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    let order = json!({"orderId": "4711", "customerId": "c-1", "amountCents": 1999, "digital": false, "address": null,
        "items": [{"sku": "book", "quantity": 1, "priceCents": 1999}]});
    assert_eq!(AvroDecoder::new(&schema).decode(framing.payload()), Ok(order));
}

/// The registry that answers from the folder gave the client this GUID.
#[test]
fn a_record_with_confluents_header_is_read() {
    let (record, header) =
        (bytes("083437313106632d319e1f00000208626f6f6b029e1f00"), bytes("0107d856f4821754f4a0a7fc58e11ccf09"));
    let RecordFraming::RegistryGuid { guid, payload } = RecordFraming::of(&record, Some(&header)).expect("a frame")
    else {
        panic!("the header holds a GUID");
    };
    let registry = EmbeddedRegistry::new(DOMAIN_EVENTS, []).expect("the shipped schemas");
    let answer = registry.answer("GET", &format!("/schemas/guids/{guid}"), b"");
    let schema = AvroSchema::parse(answer.body["schema"].as_str().expect("a schema")).expect("a schema");
    assert_eq!(AvroDecoder::new(&schema).decode(payload).expect("an order")["orderId"], json!("4711"));
}
