use super::*;
use crate::{
    dead_letter::record,
    poison::PoisonDiagnosis,
    record::{OutgoingRecord, text_header},
};
use proptest::prelude::*;

fn at_dlq(written: OutgoingRecord) -> KafkaRecord {
    let OutgoingRecord { topic, key, value, headers, .. } = written;
    KafkaRecord { topic, partition: 0, offset: 7, timestamp: Timestamp(1_700_000_002_000), key, value, headers }
}

fn order(headers: Vec<RecordHeader>) -> KafkaRecord {
    KafkaRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(Bytes::from_static(&[0, 0xff])),
        value: Some(Bytes::from_static(b"{not json")),
        headers,
    }
}

fn letter_of(original: &KafkaRecord, definition: Option<&str>, form: DeadLetterForm) -> FoundLetter {
    let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "expected value at line 1");
    let now = Timestamp(1_700_000_001_000);
    let written = record(&"saga.dlq".into(), original, &poison, definition, form, now);
    FoundLetter::read(&at_dlq(written)).expect("a letter")
}

#[test]
fn a_letter_of_the_engine_is_read_back_byte_for_byte() {
    let original = order(vec![text_header("ce_type", "OrderPlaced"), ("empty".into(), None), text_header(FIRST, "x")]);
    for definition in [None, Some("order-fulfillment")] {
        let letter = letter_of(&original, definition, DeadLetterForm::Whole);
        let OriginalContent { key, value, headers } = &letter.original;
        assert_eq!((key, value, headers), (&original.key, &original.value, &original.headers));
        assert_eq!(letter.origin.to_string(), "shop.orders/3/14");
        assert_eq!(letter.origin.timestamp, Some(original.timestamp));
        assert_eq!(
            (letter.definition.as_deref(), &letter.code),
            (definition, &LetterCode::Poison(PoisonCode::NotJson))
        );
        assert_eq!(
            (&*letter.message, letter.found_at),
            ("expected value at line 1", Some(Timestamp(1_700_000_001_000)))
        );
        let id = definition.map_or("shop.orders/3/14".to_owned(), |name| format!("shop.orders/3/14/{name}"));
        assert_eq!(letter.id(), id);
    }
}

#[test]
fn a_pointer_says_what_is_not_here() {
    for form in [DeadLetterForm::Pointer, DeadLetterForm::PointerWithoutHeaders, DeadLetterForm::PointerAlone] {
        let letter = letter_of(&order(vec![text_header("a", "1")]), None, form);
        assert_eq!(letter.form, form);
        assert_eq!(letter.original.key.is_some(), form != DeadLetterForm::PointerAlone);
    }
}

#[test]
fn numbers_of_spring_are_bytes_or_digits() {
    let bytes = [
        Bytes::copy_from_slice(&3_i32.to_be_bytes()),
        Bytes::copy_from_slice(&14_i64.to_be_bytes()),
        Bytes::copy_from_slice(&1_700_000_000_000_i64.to_be_bytes()),
    ];
    let digits = ["3", "14", "1700000000000"].map(|digits| Bytes::from_static(digits.as_bytes()));
    for [partition, offset, timestamp] in [bytes, digits] {
        let own = [text_header("ce_type", "OrderPlaced")];
        let added = [
            text_header("kafka_dlt-original-topic", "shop.orders"),
            ("kafka_dlt-original-partition".into(), Some(partition)),
            ("kafka_dlt-original-offset".into(), Some(offset)),
            ("kafka_dlt-original-timestamp".into(), Some(timestamp)),
            text_header(
                "kafka_dlt-exception-fqcn",
                "org.springframework.kafka.listener.ListenerExecutionFailedException",
            ),
            text_header("kafka_dlt-exception-cause-fqcn", "java.lang.IllegalStateException"),
            text_header("kafka_dlt-exception-message", "no stock"),
        ];
        let letter = FoundLetter::read(&order([&own[..], &added[..]].concat())).expect("a letter");
        assert_eq!((letter.dialect, letter.origin.to_string()), (LetterDialect::Spring, "shop.orders/3/14".to_owned()));
        assert_eq!(letter.origin.timestamp, Some(Timestamp(1_700_000_000_000)));
        assert_eq!((letter.code.as_str(), &*letter.message), ("java.lang.IllegalStateException", "no stock"));
        assert_eq!(letter.original.headers, own);
    }
}

#[test]
fn kafka_connect_says_numbers_as_text() {
    let added = [
        ("topic", "shop.orders"),
        ("partition", "3"),
        ("offset", "14"),
        ("connector.name", "sink"),
        ("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
        ("exception.message", "Unknown magic byte!"),
    ];
    let headers = added.map(|(name, value)| text_header(&format!("{CONNECT}{name}"), value));
    let letter = FoundLetter::read(&order(headers.to_vec())).expect("a letter");
    assert_eq!((letter.dialect, letter.id()), (LetterDialect::KafkaConnect, "shop.orders/3/14".to_owned()));
    assert_eq!(
        (letter.code.as_str(), letter.original.headers.len()),
        ("org.apache.kafka.connect.errors.DataException", 0)
    );
}

#[test]
fn what_has_no_provenance_is_no_letter_and_the_reason_names_the_header() {
    assert_eq!(FoundLetter::read(&order(Vec::new())), Err(UnknownLetter::NoProvenance));
    for name in ["saga_dlq_topic", "kafka_dlt-original-topic", "__connect.errors.topic"] {
        let unreadable = FoundLetter::read(&order(vec![text_header(name, "shop.orders")])).expect_err("no partition");
        assert!(unreadable.to_string().contains("partition"), "{unreadable}");
    }
}

/// Names of headers by which a letter is known, and any others.
fn header_name() -> impl Strategy<Value = String> {
    let engine = ["topic", "partition", "offset", "timestamp", "code", "message", "time", "id", "pointer", "left_out"];
    let spring = ["original-topic", "original-partition", "original-offset", "original-timestamp", "exception-fqcn"];
    let connect = ["topic", "partition", "offset", "exception.class.name", "exception.message"];
    prop_oneof![
        prop::sample::select(engine.as_slice().to_vec()).prop_map(|name| format!("saga_dlq_{name}")),
        prop::sample::select(spring.as_slice().to_vec()).prop_map(|name| format!("{SPRING}{name}")),
        prop::sample::select(connect.as_slice().to_vec()).prop_map(|name| format!("{CONNECT}{name}")),
        "[a-z_]{0,8}",
    ]
}

fn header_value() -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![
        Just(None),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Some(Bytes::from(bytes))),
        any::<i64>().prop_map(|number| Some(Bytes::from(number.to_string()))),
        any::<i32>().prop_map(|number| Some(Bytes::copy_from_slice(&number.to_be_bytes()))),
    ]
}

proptest! {
    #[test]
    fn any_record_is_a_letter_or_says_why_it_is_none(
        headers in prop::collection::vec((header_name(), header_value()), 0..16),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..32)),
    ) {
        let record = KafkaRecord { value: value.map(Bytes::from), ..order(headers) };
        match FoundLetter::read(&record) {
            Ok(letter) => {
                prop_assert!(letter.id().starts_with(&*letter.origin.topic));
                prop_assert!(letter.original.headers.len() < record.headers.len());
                prop_assert_eq!(&letter.original.value, &record.value);
            }
            Err(unknown) => prop_assert!(!unknown.to_string().is_empty()),
        }
    }

    #[test]
    fn what_the_engine_writes_it_reads_back(
        headers in prop::collection::vec((header_name(), header_value()), 0..16),
        definition in prop::option::of("[a-z-]{1,12}"),
    ) {
        let original = order(headers);
        let letter = letter_of(&original, definition.as_deref(), DeadLetterForm::Whole);
        prop_assert_eq!(letter.original.headers, original.headers);
        prop_assert_eq!(letter.definition, definition);
    }
}
