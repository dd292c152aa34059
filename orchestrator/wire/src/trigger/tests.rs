use super::*;
use crate::record::{RecordHeader, text_header};
use bytes::Bytes;
use saga_core::{
    definition::{BusinessKeyTemplate, HeaderReads, PolicyOverrides, SchemaCatalog, SensitivePaths, TriggerDefinition},
    expression::{CelExpression, ValueTemplate},
    time::Timestamp,
};
use serde_json::json;

/// A definition that wants `event_type` (all, if empty) of shop.orders.
fn definition(name: &str, event_type: &str, when: &str, key: &str) -> Arc<SagaDefinition> {
    Arc::new(SagaDefinition {
        name: name.into(),
        description: None,
        hash: "ab12".into(),
        text: String::new(),
        trigger: TriggerDefinition {
            topic: "shop.orders".into(),
            event_type: (!event_type.is_empty()).then(|| event_type.to_owned()),
            when: (!when.is_empty()).then(|| CelExpression::compile(when).expect("an expression")),
            key: BusinessKeyTemplate::One(ValueTemplate::text(key).expect("a template")),
            from: None,
            replayed: ReplayedRecords::Ignored,
            keep_keys: None,
            headers: HeaderReads::default(),
            schema: None,
        },
        timeout: None,
        steps: Vec::new(),
        output: None,
        tags: Vec::new(),
        sensitive: SensitivePaths::default(),
        on_completed: None,
        on_compensated: None,
        retention: None,
        defaults: PolicyOverrides::default(),
    })
}

fn orders() -> Arc<SagaDefinition> {
    definition("order-fulfillment", "OrderPlaced", "event.amountCents > 0", "${ event.orderId }")
}

/// The same, held to a JSON Schema.
fn held(definition: &SagaDefinition, schema: &str) -> Arc<SagaDefinition> {
    let schemas = SchemaCatalog::parse([("OrderPlaced.schema.json", schema)]).expect("a schema");
    let mut held = definition.clone();
    held.trigger.schema = schemas.json("OrderPlaced").cloned();
    Arc::new(held)
}

#[test]
fn an_event_that_is_not_what_its_schema_asks_for_starts_nothing() {
    let schema = r#"{"required": ["orderId", "amountCents"], "properties": {"amountCents": {"type": "integer"}}}"#;
    let orders = held(&orders(), schema);
    assert!(matches!(
        only(&placed(r#"{"orderId": "1", "amountCents": 5}"#), Arc::clone(&orders)),
        TriggerOutcome::Start(_)
    ));
    let bad = placed(r#"{"orderId": "1", "amountCents": "1000"}"#);
    let TriggerOutcome::Poison(poison) = only(&bad, Arc::clone(&orders)) else { panic!("it is poison") };
    assert_eq!(poison.code, PoisonCode::Schema);
    assert_eq!(poison.message, "event.amountCents: it is not of type \"integer\" (it is a string)");
    assert_eq!(
        only(&placed(r#"{"amountCents": 0}"#), orders),
        TriggerOutcome::Unwanted,
        "what is not wanted is not held to it"
    );
}

fn record(headers: Vec<RecordHeader>, value: Option<&[u8]>) -> KafkaRecord {
    KafkaRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(1_700_000_000_000),
        key: Some(Bytes::from_static(b"4711")),
        value: value.map(Bytes::copy_from_slice),
        headers,
    }
}

fn placed(value: &str) -> KafkaRecord {
    record(vec![text_header("ce_type", "OrderPlaced")], Some(value.as_bytes()))
}

fn only(record: &KafkaRecord, definition: Arc<SagaDefinition>) -> TriggerOutcome {
    let mut evaluations = evaluate(record, &PayloadSchema::Unneeded, &[definition]);
    assert_eq!(evaluations.len(), 1);
    evaluations.remove(0).disposition
}

fn code(disposition: TriggerOutcome) -> PoisonCode {
    match disposition {
        TriggerOutcome::Poison(poison) => poison.code,
        TriggerOutcome::Start(_) | TriggerOutcome::Unwanted | TriggerOutcome::Replayed => panic!("{disposition:?}"),
    }
}

#[test]
fn a_wanted_record_starts_a_saga_under_its_business_key() {
    let mut record = placed(r#"{"orderId":"4711","amountCents":4200}"#);
    record.headers.push(text_header("traceparent", "00-a-b-01"));
    record.headers.push(("binary".into(), Some(Bytes::from_static(&[0xff]))));
    let TriggerOutcome::Start(start) = only(&record, orders()) else { panic!("a start") };
    assert_eq!((start.key.as_str(), start.traceparent.as_deref()), ("4711", Some("00-a-b-01")));
    assert_eq!(start.trigger.event, json!({"orderId": "4711", "amountCents": 4200}));
    assert_eq!((start.trigger.topic.as_str(), start.trigger.partition, start.trigger.offset), ("shop.orders", 3, 14));
    assert_eq!(start.trigger.key.as_deref(), Some("4711"));
    assert_eq!(start.trigger.headers.keys().collect::<Vec<_>>(), ["ce_type", "traceparent"]);
}

#[test]
fn a_type_that_nobody_wants_is_finished_without_being_decoded() {
    let other = record(vec![text_header("ce_type", "OrderShipped")], Some(b"not json"));
    assert_eq!(only(&other, orders()), TriggerOutcome::Unwanted);
    let large = record(vec![text_header("ce_type", "OrderShipped")], Some(&vec![b'x'; LARGEST_RECORD]));
    assert_eq!(only(&large, orders()), TriggerOutcome::Unwanted);
}

#[test]
fn a_record_of_another_topic_concerns_nobody() {
    let elsewhere = KafkaRecord { topic: "shop.returns".into(), ..placed("{}") };
    assert_eq!(evaluate(&elsewhere, &PayloadSchema::Unneeded, &[orders()]), []);
}

#[test]
fn without_a_type_it_is_poison_only_if_every_trigger_names_one() {
    let untyped = record(vec![], Some(br#"{"orderId":"4711","amountCents":1}"#));
    let evaluations = evaluate(&untyped, &PayloadSchema::Unneeded, &[orders(), orders()]);
    assert_eq!((evaluations.len(), evaluations[0].definition), (1, None));
    assert_eq!(code(evaluations[0].disposition.clone()), PoisonCode::NoType);
    let evaluations =
        evaluate(&untyped, &PayloadSchema::Unneeded, &[orders(), definition("audit", "", "", "${ event.orderId }")]);
    assert_eq!(evaluations[0].disposition, TriggerOutcome::Unwanted);
    assert!(matches!(evaluations[1].disposition, TriggerOutcome::Start(_)));
}

#[test]
fn a_tombstone_without_a_type_is_unwanted_and_with_one_has_the_content_null() {
    let tombstone = record(vec![], None);
    assert_eq!(only(&tombstone, orders()), TriggerOutcome::Unwanted);
    assert_eq!(only(&tombstone, definition("audit", "", "", "${ record.key }")), TriggerOutcome::Unwanted);
    let cancelled = record(vec![text_header("ce_type", "OrderCancelled")], None);
    let TriggerOutcome::Start(start) = only(&cancelled, definition("undo", "OrderCancelled", "", "${ record.key }"))
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
    assert_eq!(only(&placed(r#"{"amountCents":0}"#), orders()), TriggerOutcome::Unwanted);
    assert_eq!(code(only(&placed(r#"{"amountCents":1}"#), orders())), PoisonCode::Key);
}

#[test]
fn a_key_is_a_string_an_integer_or_a_boolean_of_1_to_256_bytes() {
    let keyed = |id: Value| only(&placed(&json!({"orderId": id, "amountCents": 1}).to_string()), orders());
    for (id, key) in
        [(json!(4711), "4711"), (json!(-1), "-1"), (json!(true), "true"), (json!("ü".repeat(128)), &*"ü".repeat(128))]
    {
        let TriggerOutcome::Start(start) = keyed(id) else { panic!("a start") };
        assert_eq!(start.key, key);
    }
    for id in [json!(null), json!(1.5), json!([1]), json!({}), json!(""), json!("x".repeat(257))] {
        assert_eq!(code(keyed(id)), PoisonCode::Key);
    }
}

/// A definition whose key has these parts.
fn of_parts(parts: &[&str]) -> Arc<SagaDefinition> {
    let mut definition = Arc::unwrap_or_clone(definition("tenants", "OrderPlaced", "", "x"));
    let parts = parts.iter().map(|part| ValueTemplate::text(part).expect("a template"));
    definition.trigger.key = BusinessKeyTemplate::Parts(parts.collect());
    Arc::new(definition)
}

#[test]
fn what_a_dead_letter_proposes_for_a_key_passes_the_check_and_starts_nothing() {
    for key in [
        "event.kind",
        "event.a.b",
        "event['a b']",
        "event.lines[0].sku",
        "record.headers.tenant",
        "record.headers['x-tenant']",
    ] {
        let event = placed(r#"{"a": {}, "lines": [{}]}"#);
        let said = message(only(&event, definition("orders", "OrderPlaced", "", &format!("${{ {key} }}"))));
        let when = said.split('`').find_map(|part| part.strip_prefix("when: ")).unwrap_or_else(|| panic!("{said}"));
        let text = format!(
            "saga: orders\ntrigger:\n  topic: shop.orders\n  type: OrderPlaced\n  when: \"{when}\"\n  key: \"${{ {key} }}\"\nsteps: [{{step: rest, wait: 1s}}]\n"
        );
        let parsed = saga_core::definition::parse("orders.saga.yaml", &text, None, None);
        let parsed = parsed.unwrap_or_else(|findings| panic!("{said}: {findings:?}"));
        assert!(parsed.warnings.is_empty(), "{said}: {:?}", parsed.warnings);
        assert_eq!(only(&event, Arc::new(parsed.definition)), TriggerOutcome::Unwanted, "{said}");
    }
}

#[test]
fn a_key_of_parts_is_that_of_no_other_parts() {
    let keyed = |tenant: Value, id: Value| {
        only(
            &placed(&json!({"tenant": tenant, "id": id}).to_string()),
            of_parts(&["${ event.tenant }", "${ event.id }"]),
        )
    };
    for (tenant, id, key) in [
        (json!("acme"), json!(7), "acme/7"),
        (json!("acme"), json!("7"), "acme/7"),
        (json!("acme/eu"), json!("7"), "acme~1eu/7"),
        (json!("acme"), json!("eu/7"), "acme/eu~17"),
        (json!("~1"), json!(true), "~01/true"),
    ] {
        let TriggerOutcome::Start(start) = keyed(tenant, id) else { panic!("a start") };
        assert_eq!(start.key, key);
    }
    let whole = "ü".repeat(128);
    for (tenant, id, why) in [
        (json!(null), json!(7), "`key[0]` is null"),
        (json!("acme"), json!(1.5), "`key[1]` is 1.5, which is not written as an integer"),
        (json!("acme"), json!(""), "`key[1]` has 0 bytes"),
        (json!("acme"), json!(["a"]), "`key[1]` is a list"),
        (json!(whole), json!(7), "`key` has 258 bytes, expected 1 to 256"),
    ] {
        let TriggerOutcome::Poison(poison) = keyed(tenant, id) else { panic!("poison: {why}") };
        assert_eq!(poison.code, PoisonCode::Key);
        assert!(poison.message.contains(why), "{}", poison.message);
    }
}

#[test]
fn a_key_of_digits_is_those_digits() {
    let keyed = |id: &str| only(&placed(&format!(r#"{{"orderId":{id},"amountCents":1}}"#)), orders());
    for id in ["25000000000000000001", "25000000000000000002", "-123456789012345678901234567890", "0"] {
        let TriggerOutcome::Start(start) = keyed(id) else { panic!("a start") };
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
    assert!(matches!(only(&placed(&data(64)), orders()), TriggerOutcome::Start(_)));
    assert!(matches!(structured(64), TriggerOutcome::Start(_)));
    for levels in [65, 121, 127, 1_000] {
        assert_eq!(code(only(&placed(&data(levels)), orders())), PoisonCode::Depth);
        assert_eq!(code(structured(levels)), PoisonCode::Depth);
    }
}

#[test]
fn a_definition_that_fails_does_not_hinder_the_others() {
    let broken = definition("broken", "OrderPlaced", "event.nothing.at.all", "${ event.orderId }");
    let evaluations =
        evaluate(&placed(r#"{"orderId":"4711","amountCents":1}"#), &PayloadSchema::Unneeded, &[broken, orders()]);
    assert_eq!(code(evaluations[0].disposition.clone()), PoisonCode::When);
    assert!(matches!(evaluations[1].disposition, TriggerOutcome::Start(_)));
}

#[test]
fn a_structured_cloudevent_is_judged_by_its_envelope_and_read_by_its_data() {
    let headers = vec![text_header("content-type", "application/cloudevents+json")];
    let event = json!({"type": "OrderPlaced", "data": {"orderId": "4711", "amountCents": 1}}).to_string();
    let TriggerOutcome::Start(start) = only(&record(headers.clone(), Some(event.as_bytes())), orders()) else {
        panic!("a start")
    };
    assert_eq!(start.trigger.event["orderId"], "4711");
    assert_eq!(code(only(&record(headers, Some(b"{")), orders())), PoisonCode::NoType);
}

#[test]
fn a_forwarded_trigger_is_judged_for_its_definition_alone() {
    let record = placed(r#"{"orderId":"4711","amountCents":1}"#);
    assert_eq!(evaluate_one(&record, &PayloadSchema::Unneeded, &orders()), only(&record, orders()));
}

#[test]
fn a_type_that_cannot_be_read_is_poison_to_whoever_wants_a_type() {
    let ty = |bytes: Option<&'static [u8]>| ("ce_type".to_owned(), bytes.map(Bytes::from_static));
    let value = Some(&br#"{"orderId": "1", "amountCents": 1}"#[..]);
    let untyped = definition("all", "", "", "${ event.orderId }");
    for headers in [vec![ty(Some(b"\xff"))], vec![ty(None)], vec![ty(Some(b"OrderPlaced")), ty(Some(b"OrderPaid"))]] {
        let record = record(headers, value);
        let TriggerOutcome::Poison(poison) = only(&record, orders()) else { panic!("{record:?}") };
        assert_eq!(poison.code, PoisonCode::Header);
        let evaluations = evaluate(&record, &PayloadSchema::Unneeded, &[orders(), Arc::clone(&untyped)]);
        assert!(
            matches!(&evaluations[0].disposition, TriggerOutcome::Poison(poison) if poison.code == PoisonCode::Header)
        );
        assert!(matches!(evaluations[1].disposition, TriggerOutcome::Start(_)), "it does not look at the type");
    }
    let twice = record(vec![ty(Some(b"OrderPlaced")), ty(Some(b"OrderPlaced"))], value);
    assert!(matches!(only(&twice, orders()), TriggerOutcome::Start(_)));
}

#[test]
fn an_envelope_that_cannot_be_told_is_poison() {
    let check = |content_type: &'static [u8], body: &'static [u8]| {
        let headers = vec![
            ("ce_type".to_owned(), Some(Bytes::from_static(b"OrderPlaced"))),
            ("content-type".to_owned(), Some(Bytes::from_static(content_type))),
        ];
        let disposition = only(&record(headers, Some(body)), orders());
        assert!(matches!(disposition, TriggerOutcome::Poison(_)), "{disposition:?}");
    };
    check(b"application/\xff", br#"{"orderId": "1", "amountCents": 1}"#);
    check(b"application/cloudevents+json", br#"{"type": 7, "data": {"orderId": "1", "amountCents": 1}}"#);
    check(
        b"application/cloudevents+json",
        br#"{"type": "OrderPlaced", "data": {"orderId": "1", "amountCents": 1}, "data_base64": "e30="}"#,
    );
}

fn message(disposition: TriggerOutcome) -> String {
    match disposition {
        TriggerOutcome::Poison(poison) => poison.to_string(),
        other => panic!("expected poison, found {other:?}"),
    }
}

#[test]
fn what_is_no_json_says_what_it_is() {
    let check = |value: &[u8], words: &str| {
        let record = record(vec![text_header("ce_type", "OrderPlaced")], Some(value));
        let said = message(only(&record, orders()));
        assert!(said.starts_with("not_json: ") && said.contains(words), "{said}");
    };
    check(&[&[3, 0][..], &[7; 16], b"payload"].concat(), "Glue schema registry");
    check(b"\xff\xfe{\0}\0", "text in UTF-16");
    check(b"\x1f\x8b\x08\0", "compressed with gzip");
    check(b"Obj\x01\x04\x14", "a file of Avro");
    check(b"\xac\xed\0\x05sr", "an object that Java serialised");
    check(b"<order id='1'/>", "it is XML");
    check(b"", "it is empty");
    check(b"orderId=1&amountCents=2", "where `orderId=1&amountCents=2` stands");
    check(b"{\"orderId\":1,}", "where `}` stands");
}

#[test]
fn a_byte_order_mark_before_json_says_nothing() {
    let value = [b"\xef\xbb\xbf", &br#"{"orderId":"4711","amountCents":1}"#[..]].concat();
    let record = record(vec![text_header("ce_type", "OrderPlaced")], Some(&value));
    assert!(matches!(only(&record, orders()), TriggerOutcome::Start(_)));
}

#[test]
fn what_is_another_event_than_expected_says_so() {
    let check = |value: &str, words: &str| {
        let said = message(only(&placed(value), orders()));
        assert!(said.contains(words), "{said}");
    };
    check(r#""{\"orderId\":1}""#, "the event is JSON in a string: the producer writes it as JSON twice");
    check(r#""\"{\\\"orderId\\\":1}\"""#, "the event is JSON in a string: the producer writes it as JSON 3 times");
    check(r#""\"a text\"""#, "the event is a string");
    check(r#"[{"specversion":"1.0","type":"OrderPlaced"}]"#, "the event is a batch of CloudEvents");
    check("[1]", "the event is a list");
    check(r#"{"specversion":"1.0","type":"OrderPlaced","data":{}}"#, "a structured CloudEvent without the header");
    check(r#"{"schema":{},"payload":{}}"#, "in the envelope of Kafka Connect");
    check(r#"{"op":"c","source":{},"ts_ms":1,"after":{}}"#, "a change event of Debezium");
    check(r#"{"orderId":1,"amountCents":2,"orderId":3}"#, "repeated_name: the name `orderId` occurs twice");
}

#[test]
fn a_batch_of_cloudevents_has_a_code_of_its_own() {
    let headers = vec![text_header("content-type", "application/cloudevents-batch+json; charset=utf-8")];
    let batch = record(headers, Some(br#"[{"specversion":"1.0","type":"OrderPlaced","data":{}}]"#));
    assert_eq!(code(only(&batch, orders())), PoisonCode::Batch);
}

#[test]
fn a_record_without_a_type_says_where_its_type_may_be() {
    let check = |headers: Vec<RecordHeader>, value: &[u8], words: &str| {
        let said = message(only(&record(headers, Some(value)), orders()));
        assert!(said.starts_with("no_type: ") && said.contains(words), "{said}");
    };
    check(vec![text_header("__TypeId__", "shop.OrderPlaced")], b"{}", "the header __TypeId__ is not read");
    check(vec![text_header("CE_Type", "OrderPlaced")], b"{}", "the header CE_Type is not read: call it ce_type");
    check(vec![], b"<order/>", "its value is XML");
    check(vec![], br#"[{"specversion":"1.0","type":"OrderPlaced"}]"#, "its value is a batch of CloudEvents");
}

#[test]
fn a_record_without_a_timestamp_has_none() {
    let definition = definition("a", "", "record.timestamp == null", "${ event.id }");
    let without = KafkaRecord { timestamp: Timestamp(-1), ..record(vec![], Some(br#"{"id":1}"#)) };
    assert!(matches!(only(&without, Arc::clone(&definition)), TriggerOutcome::Start(_)));
    assert_eq!(only(&record(vec![], Some(br#"{"id":1}"#)), definition), TriggerOutcome::Unwanted);
}

#[test]
fn a_saga_keeps_of_the_headers_what_is_read_and_what_tells_where_the_record_belongs() {
    let kept = |reads: HeaderReads| {
        let mut definition = Arc::unwrap_or_clone(definition("a", "", "", "${ record.headers.tenant }"));
        definition.trigger.headers = reads;
        let headers = ["authorization", "ce_id", "customer", "tenant", "traceparent"];
        let headers = headers.map(|name| text_header(name, "x")).to_vec();
        match only(&record(headers, Some(b"{}")), Arc::new(definition)) {
            TriggerOutcome::Start(start) => start.trigger.headers.into_keys().collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kept(HeaderReads::default()), "ce_id traceparent");
    assert_eq!(kept(HeaderReads::Named(["tenant".to_owned()].into())), "ce_id tenant traceparent");
    assert_eq!(kept(HeaderReads::Any), "ce_id customer tenant traceparent");
}

/// The same, which takes records that are published once more.
fn accepting(definition: &SagaDefinition) -> Arc<SagaDefinition> {
    let mut accepting = definition.clone();
    accepting.name = "accepting".into();
    accepting.trigger.replayed = ReplayedRecords::Accepted;
    Arc::new(accepting)
}

#[test]
fn a_record_that_is_published_once_more_starts_a_saga_only_where_that_is_accepted() {
    let mut marked = placed(r#"{"orderId":"4711","amountCents":5}"#);
    marked.headers.push(text_header("ce_replay", "run-1"));
    assert_eq!(only(&marked, orders()), TriggerOutcome::Replayed);
    let both = [orders(), accepting(&orders())];
    let evaluations = evaluate(&marked, &PayloadSchema::Unneeded, &both);
    let of = |at| evaluations.iter().find(|it| it.definition == Some(at)).map(|it| &it.disposition);
    assert_eq!((evaluations.len(), of(0)), (2, Some(&TriggerOutcome::Replayed)));
    assert!(matches!(of(1), Some(TriggerOutcome::Start(_))), "{evaluations:?}");
    assert_eq!(evaluate_one(&marked, &PayloadSchema::Unneeded, &orders()), TriggerOutcome::Replayed);
    assert!(matches!(evaluate_one(&marked, &PayloadSchema::Unneeded, &both[1]), TriggerOutcome::Start(_)));
}

#[test]
fn what_is_marked_is_not_looked_at_further() {
    let marked = |headers: Vec<RecordHeader>, value: &[u8]| {
        let mut headers = headers;
        headers.push(("ce_replay".into(), None));
        only(&record(headers, Some(value)), orders())
    };
    assert_eq!(marked(vec![text_header("ce_type", "OrderPlaced")], b"no JSON"), TriggerOutcome::Replayed);
    assert_eq!(marked(Vec::new(), b"{}"), TriggerOutcome::Replayed, "a record without a type is no poison then");
    let structured =
        r#"{"specversion":"1.0","type":"OrderPlaced","replay":"run-1","data":{"orderId":"1","amountCents":5}}"#;
    let headers = vec![text_header("content-type", "application/cloudevents+json")];
    assert_eq!(only(&record(headers, Some(structured.as_bytes())), orders()), TriggerOutcome::Replayed);
}

/// An order by its Avro schema, and the schema.
fn avro_order() -> (PayloadSchema, Vec<u8>) {
    let text = r#"{"type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [
        {"name": "orderId", "type": "string"}, {"name": "amountCents", "type": "long"}]}"#;
    let schema = saga_schemas::avro::AvroSchema::parse(text).expect("a schema");
    let order = saga_schemas::encode::encode(&schema, &json!({"orderId": "4711", "amountCents": i64::MAX}));
    let value = saga_schemas::framing::framed_by_id(42, &order.expect("it fits"));
    (PayloadSchema::Known(Arc::new(crate::PayloadReader::new(&schema))), value)
}

#[test]
fn an_avro_record_starts_a_saga_as_its_json_would() {
    let (schema, value) = avro_order();
    for (headers, wanted) in [
        (vec![], "OrderPlaced"),
        (vec![], "shop.OrderPlaced"),
        (vec![text_header("ce_type", "order.placed")], "order.placed"),
        (vec![], ""),
    ] {
        let record = record(headers, Some(&value));
        let orders = definition("orders", wanted, "event.amountCents > 0", "${ event.orderId }");
        assert!(schema_needed(&record, std::slice::from_ref(&orders)).is_some());
        let TriggerOutcome::Start(start) = evaluate_one(&record, &schema, &orders) else { panic!("{wanted}") };
        assert_eq!(start.trigger.event, json!({"orderId": "4711", "amountCents": i64::MAX}));
        let all = evaluate(&record, &schema, std::slice::from_ref(&orders));
        assert_eq!(all[0].disposition, TriggerOutcome::Start(start.clone()));
        let decoded = PayloadSchema::Decoded(start.trigger.event.clone());
        assert_eq!(evaluate_one(&record, &decoded, &orders), TriggerOutcome::Start(start), "forwarded");
    }
}

#[test]
fn the_header_ce_type_counts_more_than_the_name_of_an_avro_record() {
    let (schema, value) = avro_order();
    let record = record(vec![text_header("ce_type", "order.shipped")], Some(&value));
    assert_eq!(evaluate(&record, &schema, &[orders()])[0].disposition, TriggerOutcome::Unwanted);
    assert_eq!(schema_needed(&record, &[orders()]), None, "nobody has to ask for its schema");
    assert!(schema_needed(&record, &[definition("audit", "", "", "${ event.orderId }")]).is_some());
}

#[test]
fn without_its_schema_an_avro_record_is_poison_of_whoever_may_want_it() {
    let (_, value) = avro_order();
    let missing = PayloadSchema::Unreadable(PoisonDiagnosis::new(PoisonCode::UnknownSchema, "no such id"));
    let untyped = record(vec![], Some(&value));
    let all = evaluate(&untyped, &missing, &[orders()]);
    assert_eq!((all[0].definition, code(all[0].disposition.clone())), (None, PoisonCode::UnknownSchema));
    let typed = placed_as(&value);
    let all = evaluate(&typed, &missing, &[orders(), definition("returns", "OrderReturned", "", "1")]);
    assert_eq!(code(all[0].disposition.clone()), PoisonCode::UnknownSchema);
    assert_eq!(all[1].disposition, TriggerOutcome::Unwanted);
}

fn placed_as(value: &[u8]) -> KafkaRecord {
    record(vec![text_header("ce_type", "OrderPlaced")], Some(value))
}
