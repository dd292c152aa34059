use super::*;
use crate::record::{RecordHeader, text_header};
use bytes::Bytes;
use saga_core::time::Timestamp;
use saga_schemas::framing::{framed_as_single_object, framed_by_id, guid_header};
use serde_json::json;

const TAGS: &str = r#"{"type": "map", "values": "string"}"#;
const GUID: Uuid = Uuid::from_u128(7);

fn record(headers: Vec<RecordHeader>, value: Vec<u8>) -> KafkaRecord {
    KafkaRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(0),
        key: None,
        value: Some(Bytes::from(value)),
        headers,
    }
}

fn schema(text: &str) -> PayloadSchema {
    PayloadSchema::Known(Arc::new(PayloadReader::new(&AvroSchema::parse(text).expect("a schema"))))
}

fn read(record: &KafkaRecord, schema: &PayloadSchema) -> Result<Value, PoisonCode> {
    RecordContent::of(record, schema).read(record).map_err(|poison| poison.code)
}

#[test]
fn a_record_names_its_schema_by_its_frame_or_its_header() {
    let guid = |value: &[u8]| record(vec![(VALUE_SCHEMA_HEADER.into(), Some(guid_header(GUID).into()))], value.into());
    for (record, named) in [
        (record(vec![], framed_by_id(42, b"")), Some(PayloadSchemaName::Id(42))),
        (record(vec![], framed_as_single_object(7, b"")), Some(PayloadSchemaName::Fingerprint(7))),
        (guid(b"{}"), Some(PayloadSchemaName::Guid(GUID))),
        (record(vec![], b"{}".into()), None),
        (record(vec![text_header("content-type", "Application/JSON; charset=utf-8")], framed_by_id(42, b"")), None),
        (
            record(vec![text_header("content-type", "application/avro")], framed_by_id(42, b"")),
            Some(PayloadSchemaName::Id(42)),
        ),
        (record(vec![], framed_by_id(42, &vec![0; LARGEST_RECORD])), None),
    ] {
        assert_eq!(PayloadSchemaName::of(&record), named, "{:?}", record.headers);
    }
}

#[test]
fn a_value_is_read_by_the_schema_that_it_names() {
    let record = record(vec![], framed_by_id(42, &[2, 2, b'a', 4, b'b', b'c', 0]));
    assert_eq!(read(&record, &schema(TAGS)), Ok(json!({"a": "bc"})));
    assert_eq!(read(&record, &PayloadSchema::Decoded(json!(1))), Ok(json!(1)), "what another engine read counts");
    let missing = PoisonDiagnosis::new(PoisonCode::SchemaMismatch, "it is Protobuf");
    assert_eq!(read(&record, &PayloadSchema::Unreadable(missing)), Err(PoisonCode::SchemaMismatch));
    assert_eq!(read(&record, &PayloadSchema::Unneeded), Err(PoisonCode::UnknownSchema));
}

#[test]
fn what_cannot_be_read_has_the_code_of_its_fault() {
    for (value, code) in [
        (framed_by_id(42, &[2, 2, b'a', 4, b'b']), PoisonCode::Avro),
        (framed_by_id(42, &[2, 2, b'a', 2, 0xff, 0]), PoisonCode::Avro),
        (framed_by_id(42, &[2, 2, b'a', 2, 0, 0]), PoisonCode::Nul),
        (framed_by_id(42, &[4, 2, b'a', 0, 2, b'a', 0, 0]), PoisonCode::RepeatedName),
        (vec![0, 0, 1], PoisonCode::Avro),
        (vec![0xc3, 0x01, 1], PoisonCode::Avro),
        (b"\xff\xfe".into(), PoisonCode::NotJson),
        (framed_by_id(42, &vec![0; LARGEST_RECORD]), PoisonCode::Oversize),
    ] {
        assert_eq!(read(&record(vec![], value), &schema(TAGS)), Err(code));
    }
    let odd_header = record(vec![text_header(VALUE_SCHEMA_HEADER, "42")], b"{}".into());
    assert_eq!(read(&odd_header, &schema(TAGS)), Err(PoisonCode::Avro));
}

#[test]
fn an_error_names_the_schema_the_place_and_what_was_expected() {
    let text = r#"{"type": "record", "name": "shop.Paid", "fields": [{"name": "paid", "type": "boolean"}]}"#;
    let (record, schema) = (record(vec![], framed_by_id(42, &[7])), schema(text));
    let poison = RecordContent::of(&record, &schema).read(&record).expect_err("7 is no boolean");
    assert_eq!(poison.message, "by the schema shop.Paid: paid, byte 0: expected a boolean, 00 or 01, found 07");
}

#[test]
fn a_value_that_is_small_in_avro_and_large_in_json_is_refused() {
    let nulls = schema(r#"{"type": "array", "items": "null"}"#);
    let many = |count: i64| {
        let mut value = Vec::new();
        let mut rest = u64::try_from(count * 2).expect("positive");
        while rest >= 0x80 {
            value.push(u8::try_from(rest & 0x7f).expect("7 bits") | 0x80);
            rest >>= 7;
        }
        value.extend([u8::try_from(rest).expect("7 bits"), 0]);
        record(vec![], framed_by_id(42, &value))
    };
    assert!(read(&many(200_000), &nulls).is_ok());
    assert_eq!(read(&many(300_000), &nulls), Err(PoisonCode::Oversize));
}
