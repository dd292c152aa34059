use super::*;
use serde_json::json;

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> AvroSchema {
    schema(&format!("{{\"type\": \"record\", \"name\": \"shop.Order\", \"fields\": [{fields}]}}"))
}

/// What breaks if a reader with `next` reads what was written by `last`.
fn backward(next: &AvroSchema, last: &AvroSchema) -> Vec<String> {
    let found = avro_breaks(CompatibilityRule::Backward, next, std::slice::from_ref(last));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn every_break_is_named_with_its_place() {
    let last = record(
        r#"{"name": "id", "type": "long"}, {"name": "total", "type": "double"}, {"name": "note", "type": "string"},
           {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "PAID", "GONE"]}},
           {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 16}},
           {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
           {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
           {"name": "by", "type": ["null", "string", "long"]},
           {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": []}}}"#,
    );
    let next = record(
        r#"{"name": "id", "type": "int"}, {"name": "total", "type": "boolean"}, {"name": "channel", "type": "string"},
           {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN"]}},
           {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 32}},
           {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}},
           {"name": "at", "type": "long"}, {"name": "by", "type": ["null", "string"]},
           {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
                {"name": "sku", "type": "string"}]}}}"#,
    );
    let expected = [
        "channel (backward, field_missing): shop.Order is written without `channel`, and its reader has no default for it: give the field a default",
        "id (backward, type_narrowed): long is written, int is read",
        "total (backward, type_changed): double is written, boolean is read",
        "state (backward, symbol_missing): `PAID` is written, and is no symbol of shop.State: keep it, or give shop.State a default",
        "state (backward, symbol_missing): `GONE` is written, and is no symbol of shop.State: keep it, or give shop.State a default",
        "hash (backward, fixed_size): 16 bytes are written, 32 are read: keep the size",
        "price (backward, decimal_changed): decimal(9, 2) is written, decimal(9, 3) is read",
        "at (backward, form_changed): timestamp-millis is written, long is read: the bytes are the same, an expression sees another form",
        "by (backward, branch_missing): long is written, and [null, string] has no branch that reads it: keep the branch",
        "items[0] (backward, name_changed): the record shop.Item is written, shop.Line is read: keep the name, or add the alias `shop.Item`",
        "items[0].sku (backward, field_missing): shop.Item is written without `sku`, and its reader has no default for it: give the field a default",
    ];
    assert_eq!(backward(&next, &last), expected);
}

#[test]
fn what_avro_promotes_is_no_break() {
    for (written, wanted) in [
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    ] {
        let of = |kind: &str| schema(&format!("\"{kind}\""));
        let found = avro_breaks(CompatibilityRule::Backward, &of(wanted), &[of(written)]);
        assert!(found.iter().all(|it| it.weight == BreakWeight::Warning), "{written} to {wanted}: {found:?}");
    }
}

#[test]
fn an_alias_or_a_default_heals() {
    let last = record(
        r#"{"name": "total", "type": "int"}, {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["A", "B"]}}"#,
    );
    let next = schema(
        r#"{"type": "record", "name": "shop.Purchase", "aliases": ["shop.Order"], "fields": [
            {"name": "sum", "type": "long", "aliases": ["total"]}, {"name": "note", "type": "string", "default": ""},
            {"name": "state", "type": {"type": "enum", "name": "S", "symbols": ["A"], "default": "A"}}]}"#,
    );
    assert_eq!(backward(&next, &last), Vec::<String>::new());
}

#[test]
fn a_rule_says_which_earlier_ones_count_and_who_reads() {
    let versions = [record(r#"{"name": "a", "type": "long"}"#), record(""), record(r#"{"name": "b", "type": "int"}"#)];
    let next = record(r#"{"name": "a", "type": "int", "default": 0}"#);
    let found = |rule| {
        let found = avro_breaks(rule, &next, &versions);
        found.iter().map(|it| (it.direction.as_str(), it.against, it.path.to_string())).collect::<Vec<_>>()
    };
    let narrowed = || ("backward", 0, "a".to_owned());
    let missing = || ("forward", 2, "b".to_owned());
    assert_eq!(found(CompatibilityRule::None), []);
    assert_eq!(found(CompatibilityRule::Backward), []);
    assert_eq!(found(CompatibilityRule::BackwardTransitive), [narrowed()]);
    assert_eq!(found(CompatibilityRule::Forward), [missing()]);
    assert_eq!(found(CompatibilityRule::ForwardTransitive), [missing()]);
    assert_eq!(found(CompatibilityRule::Full), [missing()]);
    assert_eq!(found(CompatibilityRule::FullTransitive), [narrowed(), missing()]);
}

#[test]
fn rules_have_the_names_of_registries() {
    for name in ["NONE", "BACKWARD", "backward-transitive", "FORWARD", "forward_transitive", "FULL", "FULL_TRANSITIVE"]
    {
        let rule: CompatibilityRule = name.parse().expect("a rule");
        assert_eq!(rule.as_str(), name.to_ascii_uppercase().replace('-', "_"));
    }
    assert!("sideways".parse::<CompatibilityRule>().expect_err("no rule").contains("write one of none, backward"));
}

#[test]
fn types_that_name_themselves_end() {
    let tree = |leaf: &str| {
        schema(&format!(
            r#"{{"type": "record", "name": "T", "fields": [{{"name": "leaf", "type": "{leaf}"}},
            {{"name": "down", "type": ["null", "T"]}}, {{"name": "all", "type": {{"type": "array", "items": "T"}}}}]}}"#
        ))
    };
    assert_eq!(backward(&tree("int"), &tree("long")), ["leaf (backward, type_narrowed): long is written, int is read"]);
}

const SHAPES: [&str; 21] = [
    "\"null\"",
    "\"boolean\"",
    "\"int\"",
    "\"long\"",
    "\"float\"",
    "\"double\"",
    "\"bytes\"",
    "\"string\"",
    r#"{"type": "array", "items": "int"}"#,
    r#"{"type": "array", "items": "long"}"#,
    r#"{"type": "map", "values": "string"}"#,
    r#"{"type": "fixed", "name": "F", "size": 4}"#,
    r#"{"type": "fixed", "name": "F", "size": 8}"#,
    r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#,
    r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#,
    r#"{"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}"#,
    r#"{"type": "record", "name": "R", "fields": []}"#,
    r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}"#,
    r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "long", "default": 1}]}"#,
    r#"["null", "int"]"#,
    r#"["null", "int", "string"]"#,
];

/// apache-avro's word is `Full` where everything can be read. It does not see aliases of names, which Avro's rules let
/// count, so no shape has one.
#[test]
fn it_agrees_with_apache_avro() {
    use apache_avro::{
        Schema,
        schema_compatibility::{Compatibility, SchemaCompatibility},
    };
    for writer in SHAPES {
        for reader in SHAPES {
            let of = |text: &str| Schema::parse_str(text).expect("a schema");
            let theirs = matches!(SchemaCompatibility::can_read(&of(writer), &of(reader)), Ok(Compatibility::Full));
            let found = avro_breaks(CompatibilityRule::Backward, &schema(reader), &[schema(writer)]);
            let ours = found.iter().all(|it| it.weight == BreakWeight::Warning);
            assert_eq!(ours, theirs, "{writer} read as {reader}: {found:?}");
        }
    }
}

fn json_backward(next: &Value, last: &Value) -> Vec<String> {
    let found = json_breaks(CompatibilityRule::Backward, next, std::slice::from_ref(last));
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn breaks_of_a_json_schema_are_named_with_their_place() {
    let last = json!({"type": "object", "required": ["id"], "properties": {
        "id": {"type": "string"}, "total": {"type": "number"}, "state": {"enum": ["open", "paid"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}}, "old": {"type": "string"}},
        "$defs": {"item": {"type": "object", "properties": {"sku": {"type": ["string", "null"]}}}}});
    let next = json!({"type": "object", "required": ["id", "total"], "additionalProperties": false, "properties": {
        "id": {"type": "integer"}, "total": {"type": "integer", "minimum": 1}, "state": {"enum": ["open"]},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}}});
    let expected = [
        "total (backward, field_missing): `total` is required, and need not be written: do not require it",
        "id (backward, type_changed): string is written, integer is read",
        "items[0].sku (backward, type_narrowed): null is written, string is read",
        "old (backward, field_refused): `old` may be written, and `additionalProperties: false` refuses it",
        "state (backward, symbol_missing): \"paid\" is written, and is not in the `enum` that is read",
        "total (backward, type_narrowed): number is written, integer is read",
        "total (backward, constraint_narrowed): `minimum`: no bound is written, 1 is read",
        "the value (backward, field_refused): fields that are not named may be written, and `additionalProperties: false` refuses them",
    ];
    assert_eq!(json_backward(&next, &last), expected);
}

#[test]
fn what_a_json_schema_widens_is_no_break() {
    let last = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "minimum": 1}}});
    let next = json!({"type": "object", "properties": {"id": {"type": ["number", "null"]}, "new": {"type": "string"}}});
    assert_eq!(json_backward(&next, &last), Vec::<String>::new());
    let found = json_breaks(CompatibilityRule::Forward, &next, &[last]);
    let kinds: Vec<&str> = found.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(kinds, ["field_missing", "type_narrowed", "constraint_narrowed"]);
}

#[test]
fn schemas_that_choose_are_warned_of() {
    let last = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
    assert_eq!(json_backward(&last, &last), Vec::<String>::new());
    let found = json_breaks(CompatibilityRule::Backward, &json!({"anyOf": [{"type": "string"}]}), &[last]);
    assert_eq!(
        found.iter().map(|it| (it.kind, it.weight)).collect::<Vec<_>>(),
        [(BreakKind::NotComparable, BreakWeight::Warning)]
    );
}

#[test]
fn a_json_schema_that_refers_to_itself_ends() {
    let tree = |kind: &str| {
        json!({"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {
        "leaf": {"type": kind}, "down": {"$ref": "#/$defs/t"}, "up": {"$ref": "#/$defs/t"}}}}})
    };
    let found = json_breaks(CompatibilityRule::Backward, &tree("integer"), &[tree("number")]);
    assert!(!found.is_empty() && found.len() <= MAX_FINDINGS);
}
