//! Against a real registry, at the address in `SAGA_TEST_REGISTRY` (Apicurio: `http://127.0.0.1:8080/apis/ccompat/v7`).
//! Without it these tests say so and pass.

use saga_registry::{RegistryCredentials, RegistryError, RegistrySettings, SchemaKey, SchemaReference, SchemaRegistry};
use saga_schemas::{avro::AvroSchema, decode::AvroDecoder, encode::encode, evolution::CompatibilityRule};
use serde_json::json;
use uuid::Uuid;

fn registry() -> Option<SchemaRegistry> {
    let Ok(address) = std::env::var("SAGA_TEST_REGISTRY") else {
        eprintln!("NOT TESTED: SAGA_TEST_REGISTRY names no schema registry");
        return None;
    };
    let settings = RegistrySettings::new(&[&address], RegistryCredentials::None).expect("an address");
    Some(SchemaRegistry::open(&settings).expect("a client"))
}

/// A subject that no other test has.
fn subject(name: &str) -> String {
    format!("{name}-{}-value", Uuid::new_v4())
}

#[tokio::test]
async fn what_is_registered_is_found() {
    let Some(registry) = registry() else { return };
    let subject = subject("orders");
    let text = saga_schemas::DOMAIN_EVENTS[0].1;
    registry.ping().await.expect("the registry answers");
    let id = registry.register(&subject, text, &[]).await.expect("registered");
    assert_eq!(registry.register(&subject, text, &[]).await, Ok(id), "twice is once");
    assert_eq!(registry.look_up(&subject, text, &[]).await, Ok(id));
    let latest = registry.version(&subject, None).await.expect("the latest version");
    let schema = registry.schema(SchemaKey::Id(id)).await.expect("the schema");
    assert_eq!((latest.id, latest.version, &latest.schema), (id, 1, &schema));
    assert_eq!(schema, AvroSchema::parse(text).expect("a schema"));
    assert_eq!(registry.versions(&subject).await, Ok(vec![1]));
}

#[tokio::test]
async fn what_is_not_there_is_unknown() {
    let Some(registry) = registry() else { return };
    let unknown = |error: RegistryError| matches!(error, RegistryError::Unknown { .. });
    assert!(unknown(registry.schema(SchemaKey::Id(2_000_000_000)).await.expect_err("no such id")));
    assert!(unknown(registry.versions(&subject("none")).await.expect_err("no such subject")));
    let text = saga_schemas::DOMAIN_EVENTS[0].1;
    assert!(unknown(registry.look_up(&subject("none"), text, &[]).await.expect_err("no such subject")));
}

#[tokio::test]
async fn a_schema_is_read_with_its_references() {
    let Some(registry) = registry() else { return };
    let space = format!("t{}", Uuid::new_v4().simple());
    let (money_subject, order_subject) = (subject("money"), subject("orders"));
    let money = format!(
        r#"{{"type": "record", "name": "Money", "namespace": "{space}", "fields": [{{"name": "cents", "type": "long"}}]}}"#
    );
    let order = format!(
        r#"{{"type": "record", "name": "Order", "namespace": "{space}", "fields": [{{"name": "sum", "type": "{space}.Money"}}]}}"#
    );
    registry.register(&money_subject, &money, &[]).await.expect("money is registered");
    let reference = SchemaReference { name: format!("{space}.Money"), subject: money_subject, version: 1 };
    let id = registry.register(&order_subject, &order, &[reference]).await.expect("the order is registered");
    let schema = registry.schema(SchemaKey::Id(id)).await.expect("the schema");
    let value = json!({"sum": {"cents": 250}});
    let bytes = encode(&schema, &value).expect("it fits");
    assert_eq!(AvroDecoder::new(&schema).decode(&bytes), Ok(value));
}

#[tokio::test]
async fn a_schema_that_breaks_the_rule_is_refused() {
    let Some(registry) = registry() else { return };
    let subject = subject("rules");
    let of =
        |kind: &str| format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "a", "type": "{kind}"}}]}}"#);
    registry.register(&subject, &of("long"), &[]).await.expect("registered");
    let rule = registry.rule(&subject).await.expect("a rule");
    let answer = registry.compatible(&subject, &of("boolean"), &[]).await.expect("an answer");
    assert_eq!(answer.is_compatible, rule == CompatibilityRule::None, "{rule:?} {answer:?}");
    let registered = registry.register(&subject, &of("boolean"), &[]).await;
    assert_eq!(registered.is_ok(), rule == CompatibilityRule::None, "{registered:?}");
    let refused = registry.register(&subject, "{", &[]).await.expect_err("no schema");
    assert!(matches!(refused, RegistryError::Refused { .. }), "{refused}");
}
