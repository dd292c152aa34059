use super::*;
use crate::kafka::record::{Header, text_header};
use bytes::Bytes;
use saga_core::{
    definition::{PolicyOverrides, Trigger as TriggerDefinition},
    expression::{Expression, Template},
    time::Timestamp,
};
use serde_json::json;

/// A definition that wants `event_type` (all, if empty) of shop.orders.
fn definition(name: &str, event_type: &str, when: &str, key: &str) -> Arc<Definition> {
    Arc::new(Definition {
        name: name.into(),
        description: None,
        hash: "ab12".into(),
        text: String::new(),
        trigger: TriggerDefinition {
            topic: "shop.orders".into(),
            event_type: (!event_type.is_empty()).then(|| event_type.to_owned()),
            when: (!when.is_empty()).then(|| Expression::compile(when).expect("an expression")),
            key: Template::text(key).expect("a template"),
            from: None,
            keep_keys: None,
        },
        timeout: None,
        steps: Vec::new(),
        output: None,
        on_completed: None,
        on_compensated: None,
        defaults: PolicyOverrides::default(),
    })
}

fn orders() -> Arc<Definition> {
    definition("order-fulfillment", "OrderPlaced", "event.amountCents > 0", "${ event.orderId }")
}

fn record(headers: Vec<Header>, value: Option<&[u8]>) -> Record {
    Record {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(Bytes::from_static(b"4711")),
        value: value.map(Bytes::copy_from_slice),
        headers,
    }
}

fn placed(value: &str) -> Record {
    record(vec![text_header("ce_type", "OrderPlaced")], Some(value.as_bytes()))
}

fn only(record: &Record, definition: Arc<Definition>) -> Disposition {
    let mut judged = judge(record, &[definition]);
    assert_eq!(judged.len(), 1);
    judged.remove(0).disposition
}

fn code(disposition: Disposition) -> PoisonCode {
    match disposition {
        Disposition::Poison(poison) => poison.code,
        Disposition::Start(_) | Disposition::Unwanted => panic!("{disposition:?}"),
    }
}

#[test]
fn a_wanted_record_starts_a_saga_under_its_business_key() {
    let mut record = placed(r#"{"orderId":"4711","amountCents":4200}"#);
    record.headers.push(text_header("traceparent", "00-a-b-01"));
    record.headers.push(("binary".into(), Some(Bytes::from_static(&[0xff]))));
    let Disposition::Start(start) = only(&record, orders()) else { panic!("a start") };
    assert_eq!((start.key.as_str(), start.traceparent.as_deref()), ("4711", Some("00-a-b-01")));
    assert_eq!(start.trigger.event, json!({"orderId": "4711", "amountCents": 4200}));
    assert_eq!((start.trigger.topic.as_str(), start.trigger.partition, start.trigger.offset), ("shop.orders", 3, 14));
    assert_eq!(start.trigger.key.as_deref(), Some("4711"));
    assert_eq!(start.trigger.headers.keys().collect::<Vec<_>>(), ["ce_type", "traceparent"]);
}

#[test]
fn a_type_that_nobody_wants_is_finished_without_being_decoded() {
    let other = record(vec![text_header("ce_type", "OrderShipped")], Some(b"not json"));
    assert_eq!(only(&other, orders()), Disposition::Unwanted);
    let large = record(vec![text_header("ce_type", "OrderShipped")], Some(&vec![b'x'; LARGEST_RECORD]));
    assert_eq!(only(&large, orders()), Disposition::Unwanted);
}

#[test]
fn a_record_of_another_topic_concerns_nobody() {
    let elsewhere = Record { topic: "shop.returns".into(), ..placed("{}") };
    assert_eq!(judge(&elsewhere, &[orders()]), []);
}

#[test]
fn without_a_type_it_is_poison_only_if_every_trigger_names_one() {
    let untyped = record(vec![], Some(br#"{"orderId":"4711","amountCents":1}"#));
    let judged = judge(&untyped, &[orders(), orders()]);
    assert_eq!((judged.len(), judged[0].definition), (1, None));
    assert_eq!(code(judged[0].disposition.clone()), PoisonCode::NoType);
    let judged = judge(&untyped, &[orders(), definition("audit", "", "", "${ event.orderId }")]);
    assert_eq!(judged[0].disposition, Disposition::Unwanted);
    assert!(matches!(judged[1].disposition, Disposition::Start(_)));
}

#[test]
fn a_tombstone_without_a_type_is_unwanted_and_with_one_has_the_content_null() {
    let tombstone = record(vec![], None);
    assert_eq!(only(&tombstone, orders()), Disposition::Unwanted);
    assert_eq!(only(&tombstone, definition("audit", "", "", "${ record.key }")), Disposition::Unwanted);
    let cancelled = record(vec![text_header("ce_type", "OrderCancelled")], None);
    let Disposition::Start(start) = only(&cancelled, definition("undo", "OrderCancelled", "", "${ record.key }"))
    else {
        panic!("a start")
    };
    assert_eq!((start.key.as_str(), &start.trigger.event), ("4711", &Value::Null));
}

#[test]
fn the_order_of_faults_is_size_content_when_key() {
    assert_eq!(code(only(&placed(&" ".repeat(LARGEST_RECORD)), orders())), PoisonCode::Oversize);
    assert_eq!(code(only(&placed("{"), orders())), PoisonCode::NotJson);
    assert_eq!(code(only(&placed(r#"{"orderId":"\u0000"}"#), orders())), PoisonCode::Nul);
    assert_eq!(code(only(&placed(r#"{"orderId":"4711"}"#), orders())), PoisonCode::When);
    assert_eq!(only(&placed(r#"{"amountCents":0}"#), orders()), Disposition::Unwanted);
    assert_eq!(code(only(&placed(r#"{"amountCents":1}"#), orders())), PoisonCode::Key);
}

#[test]
fn a_key_is_a_string_an_integer_or_a_boolean_of_1_to_256_bytes() {
    let keyed = |id: Value| only(&placed(&json!({"orderId": id, "amountCents": 1}).to_string()), orders());
    for (id, key) in
        [(json!(4711), "4711"), (json!(-1), "-1"), (json!(true), "true"), (json!("ü".repeat(128)), &*"ü".repeat(128))]
    {
        let Disposition::Start(start) = keyed(id) else { panic!("a start") };
        assert_eq!(start.key, key);
    }
    for id in [json!(null), json!(1.5), json!([1]), json!({}), json!(""), json!("x".repeat(257))] {
        assert_eq!(code(keyed(id)), PoisonCode::Key);
    }
}

#[test]
fn a_key_of_digits_is_those_digits() {
    let keyed = |id: &str| only(&placed(&format!(r#"{{"orderId":{id},"amountCents":1}}"#)), orders());
    for id in ["25000000000000000001", "25000000000000000002", "-123456789012345678901234567890", "0"] {
        let Disposition::Start(start) = keyed(id) else { panic!("a start") };
        assert_eq!(start.key, id);
        assert_eq!(start.trigger.event["orderId"].to_string(), id);
    }
    for id in ["1.0", "1e3", "1e400", "-0", "4711.00"] {
        assert_eq!(code(keyed(id)), PoisonCode::Key, "{id}");
    }
}

#[test]
fn what_is_nested_too_deeply_says_so() {
    let data = |levels: usize| {
        format!(r#"{{"orderId":"1","amountCents":1,"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1))
    };
    let headers = vec![text_header("content-type", "application/cloudevents+json")];
    let structured = |levels| {
        let event = format!(r#"{{"type":"OrderPlaced","data":{}}}"#, data(levels));
        only(&record(headers.clone(), Some(event.as_bytes())), orders())
    };
    assert!(matches!(only(&placed(&data(64)), orders()), Disposition::Start(_)));
    assert!(matches!(structured(64), Disposition::Start(_)));
    for levels in [65, 121, 127, 1_000] {
        assert_eq!(code(only(&placed(&data(levels)), orders())), PoisonCode::Depth);
        assert_eq!(code(structured(levels)), PoisonCode::Depth);
    }
}

#[test]
fn a_definition_that_fails_does_not_hinder_the_others() {
    let broken = definition("broken", "OrderPlaced", "event.nothing.at.all", "${ event.orderId }");
    let judged = judge(&placed(r#"{"orderId":"4711","amountCents":1}"#), &[broken, orders()]);
    assert_eq!(code(judged[0].disposition.clone()), PoisonCode::When);
    assert!(matches!(judged[1].disposition, Disposition::Start(_)));
}

#[test]
fn a_structured_cloudevent_is_judged_by_its_envelope_and_read_by_its_data() {
    let headers = vec![text_header("content-type", "application/cloudevents+json")];
    let event = json!({"type": "OrderPlaced", "data": {"orderId": "4711", "amountCents": 1}}).to_string();
    let Disposition::Start(start) = only(&record(headers.clone(), Some(event.as_bytes())), orders()) else {
        panic!("a start")
    };
    assert_eq!(start.trigger.event["orderId"], "4711");
    assert_eq!(code(only(&record(headers, Some(b"{")), orders())), PoisonCode::NoType);
}

#[test]
fn a_forwarded_trigger_is_judged_for_its_definition_alone() {
    let record = placed(r#"{"orderId":"4711","amountCents":1}"#);
    assert_eq!(judge_for(&record, &orders()), only(&record, orders()));
}

#[test]
fn a_type_that_cannot_be_read_is_poison_to_whoever_wants_a_type() {
    let ty = |bytes: Option<&'static [u8]>| ("ce_type".to_owned(), bytes.map(Bytes::from_static));
    let value = Some(&br#"{"orderId": "1", "amountCents": 1}"#[..]);
    let untyped = definition("all", "", "", "${ event.orderId }");
    for headers in [vec![ty(Some(b"\xff"))], vec![ty(None)], vec![ty(Some(b"OrderPlaced")), ty(Some(b"OrderPaid"))]] {
        let record = record(headers, value);
        let Disposition::Poison(poison) = only(&record, orders()) else { panic!("{record:?}") };
        assert_eq!(poison.code, PoisonCode::Header);
        let judged = judge(&record, &[orders(), Arc::clone(&untyped)]);
        assert!(matches!(&judged[0].disposition, Disposition::Poison(poison) if poison.code == PoisonCode::Header));
        assert!(matches!(judged[1].disposition, Disposition::Start(_)), "it does not look at the type");
    }
    let twice = record(vec![ty(Some(b"OrderPlaced")), ty(Some(b"OrderPlaced"))], value);
    assert!(matches!(only(&twice, orders()), Disposition::Start(_)));
}

#[test]
fn an_envelope_that_cannot_be_told_is_poison() {
    let check = |content_type: &'static [u8], body: &'static [u8]| {
        let headers = vec![
            ("ce_type".to_owned(), Some(Bytes::from_static(b"OrderPlaced"))),
            ("content-type".to_owned(), Some(Bytes::from_static(content_type))),
        ];
        let disposition = only(&record(headers, Some(body)), orders());
        assert!(matches!(disposition, Disposition::Poison(_)), "{disposition:?}");
    };
    check(b"application/\xff", br#"{"orderId": "1", "amountCents": 1}"#);
    check(b"application/cloudevents+json", br#"{"type": 7, "data": {"orderId": "1", "amountCents": 1}}"#);
    check(
        b"application/cloudevents+json",
        br#"{"type": "OrderPlaced", "data": {"orderId": "1", "amountCents": 1}, "data_base64": "e30="}"#,
    );
}
