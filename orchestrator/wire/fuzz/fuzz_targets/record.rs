//! A record as another program could have written it: any bytes, and often what a reader looks for.

use arbitrary::Arbitrary;
use bytes::Bytes;
use saga_core::time::Timestamp;
use saga_schemas::{
    DOMAIN_EVENTS,
    avro::AvroSchema,
    framing::{framed_as_single_object, framed_by_id, guid_header},
};
use saga_wire::{KafkaRecord, PayloadReader, PayloadSchema, PoisonCode, PoisonDiagnosis};
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// Headers that some reader looks at.
const NAMES: [&str; 45] = [
    "ce_type",
    "ce_replay",
    "content-type",
    "traceparent",
    "__value_schema_id",
    "idempotency_key",
    "ce_correlationid",
    "saga_attempt",
    "saga_outcome",
    "error_code",
    "error_message",
    "error_retryable",
    "saga_inbox_kind",
    "saga_inbox_topic",
    "saga_inbox_partition",
    "saga_inbox_offset",
    "saga_inbox_timestamp",
    "saga_inbox_decoded",
    "saga_inbox_definition",
    "saga_inbox_hash",
    "saga_inbox_policies",
    "saga_dlq_topic",
    "saga_dlq_partition",
    "saga_dlq_offset",
    "saga_dlq_timestamp",
    "saga_dlq_code",
    "saga_dlq_message",
    "saga_dlq_time",
    "saga_dlq_id",
    "saga_dlq_pointer",
    "saga_dlq_left_out",
    "saga_dlq_redrives",
    "kafka_dlt-original-topic",
    "kafka_dlt-original-partition",
    "kafka_dlt-original-offset",
    "kafka_dlt-original-timestamp",
    "kafka_dlt-exception-fqcn",
    "kafka_dlt-exception-cause-fqcn",
    "kafka_dlt-exception-message",
    "kafka_dlt-key-exception-message",
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
];

/// Values that lead on.
const WORDS: [&str; 24] = [
    "OrderPlaced",
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/avro",
    "trigger",
    "reply",
    "outcome",
    "operator",
    "rerun",
    "succeeded",
    "failed",
    "ongoing",
    "true",
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "01890a5d-ac96-774b-bcce-b302099a8057:reserve:do",
    "01890a5d-ac96-774b-bcce-b302099a8057:reserve:undo",
    "not_json",
    "2026-12-01T00:00:00.000Z",
    "shop.orders/3/14/order",
    "value",
    "value,headers",
    "value,headers,key",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
];

/// Values of records that are right, until some of their bytes are others.
const WRITTEN: [&str; 12] = [
    r#"{"orderId": "1", "id": "1", "amount": 7}"#,
    r#"{"id": 1e99, "amount": 1.10}"#,
    r#"{"specversion": "1.0", "type": "OrderPlaced", "data": {"id": "1", "amount": 7}}"#,
    r#"{"specversion": "1.0", "type": "OrderPlaced", "data_base64": "eyJpZCI6ICIxIiwgImFtb3VudCI6IDd9"}"#,
    r#"[{"specversion": "1.0", "type": "OrderPlaced"}]"#,
    r#""{\"id\": \"1\"}""#,
    r#"{"command": "01890a5d-ac96-774b-bcce-b302099a8057:reserve:do", "attempt": 1,
        "answer": {"outcome": "succeeded", "result": {"a": 1.10}}}"#,
    r#"{"command": "01890a5d-ac96-774b-bcce-b302099a8057:reserve:undo", "answer": {"outcome": "unknown",
        "failure": {"code": "http.503", "message": "m"}, "parks": true, "retryAfterMs": 7}}"#,
    r#"{"command": "01890a5d-ac96-774b-bcce-b302099a8057:reserve:do", "answer": {"outcome": "failed",
        "failure": {"code": "c", "message": "m"}, "retry": "no"}}"#,
    r#"{"command": "01890a5d-ac96-774b-bcce-b302099a8057:reserve:do", "answer": {"outcome": "ongoing",
        "askAfterMs": 7, "location": "/jobs/1"}}"#,
    r#"{"saga": "01890a5d-ac96-774b-bcce-b302099a8057", "id": "7", "who": "ada", "reason": "r", "action": "retry",
        "step": "reserve", "direction": "do", "definition": ["ab", "cd"]}"#,
    r#"{"saga": "01890a5d-ac96-774b-bcce-b302099a8057", "id": "7", "who": "ada", "reason": "r", "from": "reserve",
        "force": true}"#,
];

/// Bytes of any origin.
#[derive(Arbitrary, Debug)]
enum AnyBytes {
    Raw(Vec<u8>),
    Word(u8),
    Digits(i64),
    Int(i32),
    Long(i64),
    Guid(u128),
}

/// A record's value.
#[derive(Arbitrary, Debug)]
enum AnyValue {
    Raw(Vec<u8>),
    Written(u8, Vec<(u16, u8)>),
    ById(u32, Vec<u8>),
    ByGuid(u128, Vec<u8>),
    SingleObject(u64, Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum AnyName {
    Known(u8),
    Raw(String),
}

/// Key, value, headers and place.
#[derive(Arbitrary, Debug)]
pub struct AnyRecord {
    key: Option<Vec<u8>>,
    value: Option<AnyValue>,
    headers: Vec<(AnyName, Option<AnyBytes>)>,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

/// What is known of the schema that a record names.
#[derive(Arbitrary, Debug)]
pub enum AnySchema {
    /// None was looked up.
    Unneeded,
    /// Nobody knows it.
    Unreadable,
    /// This one of the domain events that ship.
    Known(u8),
    /// What one of them wrote, in the form of another.
    InTheFormOf(u8, u8),
    /// Another engine has read the value.
    Decoded(u8),
}

static EVENTS: LazyLock<Vec<AvroSchema>> = LazyLock::new(|| {
    DOMAIN_EVENTS.iter().map(|(_, text)| AvroSchema::parse(text).expect("a schema that ships")).collect()
});

fn chosen<T>(of: &[T], at: u8) -> &T {
    &of[usize::from(at) % of.len()]
}

impl AnyRecord {
    /// As it was read from a topic.
    pub fn read(self) -> KafkaRecord {
        let headers = self.headers.into_iter().map(|(name, value)| (name.text(), value.map(AnyBytes::bytes)));
        KafkaRecord {
            topic: "shop.orders".into(),
            partition: self.partition,
            offset: self.offset,
            timestamp: Timestamp(self.timestamp),
            key: self.key.map(Bytes::from),
            value: self.value.map(AnyValue::bytes),
            headers: headers.collect(),
        }
    }
}

impl AnyName {
    fn text(self) -> String {
        match self {
            AnyName::Known(at) => (*chosen(&NAMES, at)).to_owned(),
            AnyName::Raw(name) => name,
        }
    }
}

impl AnyBytes {
    fn bytes(self) -> Bytes {
        match self {
            AnyBytes::Raw(bytes) => bytes.into(),
            AnyBytes::Word(at) => chosen(&WORDS, at).as_bytes().into(),
            AnyBytes::Digits(number) => number.to_string().into(),
            AnyBytes::Int(number) => number.to_be_bytes().to_vec().into(),
            AnyBytes::Long(number) => number.to_be_bytes().to_vec().into(),
            AnyBytes::Guid(guid) => guid_header(Uuid::from_u128(guid)).into(),
        }
    }
}

impl AnyValue {
    fn bytes(self) -> Bytes {
        match self {
            AnyValue::Raw(bytes) => bytes.into(),
            AnyValue::Written(at, others) => almost(chosen(&WRITTEN, at), &others).into(),
            AnyValue::ById(id, payload) => framed_by_id(id, &payload).into(),
            AnyValue::ByGuid(guid, payload) => [guid_header(Uuid::from_u128(guid)), payload].concat().into(),
            AnyValue::SingleObject(fingerprint, payload) => framed_as_single_object(fingerprint, &payload).into(),
        }
    }
}

fn almost(text: &str, others: &[(u16, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in others {
        let at = usize::from(*at) % bytes.len();
        bytes[at] = *byte;
    }
    bytes
}

impl AnySchema {
    /// As a reader of records gets it.
    pub fn known(self) -> PayloadSchema {
        let reader = |at| PayloadReader::new(chosen(&EVENTS, at));
        match self {
            AnySchema::Unneeded => PayloadSchema::Unneeded,
            AnySchema::Unreadable => {
                PayloadSchema::Unreadable(PoisonDiagnosis::new(PoisonCode::UnknownSchema, "nobody knows it"))
            }
            AnySchema::Known(at) => PayloadSchema::Known(Arc::new(reader(at))),
            AnySchema::InTheFormOf(writer, form) => {
                PayloadSchema::Known(Arc::new(reader(writer).in_the_form_of(chosen(&EVENTS, form))))
            }
            AnySchema::Decoded(at) => {
                let value = saga_core::json::read(chosen(&WRITTEN, at).as_bytes()).unwrap_or_default();
                PayloadSchema::Decoded(value)
            }
        }
    }
}
