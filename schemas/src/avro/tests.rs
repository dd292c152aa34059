use super::*;

/// From Avro's own test data, share/test/data/schema-tests.txt.
#[test]
fn fingerprints_are_those_of_the_specification() {
    let of = |text: &str| AvroSchema::parse(text).expect("a schema").fingerprint().cast_signed();
    assert_eq!(of("\"null\""), 7_195_948_357_588_979_594);
    assert_eq!(of("{\"name\":\"foo\",\"type\":\"fixed\",\"size\":15}"), 1_756_455_273_707_447_556);
    let recursive = r#"{"type": "record", "name": "PigValue", "doc": "not in the form",
        "fields": [{"name": "value", "type": ["null", "int", "long", "PigValue"]}]}"#;
    assert_eq!(of(recursive), -1_759_257_747_318_642_341);
}

/// Logical types, defaults, docs and aliases are no part of it.
#[test]
fn the_canonical_form_is_that_of_the_specification() {
    let text = r#"{"type": "record", "name": "R", "namespace": "a", "doc": "x", "aliases": ["Q"], "fields": [
        {"name": "day", "type": {"type": "int", "logicalType": "date"}, "default": 1, "order": "ignore"},
        {"name": "size", "type": {"type": "fixed", "name": "F", "size": 8, "logicalType": "decimal", "precision": 9}},
        {"name": "all", "type": {"type": "map", "values": ["null", "F", {"type": "array", "items": "R"}]}}]}"#;
    let expected = r#"{"name":"a.R","type":"record","fields":[{"name":"day","type":"int"},{"name":"size","type":{"name":"a.F","type":"fixed","size":8}},{"name":"all","type":{"type":"map","values":["null","a.F",{"type":"array","items":"a.R"}]}}]}"#;
    assert_eq!(AvroSchema::parse(text).expect("a schema").canonical_form(), expected);
}

#[test]
fn a_schema_knows_the_types_that_its_references_define() {
    let money = r#"{"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}"#;
    let order = r#"{"type": "record", "name": "shop.Order", "fields": [
        {"name": "total", "type": "shop.Money"}, {"name": "paid", "type": "Money"}]}"#;
    let schema = AvroSchema::parse_with(order, &[money.to_owned()]).expect("a schema with a reference");
    assert_eq!(schema.name(), Some("shop.Order"));
    let whole = AvroSchema::parse(schema.canonical_form()).expect("the canonical form stands for itself");
    assert_eq!(whole.fingerprint(), schema.fingerprint());
    assert!(AvroSchema::parse(order).is_err(), "the reference is needed");
}

#[test]
fn a_bad_schema_says_why() {
    let told = |text: &str| AvroSchema::parse(text).expect_err("bad").to_string();
    assert!(told("{").contains("not an Avro schema"));
    assert!(told(&" ".repeat(MAX_SCHEMA_BYTES + 1)).contains("at most 1048576 are read"));
    let default = r#"{"type": "record", "name": "A", "fields": [{"name": "n", "type": "int", "default": "x"}]}"#;
    assert!(told(default).contains('n'), "{}", told(default));
}

#[test]
fn defaults_that_bring_themselves_in_end() {
    let endless = r#"{"type": "record", "name": "A", "fields": [{"name": "a", "type": "A", "default": {}}]}"#;
    assert!(AvroSchema::parse(endless).is_err());
}

/// A chain of schemas, each of which refers to the next.
fn chain(length: usize) -> Result<AvroSchema, AvroSchemaError> {
    let link = |at: usize| {
        format!(r#"{{"type": "record", "name": "L{at}", "fields": [{{"name": "next", "type": "L{}"}}]}}"#, at + 1)
    };
    let last = format!(r#"{{"type": "record", "name": "L{length}", "fields": []}}"#);
    let references: Vec<String> = (1..length).map(link).chain([last]).collect();
    AvroSchema::parse_with(&link(0), &references)
}

#[test]
fn schemas_that_name_each_other_in_a_long_chain_do_not_exhaust_the_stack() {
    chain(170).expect("three levels each, 512 together");
    assert_eq!(chain(171).expect_err("too deep"), AvroSchemaError::TooDeep { found: 515 });
    let nested =
        |levels: usize| format!("{}\"int\"{}", r#"{"type": "array", "items": "#.repeat(levels), "}".repeat(levels));
    assert!(AvroSchema::parse(&nested(100)).is_ok());
    assert!(AvroSchema::parse(&nested(500)).is_err(), "the JSON of one text nests at most 127 levels deep");
}

#[test]
fn the_shipped_schemas_are_read() {
    for (file, text) in crate::DOMAIN_EVENTS {
        AvroSchema::parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}
