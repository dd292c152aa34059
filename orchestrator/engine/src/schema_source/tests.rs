use super::*;
use crate::topic_formats::{AvroFormat, AvroFrame, SchemaRegistration, SubjectNaming, TopicFormat};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use saga_core::time::Timestamp;
use saga_registry::{RegistryCredentials, RegistrySettings};
use saga_schemas::{DOMAIN_EVENTS, embedded::EmbeddedRegistry, framing::RecordFraming};
use saga_wire::{OutgoingRecord, record::text_header};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How the registry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistryState {
    Down,
    Refusing,
    Up,
}

fn folder() -> EmbeddedRegistry {
    EmbeddedRegistry::new(DOMAIN_EVENTS, []).expect("the schemas that ship")
}

async fn answer(
    State(standing): State<watch::Receiver<RegistryState>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, String) {
    match *standing.borrow() {
        RegistryState::Down => return (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        RegistryState::Refusing => return (StatusCode::UNAUTHORIZED, r#"{"error_code": 401}"#.to_owned()),
        RegistryState::Up => {}
    }
    let answer = folder().answer(method.as_str(), &uri.to_string(), &body);
    (StatusCode::from_u16(answer.status).expect("a status"), answer.body.to_string())
}

/// A registry, the switch that makes it answer, and a source that asks it.
async fn registry(standing: RegistryState) -> (watch::Sender<RegistryState>, SchemaSource) {
    with_formats(standing, TopicFormats::default()).await
}

/// The same for topics that have formats. The folder has the schemas, too.
async fn with_formats(standing: RegistryState, formats: TopicFormats) -> (watch::Sender<RegistryState>, SchemaSource) {
    let (switch, standing) = watch::channel(standing);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let app = Router::new().fallback(answer).with_state(standing);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = RegistrySettings::new(&[&address], RegistryCredentials::None).expect("an address");
    let client = SchemaRegistry::open(&settings).expect("a client");
    (switch, SchemaSource::new(LocalSchemas::new(&folder()), Some((address, client)), formats, EngineClock::Wall))
}

async fn find(source: &SchemaSource, name: PayloadSchemaName) -> PayloadSchema {
    source.of_record(&record("t", b"\0"), Some(name)).await
}

fn record(topic: &str, value: &[u8]) -> KafkaRecord {
    KafkaRecord {
        topic: topic.into(),
        partition: 0,
        offset: 0,
        timestamp: Timestamp(0),
        key: None,
        value: Some(value.to_vec().into()),
        headers: Vec::new(),
    }
}

fn order_id() -> PayloadSchemaName {
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    PayloadSchemaName::Id(folder().id_of(&schema).expect("it is in the folder"))
}

fn code(schema: &PayloadSchema) -> PoisonCode {
    match schema {
        PayloadSchema::Unreadable(poison) => poison.code,
        PayloadSchema::Unneeded | PayloadSchema::Known(_) | PayloadSchema::Decoded(_) => panic!("{schema:?}"),
    }
}

#[tokio::test]
async fn without_a_registry_the_folder_gives_the_schemas() {
    let source = SchemaSource::new(LocalSchemas::new(&folder()), None, TopicFormats::default(), EngineClock::Wall);
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    for name in [order_id(), PayloadSchemaName::Fingerprint(schema.fingerprint())] {
        assert!(
            source.is_at_hand(&record("t", b"\0"), Some(name))
                && matches!(find(&source, name).await, PayloadSchema::Known(_)),
            "{name}"
        );
    }
    for name in
        [PayloadSchemaName::Id(1), PayloadSchemaName::Fingerprint(1), PayloadSchemaName::Guid(uuid::Uuid::nil())]
    {
        assert!(source.is_at_hand(&record("t", b"\0"), Some(name)), "{name}");
        assert_eq!(code(&find(&source, name).await), PoisonCode::UnknownSchema, "{name}");
    }
}

#[tokio::test]
async fn a_schema_is_asked_for_once() {
    let (switch, source) = registry(RegistryState::Up).await;
    assert!(!source.is_at_hand(&record("t", b"\0"), Some(order_id())));
    assert!(matches!(find(&source, order_id()).await, PayloadSchema::Known(_)));
    switch.send_replace(RegistryState::Down);
    assert!(source.is_at_hand(&record("t", b"\0"), Some(order_id())));
    assert!(matches!(find(&source, order_id()).await, PayloadSchema::Known(_)));
    assert_eq!(source.outage(), None);
}

#[tokio::test]
async fn a_person_waits_for_a_registry_to_an_end_and_once_for_many_records() {
    let (switch, source) = registry(RegistryState::Down).await;
    let asked = record("t", b"\0");
    let waits = tokio::time::timeout(Duration::from_millis(500), find(&source, order_id())).await;
    assert!(waits.is_err() && source.outage().is_some(), "a record waits");

    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let unanswered = source.of_record_soon(&asked, Some(order_id())).await.expect_err("no answer");
    let told = unanswered.to_string();
    assert!(told.starts_with("the schema registry has not answered within 10 s: ") && told.contains("503"), "{told}");
    assert!((SCHEMA_PATIENCE..SCHEMA_PATIENCE * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    let began = tokio::time::Instant::now();
    source.of_record_soon(&asked, Some(order_id())).await.expect_err("no answer");
    assert!(began.elapsed() < Duration::from_secs(1), "the next one does not wait again: {:?}", began.elapsed());

    tokio::time::resume();
    switch.send_replace(RegistryState::Up);
    assert!(matches!(find(&source, order_id()).await, PayloadSchema::Known(_)), "a record goes on");
    assert!(matches!(source.of_record_soon(&asked, Some(order_id())).await, Ok(PayloadSchema::Known(_))));
}

#[tokio::test]
async fn what_the_registry_does_not_know_is_no_outage() {
    let (_switch, source) = registry(RegistryState::Up).await;
    assert_eq!(code(&find(&source, PayloadSchemaName::Id(1)).await), PoisonCode::UnknownSchema);
    assert_eq!(source.outage(), None);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_waited_for() {
    for standing in [RegistryState::Down, RegistryState::Refusing] {
        let (switch, source) = registry(standing).await;
        let finding = tokio::spawn({
            let source = source.clone();
            async move { find(&source, order_id()).await }
        });
        while source.outage().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(!finding.is_finished());
        switch.send_replace(RegistryState::Up);
        assert!(matches!(finding.await.expect("it ends"), PayloadSchema::Known(_)));
        assert_eq!(source.outage(), None);
    }
}

fn formats(format: TopicFormat) -> TopicFormats {
    TopicFormats::new([("shop.orders".to_owned(), format)])
}

fn avro(avro: AvroFormat) -> TopicFormats {
    formats(TopicFormat::Avro(avro))
}

#[tokio::test]
async fn a_record_in_another_format_than_its_topic_has_is_poison() {
    let framed = b"\0\0\0\0\x01\x02";
    for (format, value) in [(TopicFormat::Json, &framed[..]), (TopicFormat::Avro(AvroFormat::default()), b"{}")] {
        let source = SchemaSource::new(LocalSchemas::default(), None, formats(format), EngineClock::Wall);
        for (topic, is_refused) in [("shop.orders", true), ("shop.refunds", false)] {
            let record = record(topic, value);
            let named = PayloadSchemaName::of(&record);
            assert!(source.is_at_hand(&record, named));
            let found = source.of_record(&record, named).await;
            let is_wrong = matches!(&found, PayloadSchema::Unreadable(it) if it.code == PoisonCode::WrongFormat);
            assert_eq!(is_wrong, is_refused, "{topic} {found:?}");
        }
    }
    let source = SchemaSource::new(LocalSchemas::default(), None, avro(AvroFormat::default()), EngineClock::Wall);
    let tombstone = KafkaRecord { value: None, ..record("shop.orders", b"") };
    assert!(matches!(source.of_record(&tombstone, None).await, PayloadSchema::Unneeded), "it has no format");
}

/// The folder's schema is older than the one that the producer has.
#[tokio::test]
async fn the_folder_gives_the_form_in_which_a_topic_is_read() {
    let newer = DOMAIN_EVENTS[0]
        .1
        .replace(r#""fields": ["#, r#""fields": [{"name": "channel", "type": "string", "default": "web"},"#);
    let newer = AvroSchema::parse(&newer).expect("a schema");
    let reader = Arc::new(PayloadReader::new(&newer));
    let source = SchemaSource::new(
        LocalSchemas::new(&folder()),
        None,
        avro(AvroFormat { reader: Some(ReaderSchema::Folder), ..AvroFormat::default() }),
        EngineClock::Wall,
    );
    let topic = Arc::from("shop.orders");
    let name = PayloadSchemaName::Fingerprint(newer.fingerprint());
    let resolved = source.in_form(&topic, name, Arc::clone(&reader), &ReaderSchema::Folder).await;
    let mut order = order();
    order["channel"] = json!("app");
    let bytes = saga_schemas::encode::encode(&newer, &order).expect("it fits");
    let read = |reader: &PayloadReader| reader.read(&bytes, 1_000).expect("it is read");
    assert_eq!(read(&reader)["channel"], "app");
    let seen = read(&resolved);
    assert_eq!((seen.get("channel"), &seen["orderId"]), (None, &json!("4711")));
    let again = source.in_form(&topic, name, reader, &ReaderSchema::Folder).await;
    assert!(Arc::ptr_eq(&resolved, &again), "it is made once");
}

fn order() -> Value {
    json!({"orderId": "4711", "customerId": "c-1", "amountCents": 1999, "digital": false, "address": null,
        "items": [{"sku": "book", "quantity": 1, "priceCents": 1999}]})
}

fn outgoing(value: &Value) -> OutgoingRecord {
    OutgoingRecord {
        topic: "shop.orders".into(),
        partition: None,
        key: None,
        value: Some(value.to_string().into()),
        headers: vec![text_header("ce_type", "OrderPlaced"), text_header("content-type", "application/json")],
    }
}

#[tokio::test]
async fn a_record_is_written_under_the_id_of_the_registry() {
    let of_record = AvroFormat { subject: SubjectNaming::Record, ..AvroFormat::default() };
    let register = AvroFormat { registration: SchemaRegistration::Requested, ..AvroFormat::default() };
    for format in [of_record, register] {
        let (switch, source) = with_formats(RegistryState::Up, avro(format)).await;
        let written = source.encoded(outgoing(&order())).await.expect("it is written");
        assert_eq!(written.header_text("content-type"), Some("application/avro"));
        let value = written.value.expect("a value");
        let Ok(RecordFraming::RegistryId { id, payload }) = RecordFraming::of(&value, None) else {
            panic!("{value:?}")
        };
        assert_eq!(PayloadSchemaName::Id(id), order_id());
        let reader = PayloadReader::new(folder().schema(id).expect("it is there"));
        assert_eq!(reader.read(payload, 1_000), Ok(order()));
        switch.send_replace(RegistryState::Down);
        source.encoded(outgoing(&order())).await.expect("the registry is asked once");
    }
}

#[tokio::test]
async fn single_object_encoding_needs_no_registry() {
    let format = AvroFormat { frame: AvroFrame::SingleObject, ..AvroFormat::default() };
    let source = SchemaSource::new(LocalSchemas::new(&folder()), None, avro(format), EngineClock::Wall);
    let written = source.encoded(outgoing(&order())).await.expect("it is written").value.expect("a value");
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    let framing = RecordFraming::of(&written, None);
    assert!(
        matches!(framing, Ok(RecordFraming::SingleObject { fingerprint, .. }) if fingerprint == schema.fingerprint())
    );
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_told_with_its_place() {
    let format = AvroFormat { registration: SchemaRegistration::Requested, ..AvroFormat::default() };
    let (_switch, source) = with_formats(RegistryState::Up, avro(format)).await;
    let mut wrong = order();
    wrong["items"][0]["quantity"] = json!("one");
    let Err(EncodeRefusal::Unfit(why)) = source.encoded(outgoing(&wrong)).await else { panic!("it does not fit") };
    assert!(why.contains("items[0].quantity") && why.contains("OrderPlaced"), "{why}");
}

#[tokio::test]
async fn a_schema_that_cannot_be_had_is_no_fault_of_the_record() {
    for (standing, told) in [(RegistryState::Up, "register: true"), (RegistryState::Down, "unavailable")] {
        let (_switch, source) = with_formats(standing, avro(AvroFormat::default())).await;
        let Err(EncodeRefusal::NoSchema(why)) = source.encoded(outgoing(&order())).await else {
            panic!("{standing:?}")
        };
        assert!(why.contains(told), "{why}");
        assert_eq!(source.outage().is_some(), standing == RegistryState::Down, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_together_is_refused_together_and_later_ones_ask_again() {
    let cell = writing::WriterCell::default();
    let asked = std::sync::atomic::AtomicU32::new(0);
    let make = || async {
        asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(EncodeRefusal::NoSchema("the registry is unavailable".to_owned()))
    };
    for expected in [1, 1] {
        assert!(cell.writer(make).await.is_err());
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), expected);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(cell.writer(make).await.is_err());
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 2);
}
