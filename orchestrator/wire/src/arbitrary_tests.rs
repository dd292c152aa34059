//! Records that any program could have written: whatever the bytes are, there is one answer, and no panic.

use crate::{
    KafkaRecord, OutgoingRecord, PayloadReader, PayloadSchema, RecordHeader,
    dead_letter::{self, DeadLetterForm, FoundLetter},
    inbox::{self, InboxEnvelope},
    poison::{PoisonCode, PoisonDiagnosis},
    reply::{self, ParsedReply},
    trigger::{self, TriggerEvaluation, TriggerOutcome},
};
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::select};
use saga_core::{
    definition::{SagaDefinition, parse_stored},
    id::ShardId,
    time::Timestamp,
};
use saga_schemas::{
    DOMAIN_EVENTS,
    avro::AvroSchema,
    framing::{framed_as_single_object, framed_by_id},
};
use std::sync::Arc;

/// Headers that some reader looks at, and one that none does.
const NAMES: [&str; 34] = [
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
    "saga_dlq_topic",
    "saga_dlq_partition",
    "saga_dlq_offset",
    "saga_dlq_code",
    "saga_dlq_left_out",
    "saga_dlq_redrives",
    "kafka_dlt-original-topic",
    "kafka_dlt-original-partition",
    "kafka_dlt-original-offset",
    "kafka_dlt-exception-message",
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.exception.message",
    "other",
    "saga_inbox_hash",
];

/// Values that lead on.
const WORDS: [&str; 20] = [
    "OrderPlaced",
    "application/json",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/avro",
    "trigger",
    "reply",
    "operator",
    "succeeded",
    "failed",
    "ongoing",
    "true",
    "1",
    "-1",
    "99999999999999999999",
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "01890a5d-ac96-774b-bcce-b302099a8057:reserve:do",
    "not_json",
    "{\"a\": null}",
    "",
];

/// Values that are almost right.
const VALUES: [&str; 8] = [
    r#"{"orderId": "1"}"#,
    r#"{"orderId": 1e999}"#,
    r#"{"orderId": "a\u0000b"}"#,
    r#"{"orderId": "1", "orderId": "2"}"#,
    r#"{"type": "OrderPlaced", "data": {"orderId": "1"}}"#,
    r#"{"type": 1, "data_base64": "!"}"#,
    "[[[[[[[[[[[[",
    "null",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        bytes(),
        select(&VALUES[..]).prop_map(|text| text.as_bytes().to_vec()),
        (any::<u32>(), bytes()).prop_map(|(id, bytes)| framed_by_id(id, &bytes)),
        (any::<u64>(), bytes()).prop_map(|(fingerprint, bytes)| framed_as_single_object(fingerprint, &bytes)),
    ]
}

fn header() -> impl Strategy<Value = RecordHeader> {
    let said = prop_oneof![bytes(), select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec())];
    (select(&NAMES[..]), option::of(said)).prop_map(|(name, value)| (name.to_owned(), value.map(Bytes::from)))
}

fn record() -> impl Strategy<Value = KafkaRecord> {
    (option::of(bytes()), option::of(value()), vec(header(), 0..8), any::<i64>()).prop_map(
        |(key, value, headers, at)| KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(at),
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers,
        },
    )
}

fn schema() -> impl Strategy<Value = PayloadSchema> {
    let poison = PoisonDiagnosis::new(PoisonCode::UnknownSchema, "nobody knows it");
    let order = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    select(vec![
        PayloadSchema::Unneeded,
        PayloadSchema::Unreadable(poison),
        PayloadSchema::Known(Arc::new(PayloadReader::new(&order))),
    ])
}

fn definitions() -> Vec<Arc<SagaDefinition>> {
    let of = |name: &str, rest: &str| {
        let text = format!(
            "saga: {name}\ntrigger: {{topic: shop.orders, {rest} key: \"${{ event.orderId }}\"}}\nsteps:\n  - step: rest\n    \
             wait: 1s\n"
        );
        Arc::new(parse_stored(&text).expect("a definition"))
    };
    vec![
        of("typed", "type: OrderPlaced,"),
        of("any", ""),
        of("chosen", "type: OrderPlaced, when: event.orderId != '',"),
    ]
}

/// Whether the reader itself failed.
fn crashed(found: &TriggerEvaluation) -> bool {
    matches!(&found.disposition, TriggerOutcome::Poison(poison) if poison.code == PoisonCode::Crash)
}

fn through_the_inbox(inbound: &InboxEnvelope) -> Result<InboxEnvelope, PoisonDiagnosis> {
    let OutgoingRecord { topic, key, value, headers, .. } = inbox::forward(&"saga.inbox".into(), ShardId(7), inbound);
    inbox::receive(&KafkaRecord { topic, partition: 7, offset: 1, timestamp: Timestamp(1), key, value, headers })
}

proptest! {
    #[test]
    fn every_definition_has_one_disposition_of_whatever_arrives(record in record(), schema in schema()) {
        let definitions = definitions();
        let named = trigger::schema_needed(&record, &definitions);
        prop_assert!(named.is_none() || record.value.is_some());
        let found = trigger::evaluate(&record, &schema, &definitions);
        let mut places: Vec<usize> = found.iter().filter_map(|it| it.definition).collect();
        places.sort_unstable();
        prop_assert!(places == [0, 1, 2] || (places.is_empty() && found.len() == 1), "{found:?}");
        prop_assert!(!found.iter().any(crashed), "{found:?}");
        for start in found.iter().filter_map(|it| match &it.disposition {
            TriggerOutcome::Start(start) => Some(start),
            TriggerOutcome::Unwanted | TriggerOutcome::Replayed | TriggerOutcome::Poison(_) => None,
        }) {
            prop_assert!((1..=256).contains(&start.key.len()) && !start.key.contains('\0'), "{start:?}");
        }
    }

    #[test]
    fn a_reply_is_an_answer_or_poison(record in record(), schema in schema()) {
        let named = reply::schema_needed(&record);
        prop_assert!(named.is_none() || record.value.is_some());
        if let ParsedReply::Poison { poison, .. } = reply::parse(&record, &schema) {
            prop_assert!(!poison.message.is_empty() && poison.code != PoisonCode::Crash, "{poison:?}");
        }
    }

    #[test]
    fn a_record_of_the_inbox_is_read_or_refused(record in record()) {
        match inbox::receive(&record) {
            Ok(inbound) => prop_assert_eq!(through_the_inbox(&inbound), Ok(inbound)),
            Err(poison) => prop_assert!(!poison.message.is_empty()),
        }
    }

    #[test]
    fn whatever_is_forwarded_arrives_as_it_was_read(record in record()) {
        let inbound = InboxEnvelope::Reply { record, decoded: None };
        prop_assert_eq!(through_the_inbox(&inbound), Ok(inbound));
    }

    #[test]
    fn a_record_of_a_topic_of_dead_letters_is_a_letter_or_says_what_is_missing(record in record()) {
        match FoundLetter::read(&record) {
            Ok(letter) => prop_assert!(!letter.id().is_empty()),
            Err(unknown) => prop_assert!(!unknown.to_string().is_empty()),
        }
    }

    #[test]
    fn a_dead_letter_has_the_original_byte_for_byte(record in record()) {
        let poison = PoisonDiagnosis::new(PoisonCode::Key, "it has none");
        let letter = dead_letter::record(
            &"saga.dlq".into(),
            &record,
            &poison,
            Some("typed"),
            DeadLetterForm::Whole,
            Timestamp(2_000),
        );
        let OutgoingRecord { topic, key, value, headers, .. } = letter;
        let written = KafkaRecord { topic, partition: 0, offset: 1, timestamp: Timestamp(1), key, value, headers };
        let read = FoundLetter::read(&written).expect("it is a letter");
        prop_assert_eq!(&read.original.key, &record.key);
        prop_assert_eq!(&read.original.value, &record.value);
        prop_assert_eq!(&read.original.headers, &record.headers);
    }
}
