use super::*;
use saga_core::{command::CommandDirection, id::ShardId};
use serde_json::json;

fn incoming(headers: Vec<RecordHeader>, value: Option<&str>) -> KafkaRecord {
    KafkaRecord {
        topic: "shop.orders".into(),
        partition: 0,
        offset: 7,
        timestamp: Timestamp(0),
        key: None,
        value: value.map(|text| Bytes::from(text.to_owned())),
        headers,
    }
}

fn structured_record(value: &str) -> KafkaRecord {
    incoming(vec![text_header("content-type", "Application/CloudEvents+JSON; charset=utf-8")], Some(value))
}

/// The participant finds the do by the id that it knows; the reply goes to the saga that asks.
#[test]
fn an_undo_of_what_another_saga_did_names_both_sagas() {
    let (first, second) = (SagaId::new(Timestamp(1), ShardId(7), 1), SagaId::new(Timestamp(2), ShardId(7), 2));
    let id = CommandId { saga: first, step: "reserve".into(), direction: CommandDirection::Undo };
    let outgoing = command(
        &"inventory.commands".into(),
        &CommandRecord {
            saga: second,
            id: &id,
            command: "ReleaseStock",
            body: &json!({}),
            saga_name: "order-fulfillment",
            attempt: 1,
            reply_topic: "saga.replies",
            causation: "3.1",
            traceparent: None,
            at: Timestamp(3),
        },
    );
    let header = |name: &str| {
        let found = outgoing.headers.iter().find(|(found, _)| found == name);
        found.and_then(|(_, value)| String::from_utf8(value.as_deref()?.to_vec()).ok())
    };
    assert_eq!(header("idempotency_key"), Some(format!("{first}:reserve:undo")));
    assert_eq!(header("ce_correlationid"), Some(second.to_string()));
    assert_eq!(outgoing.key.as_deref(), Some(first.to_string().as_bytes()), "in the order of the do");
}

#[test]
fn a_command_says_everything_a_participant_may_need() {
    let saga = SagaId::new(Timestamp(1_700_000_000_000), ShardId(7), 42);
    let id = CommandId { saga, step: "reserve".into(), direction: CommandDirection::Undo };
    let outgoing = command(
        &"inventory.commands".into(),
        &CommandRecord {
            saga,
            id: &id,
            command: "ReleaseStock",
            body: &json!({"b": 1, "a": [null]}),
            saga_name: "order-fulfillment",
            attempt: 2,
            reply_topic: "saga.replies",
            causation: "3.1",
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            at: Timestamp(1_700_000_000_123),
        },
    );
    let shown: Vec<String> = outgoing
        .headers
        .iter()
        .map(|(name, value)| {
            format!("{name}={}", std::str::from_utf8(value.as_deref().unwrap_or_default()).expect("text"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "ce_specversion=1.0",
            &format!("ce_id={saga}:reserve:undo"),
            "ce_source=/sagas/order-fulfillment",
            "ce_type=ReleaseStock",
            "ce_time=2023-11-14T22:13:20.123Z",
            &format!("ce_correlationid={saga}"),
            "ce_causationid=3.1",
            "content-type=application/json",
            "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "saga_name=order-fulfillment",
            "saga_step=reserve",
            "saga_direction=undo",
            "saga_attempt=2",
            &format!("idempotency_key={saga}:reserve:undo"),
            "reply_topic=saga.replies",
        ]
    );
    assert_eq!(outgoing.key.as_deref(), Some(saga.to_string().as_bytes()));
    assert_eq!(outgoing.value.as_deref(), Some(&br#"{"a":[null],"b":1}"#[..]));
}

#[test]
fn every_try_of_an_outcome_event_has_the_same_bytes() {
    let saga = SagaId::new(Timestamp(1_700_000_000_000), ShardId(7), 42);
    let body = json!({"status": "completed"});
    let id = format!("{saga}:outcome");
    let record = PublishedRecord {
        id: &id,
        event_type: "OrderFulfilled",
        key: "4711",
        body: &body,
        saga,
        saga_name: "order-fulfillment",
        causation: "6.0",
        traceparent: None,
        at: Timestamp(1_700_000_000_123),
    };
    let first = published(&"shop.orders".into(), &record);
    assert_eq!(first, published(&"shop.orders".into(), &record));
    assert_eq!(first.key.as_deref(), Some(&b"4711"[..]));
    assert_eq!(first.header_text("ce_id"), Some(&*format!("{saga}:outcome")));
}

#[test]
fn an_event_of_a_journal_is_named_by_its_saga_and_place() {
    let whole = JournalEventRecord {
        saga: "one",
        saga_name: Some("order"),
        event: "4.1",
        word: "stepSucceeded",
        body: &json!({"version": 4}),
        traceparent: None,
        at: Some("2023-11-14T22:13:20.123Z"),
    };
    let record = journal_event(&"saga.events".into(), &whole);
    let header = |name: &str| record.header_text(name);
    assert_eq!((header("ce_id"), header("ce_type")), (Some("one:4.1"), Some("saga.stepSucceeded")));
    assert_eq!((header("ce_source"), header("ce_time")), (Some("/sagas/order"), whole.at));
    assert_eq!((header("ce_causationid"), header("saga_name")), (Some("4.1"), Some("order")));
    assert_eq!(record.key.as_deref(), Some(&b"one"[..]));
    let gone = JournalEventRecord { saga_name: None, word: "gone", at: None, ..whole };
    let record = journal_event(&"saga.events".into(), &gone);
    let header = |name: &str| record.header_text(name);
    assert_eq!((header("ce_source"), header("ce_time"), header("saga_name")), (Some("/sagas"), None, None));
}

#[test]
fn the_type_comes_from_the_header_else_from_the_envelope() {
    let binary = incoming(vec![text_header("ce_type", "OrderPlaced")], Some("{"));
    assert_eq!(IncomingEvent::of(&binary, &PayloadSchema::Unneeded).event_type(), Some("OrderPlaced"));
    let structured = structured_record(r#"{"type":"OrderPlaced","data":{"orderId":"4711"},"traceparent":"00-a"}"#);
    let found = IncomingEvent::of(&structured, &PayloadSchema::Unneeded);
    assert_eq!((found.event_type(), found.traceparent()), (Some("OrderPlaced"), Some("00-a")));
    assert_eq!(found.decode(), Ok(json!({"orderId": "4711"})));
    assert_eq!(IncomingEvent::of(&incoming(vec![], Some("{}")), &PayloadSchema::Unneeded).event_type(), None);
}

#[test]
fn data_may_be_encoded_or_absent() {
    let encoded = base64::engine::general_purpose::STANDARD.encode(r#"{"a":1}"#);
    let record = structured_record(&json!({"type": "T", "data_base64": encoded}).to_string());
    assert_eq!(IncomingEvent::of(&record, &PayloadSchema::Unneeded).decode(), Ok(json!({"a": 1})));
    assert_eq!(
        IncomingEvent::of(&structured_record(r#"{"type":"T"}"#), &PayloadSchema::Unneeded).decode(),
        Ok(Value::Null)
    );
    let broken = structured_record(r#"{"type":"T","data_base64":"?"}"#);
    assert_eq!(
        IncomingEvent::of(&broken, &PayloadSchema::Unneeded).decode().expect_err("poison").code,
        PoisonCode::NotJson
    );
}

#[test]
fn a_broken_envelope_has_no_type_and_says_why() {
    let record = structured_record("[1]");
    let found = IncomingEvent::of(&record, &PayloadSchema::Unneeded);
    assert_eq!((found.event_type(), found.broken().map(|poison| poison.code)), (None, Some(PoisonCode::NotJson)));
}
