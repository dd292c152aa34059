use super::*;
use crate::DOMAIN_EVENTS;
use serde_json::{Value, json};

/// From fastavro: the lowest 31 bits of the fingerprint.
const ORDER_ID: u32 = 216_635_691;

fn registry() -> EmbeddedRegistry {
    let subjects = [("shop.orders-value", "OrderPlaced")];
    EmbeddedRegistry::new(DOMAIN_EVENTS, subjects).expect("the shipped schemas")
}

fn asked(method: &str, path: &str, body: &Value) -> (u16, Value) {
    let RegistryAnswer { status, body } = registry().answer(method, path, body.to_string().as_bytes());
    (status, body)
}

fn order() -> Value {
    json!({"schema": DOMAIN_EVENTS[0].1})
}

#[test]
fn a_schema_is_found_by_id_guid_and_subject() {
    let (status, version) = asked("GET", "/subjects/shop.orders-value/versions/latest", &Value::Null);
    assert_eq!((status, &version["version"]), (200, &json!(1)));
    let of_id = asked("GET", &format!("/schemas/ids/{}?fetchMaxId=false", version["id"]), &Value::Null);
    assert_eq!((of_id.0, &of_id.1["schema"]), (200, &json!(DOMAIN_EVENTS[0].1)));
    let guid = version["guid"].as_str().expect("a GUID");
    assert_eq!(asked("GET", &format!("/schemas/guids/{guid}"), &Value::Null), of_id);
    let subjects = asked("GET", &format!("/schemas/ids/{}/subjects", version["id"]), &Value::Null).1;
    assert_eq!(subjects, json!(["com.example.shop.OrderPlaced", "shop.orders-value"]));
    assert_eq!(asked("POST", "/subjects/shop.orders-value", &order()), (200, version));
}

/// Clients keep ids: another id for the same schema makes their records unreadable.
#[test]
fn ids_stay() {
    let schema = AvroSchema::parse(DOMAIN_EVENTS[0].1).expect("a schema");
    let alone = EmbeddedRegistry::new([DOMAIN_EVENTS[0]], []).expect("a registry");
    assert_eq!(alone.id_of(&schema), registry().id_of(&schema));
    assert_eq!(registry().id_of(&schema), Some(ORDER_ID));
    assert_eq!(registry().schema(ORDER_ID), Some(&schema));
}

#[test]
fn what_is_there_can_be_registered_and_nothing_else() {
    let (status, answer) = asked("POST", "/subjects/any%2Fname-value/versions", &order());
    assert_eq!((status, &answer["id"]), (200, &json!(ORDER_ID)));
    let (status, answer) = asked("POST", "/subjects/x/versions", &json!({"schema": "\"int\""}));
    assert_eq!((status, &answer["error_code"]), (422, &json!(42205)));
}

#[test]
fn errors_have_confluents_form() {
    let code = |method: &str, path: &str| {
        let (status, body) = asked(method, path, &json!({"schema": "{"}));
        (status, body["error_code"].as_u64().expect("a code"))
    };
    assert_eq!(code("GET", "/schemas/ids/7"), (404, 40_403));
    assert_eq!(code("GET", "/schemas/ids/x"), (404, 40_403));
    assert_eq!(code("GET", "/subjects/none/versions"), (404, 40_401));
    assert_eq!(code("GET", "/subjects/shop.orders-value/versions/2"), (404, 40_402));
    assert_eq!(code("GET", "/subjects/shop.orders-value/versions/zero"), (422, 42_202));
    assert_eq!(code("POST", "/subjects/shop.orders-value/versions"), (422, 42_201));
    assert_eq!(code("DELETE", "/subjects/shop.orders-value"), (404, 404));
}

#[test]
fn a_schema_is_compared_with_the_one_that_is_there() {
    let path = "/compatibility/subjects/shop.orders-value/versions/latest";
    assert_eq!(asked("POST", path, &order()).1["is_compatible"], json!(true));
    let fields = json!([{"name": "orderId", "type": "long"}]);
    let next = json!({"type": "record", "name": "OrderPlaced", "namespace": "com.example.shop", "fields": fields});
    let answer = asked("POST", path, &json!({"schema": next.to_string()})).1;
    assert_eq!(answer["is_compatible"], json!(false));
    assert_eq!(answer["messages"][0], json!("orderId (backward, type_changed): string is written, long is read"));
}

#[test]
fn a_bad_folder_says_what_is_wrong() {
    let told = |files: &[(&str, &str)], subjects: &[(&str, &str)]| {
        let made = EmbeddedRegistry::new(files.iter().copied(), subjects.iter().copied());
        made.expect_err("bad").to_string()
    };
    assert!(told(&[("a.avsc", "{")], &[]).starts_with("a.avsc: not an Avro schema"));
    assert!(told(&[], &[("t-value", "Order")]).contains("t-value is to have the schema Order, which is in no file"));
}
