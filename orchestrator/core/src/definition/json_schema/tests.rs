//! Which events the schema accepts, and what the message says of the others.

use super::*;
use serde_json::json;

const CLAIM: &str = r##"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "ClaimFiled", "type": "object", "required": ["claimId", "amountCents", "lines"],
  "properties": {
    "claimId": {"type": "string", "minLength": 1},
    "amountCents": {"type": "integer", "minimum": 1},
    "note": {"type": ["string", "null"]},
    "rentalCar": {"$ref": "#/definitions/car"},
    "lines": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}}
  },
  "definitions": {"car": {"type": "object", "properties": {"days": {"type": "integer"}}, "additionalProperties": false}}
}"##;

fn claim() -> JsonSchema {
    JsonSchema::parse("claim.schema.json", CLAIM).expect("a schema")
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

#[test]
fn a_violation_is_told_with_its_place_and_what_was_expected_and_without_the_value() {
    let good = json!({"claimId": "c1", "amountCents": 1000, "lines": [{"sku": "a"}]});
    assert_eq!(claim().check(&good), Ok(()));
    let bad = json!({"claimId": "c1", "amountCents": "s3cret", "lines": [{"sku": 7}]});
    let told = claim().check(&bad).expect_err("it is refused");
    assert_eq!(
        told,
        "event.amountCents: it is not of type \"integer\" (it is a string); event.lines[0].sku: it is not of type \"string\" (it is a number)"
    );
    let told = claim().check(&json!({})).expect_err("it is refused");
    assert!(told.contains("\"claimId\" is a required property"), "{told}");
}

#[test]
fn digits_count_as_they_are_written() {
    let event = |amount: &str| {
        let text = format!(r#"{{"claimId": "c", "lines": [], "amountCents": {amount}}}"#);
        crate::json::read(text.as_bytes()).expect("JSON")
    };
    for good in ["1", "9007199254740993", "1.0", "25000000000000000001"] {
        assert_eq!(claim().check(&event(good)), Ok(()), "{good}");
    }
    for bad in ["0", "-1", "1.5"] {
        assert!(claim().check(&event(bad)).is_err(), "{bad}");
    }
}

#[test]
fn it_is_of_the_type_that_its_title_or_its_name_says() {
    assert_eq!(claim().event_type(), "ClaimFiled");
    let untitled = JsonSchema::parse("./schemas/OrderPlaced.schema.json", "{\"type\": \"object\"}").expect("a schema");
    assert_eq!(untitled.event_type(), "OrderPlaced");
}

#[test]
fn a_format_is_enforced_by_the_drafts_that_say_so() {
    for (draft, is_enforced) in [
        ("", false),
        (r#""$schema": "https://json-schema.org/draft/2020-12/schema","#, false),
        (r#""$schema": "http://json-schema.org/draft-07/schema#","#, true),
        (r#""$schema": "http://json-schema.org/draft-04/schema#","#, true),
    ] {
        let text = format!(r#"{{{draft} "properties": {{"day": {{"format": "date"}}}}}}"#);
        let schema = JsonSchema::parse("x.schema.json", &text).expect("a schema");
        assert_eq!(schema.check(&json!({"day": "soon"})).is_err(), is_enforced, "{draft}");
    }
}

#[test]
fn references_stay_in_the_file_and_end() {
    for (text, word) in [
        (r#"{"$ref": "https://example.com/order.json"}"#, "fetches nothing"),
        (r#"{"properties": {"a": {"$ref": "other.json#/a"}}}"#, "fetches nothing"),
        (r##"{"$ref": "#/$defs/none"}"##, "fetches nothing"),
        (r##"{"$ref": "#"}"##, "leads back"),
        (r##"{"$ref": "#/a", "a": {"allOf": [{"$ref": "#/b"}]}, "b": {"anyOf": [{"$ref": "#/a"}]}}"##, "leads back"),
        (r#"{"type": "objekt"}"#, "`/type` is \"objekt\", which is not a type"),
        (r#"{"properties": {"a": {"type": ["string", "nul"]}}}"#, "/properties/a/type"),
        (r#"{"properties": {"a": {"pattern": "(?=x)"}}}"#, "`/properties/a/pattern` is \"(?=x)\""),
        (r#"{"properties": {"a": {"minLength": -1}}}"#, "/properties/a/minLength"),
        (r#"{"required": "a"}"#, "/required"),
        (r#"{"$schema": "http://json-schema.org/draft-03/schema#"}"#, "drafts 4 to 2020-12"),
        (r#"{"$schema": "https://example.com/own"}"#, "drafts 4 to 2020-12"),
        ("[", "JSON"),
    ] {
        let findings = JsonSchema::parse("x.schema.json", text).expect_err(text);
        assert!(findings[0].message.contains(word), "{text}: {}", findings[0].message);
    }
    for draft in [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let text = format!(r#"{{"$schema": "{draft}", "type": "object"}}"#);
        assert!(JsonSchema::parse("x.schema.json", &text).is_ok(), "{draft}");
    }
    let tree = r##"{"properties": {"child": {"$ref": "#"}, "n": {"const": {"$ref": "http://x"}}}}"##;
    assert!(JsonSchema::parse("tree.schema.json", tree).is_ok(), "what is deeper ends with the record");
}

#[test]
fn fields_are_known_through_references_and_lists() {
    let schema = claim();
    for good in ["claimId", "rentalCar.days", "lines", "lines.[].sku"] {
        assert!(schema.follow(&path(good)).is_ok(), "{good}");
    }
    let missing = schema.follow(&path("rentalCar.dayz")).expect_err("no field");
    assert_eq!((missing.known, missing.is_certain), (vec!["days"], true));
    assert!(!schema.follow(&path("amountCent")).expect_err("no field that is known").is_certain);
    assert_eq!(schema.unfit(&path("note")), Some(UnfitKind::Null));
    assert_eq!(schema.unfit(&path("lines")), Some(UnfitKind::List));
    assert_eq!(schema.unfit(&path("rentalCar")), Some(UnfitKind::Map));
    assert_eq!(schema.unfit(&path("claimId")), None);
    assert_eq!(schema.may_be_missing(&path("rentalCar.days")), Some(1));
    assert_eq!(schema.may_be_missing(&path("lines.[].sku")), None);
}
