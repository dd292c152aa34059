use super::*;
use bytes::Bytes;
use saga_core::{
    definition::{DefinitionLibrary, SourceFile, parse_stored},
    time::Timestamp,
};
use saga_wire::{PayloadReader, record::text_header};
use std::sync::Arc;

fn record(value: &[u8]) -> KafkaRecord {
    KafkaRecord {
        topic: "shop.orders".into(),
        partition: 3,
        offset: 14,
        timestamp: Timestamp(1_000),
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: vec![text_header("ce_type", "OrderPlaced")],
    }
}

fn definition(trigger: &str) -> SagaDefinition {
    let text = format!(
        "saga: order\ntrigger:\n  topic: shop.orders\n  type: OrderPlaced\n{trigger}\nsteps:\n  - step: rest\n    wait: 1s\n"
    );
    parse_stored(&text).expect("a definition")
}

fn fault(code: PoisonCode, value: &[u8], trigger: &str) -> String {
    let fault = LetterFault::find(code, &record(value), &PayloadSchema::Unneeded, Some(&definition(trigger)));
    fault.expect("a fault").text()
}

#[test]
fn the_path_that_is_missing_is_marked_and_what_is_there_instead_is_named() {
    let value = br#"{"customer": {"name": "Ada", "ident": 7}, "no": 3}"#;
    let told = fault(PoisonCode::Key, value, "  key: ${ string(event.no) + event.customer.id }");
    assert_eq!(
        told,
        "`key` of the trigger\n  \
           1 | string(event.no) + event.customer.id\n    \
             |                    ^^^^^^^^^^^^^^^^^\n  \
           event.no           3\n  \
           event.customer.id  is not there: event.customer has ident, name; did you mean `ident`?"
    );
}

#[test]
fn a_value_that_is_no_key_is_shown_beside_its_part_of_the_key() {
    let told = fault(PoisonCode::Key, br#"{"a": "1", "b": null}"#, "  key: [\"${event.a}\", \"${event.b}\"]");
    assert!(told.starts_with("`key[1]` of the trigger\n  1 | event.b\n"), "{told}");
    assert!(told.ends_with("event.b  null"), "{told}");
}

#[test]
fn a_branch_that_is_not_taken_is_not_blamed() {
    let when = "  when: 'has(event.a) ? event.a > 1 : event.b > 1'\n  key: ${event.c}";
    let told = fault(PoisonCode::When, br#"{"c": "1"}"#, when);
    let (marked, shown) = (told.lines().nth(2).unwrap_or_default(), told.lines().last().unwrap_or_default());
    assert!(marked.trim_start_matches([' ', '|']).starts_with("^^^^^^^") && shown.contains("event.b"), "{told}");
    assert!(!told.contains("\n  event.a"), "{told}");
}

#[test]
fn what_a_schema_refuses_is_shown_at_its_pointer() {
    let saga = "saga: order\ntrigger: {topic: shop.orders, type: OrderPlaced, key: \"${ event.id }\"}\n\
                steps:\n  - step: rest\n    wait: 1s\n";
    let price = r#"{"properties": {"price": {"type": "number"}}}"#;
    let properties = format!(r#"{{"id": {{"type": "string"}}, "items": {{"type": "array", "items": {price}}}}}"#);
    let schema =
        format!(r#"{{"title": "OrderPlaced", "type": "object", "required": ["id"], "properties": {properties}}}"#);
    let (sagas, schemas) =
        (SourceFile::new("order.saga.yaml", saga), SourceFile::new("OrderPlaced.schema.json", schema));
    let library = DefinitionLibrary::read(&[sagas], None, &[schemas], &|_| None);
    let definition = library.definitions.first().unwrap_or_else(|| panic!("{:?}", library.findings));
    let record = record(br#"{"id": "1", "items": [{"price": "12,50"}]}"#);
    let fault = LetterFault::find(PoisonCode::Schema, &record, &PayloadSchema::Unneeded, Some(definition));
    let told = fault.expect("a fault").text();
    assert!(told.starts_with("event.items[0].price: it is not of type \"number\""), "{told}");
    assert!(told.ends_with("\n  /items/0/price: \"12,50\""), "{told}");
}

#[test]
fn json_is_marked_where_it_stops_being_json() {
    let told = fault(PoisonCode::NotJson, b"{\n  \"id\": 7,\n  \"total\": 1.2.3\n}", "  key: ${event.id}");
    assert!(told.starts_with("line 3, column ") && told.contains("3 |   \"total\": 1.2.3\n"), "{told}");
}

#[test]
fn avro_is_marked_at_the_byte() {
    let schema = saga_schemas::avro::AvroSchema::parse(
        r#"{"type": "record", "name": "A", "fields": [{"name": "flag", "type": "boolean"}]}"#,
    );
    let reader = PayloadReader::new(&schema.expect("a schema"));
    let schema = PayloadSchema::Known(Arc::new(reader));
    let record = record(&[0, 0, 0, 0, 7, 9]);
    let told = LetterFault::of_content(&record, &schema).expect("a fault").text();
    assert!(told.starts_with("flag, byte 5 of the value: expected a boolean, 00 or 01, found 09\n"), "{told}");
    assert!(told.ends_with(&format!("{}^^", " ".repeat(2 + 8 + 15))), "{told}");
}

#[test]
fn what_is_no_fault_of_the_content_has_no_place_in_it() {
    let single_object = record(&[0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 2]);
    for code in [PoisonCode::UnknownSchema, PoisonCode::WrongFormat, PoisonCode::Oversize] {
        assert_eq!(LetterFault::find(code, &single_object, &PayloadSchema::Unneeded, None), None, "{code}");
    }
}
