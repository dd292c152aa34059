use super::*;
use crate::record::{RecordHeader, text_header};
use bytes::Bytes;
use saga_core::{
    command::CommandDirection,
    id::{SagaId, ShardId},
    time::Timestamp,
};
use serde_json::json;

fn id() -> CommandId {
    let saga = SagaId::new(Timestamp(1_700_000_000_000), ShardId(7), 42);
    CommandId { saga, step: "reserve".into(), direction: CommandDirection::Do }
}

fn record(headers: &[(&str, &str)], value: Option<&[u8]>) -> KafkaRecord {
    KafkaRecord {
        topic: "saga.replies".into(),
        partition: 0,
        offset: 7,
        timestamp: Timestamp(0),
        key: None,
        value: value.map(Bytes::copy_from_slice),
        headers: headers.iter().map(|(name, value)| text_header(name, *value)).collect(),
    }
}

/// A reply to the command, with more headers.
fn reply(more: &[(&str, &str)], value: Option<&[u8]>) -> KafkaRecord {
    let (key, saga) = (id().to_string(), id().saga.to_string());
    let mut headers = vec![("idempotency_key", key.as_str()), ("ce_correlationid", saga.as_str())];
    headers.extend(more);
    record(&headers, value)
}

fn answered(record: &KafkaRecord) -> (Option<u32>, CommandAnswer) {
    match parse(record, &PayloadSchema::Unneeded) {
        ParsedReply::Reply(CommandReply { saga, command, attempt, answer }) => {
            assert_eq!((saga, command), (id().saga, id()));
            (attempt, answer)
        }
        ParsedReply::Poison { poison, .. } => panic!("{poison}"),
    }
}

fn poisoned(record: &KafkaRecord) -> (PoisonCode, Option<Option<u32>>) {
    match parse(record, &PayloadSchema::Unneeded) {
        ParsedReply::Poison { poison, unknown } => {
            let attempt = unknown.map(|reply| {
                assert!(matches!(reply.answer, CommandAnswer::Unknown { retry: RetryAdvice::Park, .. }));
                reply.attempt
            });
            (poison.code, attempt)
        }
        ParsedReply::Reply(reply) => panic!("{reply:?}"),
    }
}

#[test]
fn the_body_of_a_success_is_the_result() {
    let record = reply(&[("saga_outcome", "succeeded"), ("saga_attempt", "3")], Some(br#"{"reservationId":"r1"}"#));
    assert_eq!(answered(&record), (Some(3), CommandAnswer::Succeeded { result: json!({"reservationId": "r1"}) }));
    for nothing in [None, Some(&b""[..])] {
        let record = reply(&[("saga_outcome", "succeeded")], nothing);
        assert_eq!(answered(&record), (None, CommandAnswer::Succeeded { result: Value::Null }));
    }
}

#[test]
fn the_digits_of_a_result_are_kept() {
    let text = r#"{"amount":12345678901234567.89,"id":25000000000000000001}"#;
    let (_, CommandAnswer::Succeeded { result }) =
        answered(&reply(&[("saga_outcome", "succeeded")], Some(text.as_bytes())))
    else {
        panic!("a success")
    };
    assert_eq!(result.to_string(), text);
}

#[test]
fn a_failure_says_what_and_whether_to_try_again() {
    let headers = [
        ("saga_outcome", "failed"),
        ("error_code", "sold_out"),
        ("error_message", "none left"),
        ("error_retryable", "True"),
    ];
    let expected = |code: &str, message: &str, class, retry| CommandAnswer::Failed {
        failure: CommandFailure::new(code, message).of_origin(FailureOrigin::REPLY).of_class(class),
        retry,
        retry_after: None,
    };
    let told = expected("sold_out", "none left", ErrorClass::Unknown, RetryAdvice::Yes);
    assert_eq!(answered(&reply(&headers, None)).1, told);
    let untold = expected("failed", "", ErrorClass::ClientError, RetryAdvice::No);
    assert_eq!(answered(&reply(&headers[..1], Some(b"ignored"))).1, untold);
}

#[test]
fn ongoing_starts_the_attempt_s_timeout_again() {
    let record = reply(&[("saga_outcome", "ongoing"), ("saga_attempt", "1")], None);
    assert_eq!(answered(&record), (Some(1), CommandAnswer::Ongoing { ask_after: None, location: None }));
}

#[test]
fn a_poison_reply_that_names_its_command_is_unknown_for_its_attempt() {
    const ATTEMPT: (&str, &str) = ("saga_attempt", "2");
    type Case = (&'static [(&'static str, &'static str)], Option<&'static [u8]>, PoisonCode);
    let cases: [Case; 6] = [
        (&[ATTEMPT], None, PoisonCode::Outcome),
        (&[ATTEMPT, ("saga_outcome", "maybe")], None, PoisonCode::Outcome),
        (&[ATTEMPT, ("saga_outcome", "succeeded")], Some(b"{"), PoisonCode::NotJson),
        (&[ATTEMPT, ("saga_outcome", "succeeded")], Some(br#""\u0000""#), PoisonCode::Nul),
        (&[ATTEMPT, ("saga_outcome", "failed"), ("error_code", "a\0b")], None, PoisonCode::Nul),
        (&[ATTEMPT, ("saga_outcome", "failed"), ("error_retryable", "often")], None, PoisonCode::Header),
    ];
    for (headers, value, code) in cases {
        assert_eq!(poisoned(&reply(headers, value)), (code, Some(Some(2))));
    }
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    assert_eq!(
        poisoned(&reply(&[ATTEMPT, ("saga_outcome", "succeeded")], Some(deep.as_bytes()))),
        (PoisonCode::Depth, Some(Some(2)))
    );
    let large = vec![b' '; payload::LARGEST_RECORD];
    assert_eq!(
        poisoned(&reply(&[ATTEMPT, ("saga_outcome", "succeeded")], Some(&large))),
        (PoisonCode::Oversize, Some(Some(2)))
    );
    assert_eq!(
        poisoned(&reply(&[("saga_attempt", "x"), ("saga_outcome", "succeeded")], None)),
        (PoisonCode::Header, Some(None))
    );
}

#[test]
fn a_reply_that_names_no_command_is_only_poison() {
    let saga = id().saga.to_string();
    let other = SagaId::new(Timestamp(1), ShardId(1), 1).to_string();
    for headers in [
        vec![("ce_correlationid", saga.as_str()), ("saga_outcome", "succeeded")],
        vec![("idempotency_key", "x:y:do"), ("saga_outcome", "succeeded")],
        vec![
            ("idempotency_key", &*id().to_string()),
            ("ce_correlationid", other.as_str()),
            ("saga_outcome", "succeeded"),
        ],
    ] {
        assert_eq!(poisoned(&record(&headers, None)), (PoisonCode::NoCommand, None));
    }
    let mut binary = reply(&[("saga_outcome", "succeeded")], None);
    let odd: RecordHeader = ("idempotency_key".into(), Some(Bytes::from_static(&[0xff])));
    binary.headers.push(odd);
    assert_eq!(poisoned(&binary), (PoisonCode::NoCommand, None));
}

#[test]
fn a_header_that_cannot_be_read_is_not_taken_for_absent() {
    let said = [("saga_outcome", "failed"), ("saga_attempt", "2")];
    let spoiled = |name: &str, value: Option<&'static [u8]>| {
        let mut spoiled = reply(&said, None);
        spoiled.headers.push((name.into(), value.map(Bytes::from_static)));
        poisoned(&spoiled)
    };
    let unreadable = (PoisonCode::Header, Some(Some(2)));
    assert_eq!(spoiled("saga_outcome", Some(b"succeeded")), unreadable, "two outcomes are none");
    for name in ["saga_outcome", "error_retryable", "error_code", "error_message", "ce_correlationid"] {
        assert_eq!(spoiled(name, Some(b"\xff")), unreadable, "{name}");
        assert_eq!(spoiled(name, None), unreadable, "{name}");
    }
    for value in [Some(&b"3"[..]), Some(b"\xff"), None] {
        assert_eq!(spoiled("saga_attempt", value), (PoisonCode::Header, Some(None)));
    }
    assert_eq!(spoiled("idempotency_key", Some(b"\xff")), (PoisonCode::NoCommand, None));
    assert_eq!(spoiled("idempotency_key", None), (PoisonCode::NoCommand, None));
    let twice = reply(&[said[0], said[0], said[1], said[1]], None);
    assert!(matches!(answered(&twice), (Some(2), CommandAnswer::Failed { .. })), "the same twice says one thing");
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let message = "ü".repeat(MESSAGE_BYTES);
    let record = reply(&[("saga_outcome", "failed"), ("error_message", &message)], None);
    let (_, CommandAnswer::Failed { failure, .. }) = answered(&record) else { panic!("a failure") };
    assert_eq!(failure.message.len(), MESSAGE_BYTES);
}

#[test]
fn a_result_in_avro_is_read_by_its_schema() {
    let schema = saga_schemas::avro::AvroSchema::parse("\"string\"").expect("a schema");
    let schema = PayloadSchema::Known(std::sync::Arc::new(crate::PayloadReader::new(&schema)));
    let framed = saga_schemas::framing::framed_by_id(42, &[4, b'o', b'k']);
    let succeeded = reply(&[("saga_outcome", "succeeded")], Some(&framed));
    assert!(schema_needed(&succeeded).is_some());
    let ParsedReply::Reply(reply_read) = parse(&succeeded, &schema) else { panic!("it can be read") };
    assert_eq!(reply_read.answer, CommandAnswer::Succeeded { result: "ok".into() });
    let failed = reply(&[("saga_outcome", "failed")], Some(&framed));
    assert_eq!(schema_needed(&failed), None, "the value of a failure is not read");
    assert!(matches!(parse(&failed, &PayloadSchema::Unneeded), ParsedReply::Reply(_)));
}
