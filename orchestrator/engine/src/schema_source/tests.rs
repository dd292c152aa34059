use super::*;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
};
use saga_registry::{RegistryCredentials, RegistrySettings};
use saga_schemas::{DOMAIN_EVENTS, embedded::EmbeddedRegistry};
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

async fn answer(State(standing): State<watch::Receiver<RegistryState>>, uri: Uri) -> (StatusCode, String) {
    match *standing.borrow() {
        RegistryState::Down => return (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        RegistryState::Refusing => return (StatusCode::UNAUTHORIZED, r#"{"error_code": 401}"#.to_owned()),
        RegistryState::Up => {}
    }
    let answer = folder().answer("GET", &uri.to_string(), b"");
    (StatusCode::from_u16(answer.status).expect("a status"), answer.body.to_string())
}

/// A registry, the switch that makes it answer, and a source that asks it.
async fn registry(standing: RegistryState) -> (watch::Sender<RegistryState>, SchemaSource) {
    let (switch, standing) = watch::channel(standing);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    let app = Router::new().fallback(answer).with_state(standing);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = RegistrySettings::new(&[&address], RegistryCredentials::None).expect("an address");
    let client = SchemaRegistry::open(&settings).expect("a client");
    (switch, SchemaSource::new(LocalSchemas::default(), Some((address, client)), EngineClock::Wall))
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
    let source = SchemaSource::new(LocalSchemas::new(&folder()), None, EngineClock::Wall);
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    for name in [order_id(), PayloadSchemaName::Fingerprint(schema.fingerprint())] {
        assert!(source.is_at_hand(name) && matches!(source.find(name).await, PayloadSchema::Known(_)), "{name}");
    }
    for name in
        [PayloadSchemaName::Id(1), PayloadSchemaName::Fingerprint(1), PayloadSchemaName::Guid(uuid::Uuid::nil())]
    {
        assert!(source.is_at_hand(name), "{name}");
        assert_eq!(code(&source.find(name).await), PoisonCode::UnknownSchema, "{name}");
    }
}

#[tokio::test]
async fn a_schema_is_asked_for_once() {
    let (switch, source) = registry(RegistryState::Up).await;
    assert!(!source.is_at_hand(order_id()));
    assert!(matches!(source.find(order_id()).await, PayloadSchema::Known(_)));
    switch.send_replace(RegistryState::Down);
    assert!(source.is_at_hand(order_id()));
    assert!(matches!(source.find(order_id()).await, PayloadSchema::Known(_)));
    assert_eq!(source.outage(), None);
}

#[tokio::test]
async fn what_the_registry_does_not_know_is_no_outage() {
    let (_switch, source) = registry(RegistryState::Up).await;
    assert_eq!(code(&source.find(PayloadSchemaName::Id(1)).await), PoisonCode::UnknownSchema);
    assert_eq!(source.outage(), None);
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_waited_for() {
    for standing in [RegistryState::Down, RegistryState::Refusing] {
        let (switch, source) = registry(standing).await;
        let finding = tokio::spawn({
            let source = source.clone();
            async move { source.find(order_id()).await }
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
