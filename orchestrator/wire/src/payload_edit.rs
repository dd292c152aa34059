//! Values in Avro as people edit them: the JSON that the writer's schema gives, and back in the same frame.

use super::{
    payload_schema::{PayloadSchema, RecordContent},
    record::KafkaRecord,
};
use bytes::Bytes;
use saga_schemas::encode::EncodeError;
use serde_json::Value;

/// The value of a record in Avro, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum AvroValue {
    /// What the schema that wrote it says.
    Read {
        /// Name of the record that the schema describes.
        schema: String,
        /// As an expression sees it without a reader's schema.
        value: Value,
    },
    /// The bytes are not what their schema says.
    Unfit {
        /// Name of the record that the schema describes.
        schema: String,
        /// Where, and what was expected there.
        why: String,
    },
    /// The frame is broken, or the schema that it names cannot be had.
    NoSchema {
        /// Why.
        why: String,
    },
}

/// Why JSON does not take the place of a value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueMisfit {
    /// It does not fit the schema by which the value was written.
    #[error("{error}, by the schema {schema}")]
    Unfit {
        /// Name of the record that the schema describes.
        schema: String,
        /// Where, and what was expected there.
        error: EncodeError,
    },
    /// Without its schema nothing can be encoded.
    #[error("{why}; without the schema only bytes can take the place of the value: give them with `--file FILE`")]
    NoSchema {
        /// Why it cannot be had.
        why: String,
    },
}

/// The value of `record`, if it is in Avro. `schema`: what is known of the schema that it names.
#[must_use]
pub fn avro_value(record: &KafkaRecord, schema: &PayloadSchema) -> Option<AvroValue> {
    match RecordContent::of(record, schema) {
        RecordContent::Json | RecordContent::Decoded(_) => None,
        RecordContent::Broken(poison) => Some(AvroValue::NoSchema { why: poison.message }),
        RecordContent::Avro(reader, bytes) => {
            let schema = reader.shown_name().to_owned();
            Some(match reader.read_as_written(bytes) {
                Ok(value) => AvroValue::Read { schema, value },
                Err(error) => AvroValue::Unfit { schema, why: error.to_string() },
            })
        }
    }
}

/// The value of `record` with `value` in its place: JSON where it is JSON, else Avro by the schema that wrote it and in
/// the same frame. What is equal keeps its bytes.
///
/// # Errors
/// It does not fit the schema, or the schema cannot be had.
pub fn with_value(record: &KafkaRecord, schema: &PayloadSchema, value: &Value) -> Result<Bytes, ValueMisfit> {
    match RecordContent::of(record, schema) {
        RecordContent::Json | RecordContent::Decoded(_) => Ok(value.to_string().into()),
        RecordContent::Broken(poison) => Err(ValueMisfit::NoSchema { why: poison.message }),
        RecordContent::Avro(reader, before) => {
            let whole = record.value.as_deref().unwrap_or_default();
            let frame = &whole[..whole.len() - before.len()];
            let unfit = |error| ValueMisfit::Unfit { schema: reader.shown_name().to_owned(), error };
            let after = reader.write_changed(value, before).map_err(unfit)?;
            Ok([frame, &after].concat().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PayloadReader, PoisonCode, PoisonDiagnosis, record::RecordHeader};
    use saga_core::time::Timestamp;
    use saga_schemas::{
        avro::AvroSchema,
        framing::{VALUE_SCHEMA_HEADER, framed_as_single_object, framed_by_id, guid_header},
    };
    use serde_json::json;
    use std::sync::Arc;
    use uuid::Uuid;

    const ORDER: &str = r#"{"type": "record", "name": "shop.Order", "fields": [
        {"name": "id", "type": "long"}, {"name": "paid", "type": ["null", "int", "long"]}]}"#;
    /// Id 2^53 + 1; paid: 5 as a long.
    const BYTES: [u8; 10] = [0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 4, 10];

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

    fn schema() -> PayloadSchema {
        let schema = AvroSchema::parse(ORDER).expect("a schema");
        // Whatever form expressions get, the writer's is edited.
        let other = r#"{"type": "record", "name": "Other", "aliases": ["shop.Order"], "fields": []}"#;
        let other = AvroSchema::parse(other).expect("a schema");
        PayloadSchema::Known(Arc::new(PayloadReader::new(&schema).in_the_form_of(&other)))
    }

    #[test]
    fn a_value_stays_in_its_frame_and_nothing_else_changes() {
        let guid = vec![(VALUE_SCHEMA_HEADER.into(), Some(guid_header(Uuid::from_u128(7)).into()))];
        for (headers, framed) in [
            (vec![], &(|bytes: &[u8]| framed_by_id(42, bytes)) as &dyn Fn(&[u8]) -> Vec<u8>),
            (guid, &|bytes| bytes.to_vec()),
            (vec![], &|bytes| framed_as_single_object(7, bytes)),
        ] {
            let record = record(headers, framed(&BYTES));
            let Some(AvroValue::Read { schema: name, mut value }) = avro_value(&record, &schema()) else {
                panic!("it is decoded")
            };
            assert_eq!((name.as_str(), &value), ("shop.Order", &json!({"id": 9_007_199_254_740_993_i64, "paid": 5})));
            assert_eq!(with_value(&record, &schema(), &value).as_deref(), Ok(framed(&BYTES).as_slice()));
            value["paid"] = json!(6);
            let after = [&BYTES[..8], &[4, 12]].concat();
            assert_eq!(with_value(&record, &schema(), &value).as_deref(), Ok(framed(&after).as_slice()));
        }
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path() {
        let record = record(vec![], framed_by_id(42, &BYTES));
        let error = with_value(&record, &schema(), &json!({"id": "4711", "paid": null})).expect_err("a string");
        let told = error.to_string();
        assert!(
            told.starts_with(
                "id: expected an integer of 64 bits such as 4711, found a string, by the schema shop.Order"
            ),
            "{told}"
        );
    }

    #[test]
    fn what_cannot_be_decoded_says_why() {
        let cut = record(vec![], framed_by_id(42, &BYTES[..8]));
        let Some(AvroValue::Unfit { why, .. }) = avro_value(&cut, &schema()) else { panic!("its end is missing") };
        assert!(why.starts_with("paid, byte 8: "), "{why}");
        let whole = with_value(&cut, &schema(), &json!({"id": 1, "paid": 7}));
        assert_eq!(whole.as_deref(), Ok(&[0, 0, 0, 0, 42, 2, 2, 14][..]), "it can be given anew");

        let missing = PayloadSchema::Unreadable(PoisonDiagnosis::new(PoisonCode::UnknownSchema, "no such schema"));
        assert_eq!(avro_value(&cut, &missing), Some(AvroValue::NoSchema { why: "no such schema".to_owned() }));
        let error = with_value(&cut, &missing, &json!({})).expect_err("no schema");
        assert!(error.to_string().contains("--file FILE"), "{error}");
        let plain = record(vec![], b"{}".to_vec());
        assert_eq!(avro_value(&plain, &PayloadSchema::Unneeded), None);
        assert_eq!(with_value(&plain, &PayloadSchema::Unneeded, &json!({"a": 1})).as_deref(), Ok(&b"{\"a\":1}"[..]));
    }
}
