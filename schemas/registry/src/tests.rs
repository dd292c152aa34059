use crate::{
    RegistryCredentials, RegistryError, RegistrySecret, RegistrySettings, SchemaKey, SchemaReference, SchemaRegistry,
    testing::{ReceivedRequest, TestServer},
};
use saga_schemas::{DOMAIN_EVENTS, avro::AvroSchema, embedded::EmbeddedRegistry, evolution::CompatibilityRule};
use serde_json::json;
use std::time::Duration;

fn settings(addresses: &[&str]) -> RegistrySettings {
    RegistrySettings::new(addresses, RegistryCredentials::None).expect("settings")
}

fn opened(addresses: &[&str]) -> SchemaRegistry {
    SchemaRegistry::open(&settings(addresses)).expect("a client")
}

/// A server that answers as the registry of a folder does.
async fn folder() -> (TestServer, EmbeddedRegistry) {
    let folder = EmbeddedRegistry::new(DOMAIN_EVENTS, [("shop.orders-value", "OrderPlaced")]).expect("a registry");
    let served = folder.clone();
    let server = TestServer::start(move |request: ReceivedRequest| {
        let answer = served.answer(&request.method, &request.path, &request.body);
        (answer.status, answer.body.to_string())
    });
    (server.await, folder)
}

fn order() -> AvroSchema {
    AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema")
}

#[tokio::test]
async fn a_schema_is_asked_for_once() {
    let (server, folder) = folder().await;
    let registry = opened(&[&server.address]);
    let key = SchemaKey::Id(folder.id_of(&order()).expect("it is there"));
    assert_eq!(registry.kept(key), None);
    let (one, two) = tokio::join!(registry.schema(key), registry.schema(key));
    assert_eq!((one, two), (Ok(order()), Ok(order())));
    assert_eq!(registry.schema(key).await, Ok(order()));
    assert_eq!(registry.kept(key), Some(order()));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn an_unknown_schema_is_not_asked_for_again_at_once() {
    let (server, _) = folder().await;
    let registry = opened(&[&server.address]);
    let unknown = Err(RegistryError::Unknown { what: "the schema with the id 7".to_owned() });
    assert_eq!(registry.schema(SchemaKey::Id(7)).await, unknown);
    assert_eq!(registry.schema(SchemaKey::Id(7)).await, unknown);
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn subjects_are_read_registered_and_compared() {
    let (server, folder) = folder().await;
    let registry = opened(&[&server.address]);
    let id = folder.id_of(&order()).expect("it is there");
    assert_eq!(registry.ping().await, Ok(()));
    assert_eq!(registry.versions("shop.orders-value").await, Ok(vec![1]));
    let latest = registry.version("shop.orders-value", None).await.expect("the latest");
    assert_eq!((latest.id, latest.version, latest.schema), (id, 1, order()));
    assert_eq!(registry.look_up("shop.orders-value", DOMAIN_EVENTS[0].1, &[]).await, Ok(id));
    assert_eq!(registry.register("shop.orders-value", DOMAIN_EVENTS[0].1, &[]).await, Ok(id));
    assert_eq!(registry.rule("shop.orders-value").await, Ok(CompatibilityRule::Backward));
    let refused = registry.register("shop.orders-value", "\"int\"", &[]).await.expect_err("it only reads");
    assert!(matches!(&refused, RegistryError::Refused { status: 422, .. }), "{refused}");
    let answer = registry.compatible("shop.orders-value", "\"int\"", &[]).await.expect("an answer");
    assert!(!answer.is_compatible && answer.messages.len() == 1, "{answer:?}");
    assert!(matches!(registry.versions("none").await, Err(RegistryError::Unknown { .. })));
}

#[tokio::test]
async fn another_address_is_asked_where_one_fails() {
    let (server, folder) = folder().await;
    let broken = TestServer::start(|_| (503, "{\"error_code\": 50301, \"message\": \"no leader\"}".to_owned())).await;
    let registry = opened(&["http://127.0.0.1:1", &broken.address, &server.address]);
    let key = SchemaKey::Id(folder.id_of(&order()).expect("it is there"));
    assert_eq!(registry.schema(key).await, Ok(order()));
    assert_eq!(registry.ping().await, Ok(()));
    assert_eq!((broken.asked(), server.asked()), (1, 2), "the one that answered is asked first");
}

#[tokio::test]
async fn an_outage_is_told_with_every_address_and_not_kept() {
    let broken = TestServer::start(|_| (500, "oops".to_owned())).await;
    let registry = opened(&["http://127.0.0.1:1", &broken.address]);
    let error = registry.schema(SchemaKey::Id(1)).await.expect_err("an outage");
    let told = error.to_string();
    assert!(error.is_transient() && told.contains("127.0.0.1:1/: ") && told.contains("it answers 500"), "{told}");
    registry.schema(SchemaKey::Id(1)).await.expect_err("an outage");
    assert_eq!(broken.asked(), 2);
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_outage() {
    let page = TestServer::start(|_| (200, "<html>log in</html>".to_owned())).await;
    let error = opened(&[&page.address]).schema(SchemaKey::Id(1)).await.expect_err("no JSON");
    assert!(error.is_transient() && error.to_string().contains("without JSON"), "{error}");
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = format!("http://{}", listener.local_addr().expect("it is bound"));
    let mut settings = settings(&[&silent]);
    settings.timeout = Duration::from_millis(50);
    let error = SchemaRegistry::open(&settings).expect("a client").ping().await.expect_err("silence");
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let server = TestServer::start(|request| match request.authorization.as_deref() {
        Some("Basic a2V5OnMzY3IzdA==" | "Bearer t0k3n") => (200, "[]".to_owned()),
        _ => (401, "{\"error_code\": 401, \"message\": \"who is s3cr3t?\"}".to_owned()),
    })
    .await;
    let basic = server.address.replace("http://", "http://key:s3cr3t@");
    assert_eq!(opened(&[&basic]).ping().await, Ok(()));
    let bearer = RegistryCredentials::Bearer(RegistrySecret::new("t0k3n"));
    let settings = RegistrySettings::new(&[&server.address], bearer).expect("settings");
    assert_eq!(SchemaRegistry::open(&settings).expect("a client").ping().await, Ok(()));
    let wrong = server.address.replace("http://", "http://key:s3cr3t2@");
    let error = opened(&[&wrong]).ping().await.expect_err("refused");
    assert!(matches!(error, RegistryError::Refused { status: 401, .. }) && !error.to_string().contains("s3cr3t"));
    let away = opened(&["http://key:s3cr3t@127.0.0.1:1"]);
    let error = away.ping().await.expect_err("nobody is there");
    assert!(!format!("{error} {error:?} {away:?}").contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn a_wrong_path_is_a_wrong_configuration() {
    let server = TestServer::start(|_| (404, "no such page".to_owned())).await;
    let error = opened(&[&server.address]).schema(SchemaKey::Id(1)).await.expect_err("a wrong path");
    assert!(error.to_string().contains("does the address lack a path"), "{error}");
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let server = TestServer::start(|_| (200, " ".repeat(10_000))).await;
    let mut settings = settings(&[&server.address]);
    settings.max_answer_bytes = 1_000;
    let registry = SchemaRegistry::open(&settings).expect("a client");
    let error = registry.schema(SchemaKey::Id(1)).await.expect_err("too large");
    assert!(matches!(&error, RegistryError::Unusable { .. }) && error.to_string().contains("1000 bytes"), "{error}");
}

/// Three schemas, the middle of which refers to itself in a circle of subjects.
fn referring(path: &str) -> (u16, String) {
    let of = |schema: &str, references: serde_json::Value| {
        (200, json!({"schema": schema, "id": 1, "version": 1, "references": references}).to_string())
    };
    let place = path.split('?').next().expect("a path");
    let money = json!([{"name": "shop.Money", "subject": "money", "version": 1}]);
    let line = json!([{"name": "shop.Line", "subject": "line", "version": 1}, money[0]]);
    match place {
        "/api/schemas/ids/1" => of(
            r#"{"type": "record", "name": "shop.Order", "fields": [{"name": "line", "type": "Line"}, {"name": "sum", "type": "shop.Money"}]}"#,
            line,
        ),
        "/api/subjects/line/versions/1" => {
            of(r#"{"type": "record", "name": "shop.Line", "fields": [{"name": "price", "type": "shop.Money"}]}"#, money)
        }
        "/api/subjects/money/versions/1" => of(
            r#"{"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}"#,
            json!([{"name": "shop.Money", "subject": "money", "version": 1}]),
        ),
        _ => (404, "{\"error_code\": 40403}".to_owned()),
    }
}

#[tokio::test]
async fn references_are_followed_each_once() {
    let server = TestServer::start(|request| referring(&request.path)).await;
    let registry = opened(&[&format!("{}/api/", server.address)]);
    let schema = registry.schema(SchemaKey::Id(1)).await.expect("a schema");
    assert_eq!(schema.name(), Some("shop.Order"));
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn what_is_no_avro_is_unusable() {
    let server = TestServer::start(|request| match request.path.as_str() {
        "/schemas/ids/1" => (200, json!({"schema": "{}", "schemaType": "JSON"}).to_string()),
        _ => (200, json!({"schema": "{"}).to_string()),
    })
    .await;
    let registry = opened(&[&server.address]);
    let told = |error: Result<AvroSchema, RegistryError>| error.expect_err("unusable").to_string();
    assert!(told(registry.schema(SchemaKey::Id(1)).await).contains("of the type JSON; expected AVRO"));
    assert!(told(registry.schema(SchemaKey::Id(2)).await).contains("not an Avro schema"));
}

#[test]
fn a_reference_is_written_as_registries_read_it() {
    let reference = SchemaReference { name: "a.B".to_owned(), subject: "s".to_owned(), version: 2 };
    assert_eq!(json!(reference), json!({"name": "a.B", "subject": "s", "version": 2}));
}
