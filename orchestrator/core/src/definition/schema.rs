//! JSON Schemas (draft-07, which every editor understands) of the files that people write, from the keys that are
//! accepted.

use super::{
    business_key::MAX_PARTS,
    keys::{DEFINITION, KeyPresence, KeyRule, MapSchema, PARTICIPANT, PARTICIPANTS, ValueRule},
    participants::own_headers,
};
use serde_json::{Map, Value, json};

/// The schema of a saga definition.
#[must_use]
pub fn saga() -> Value {
    root(&DEFINITION, "One business transaction: what starts it, its steps, and how each is undone.")
}

/// The schema of participants.yaml.
#[must_use]
pub fn participants() -> Value {
    root(&PARTICIPANTS, "The services that perform commands, and how they are reached and guarded.")
}

/// A schema as it is written to a file.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

const DURATION_PATTERN: &str = "^([0-9]+(ms|s|m|h|d)|P.+)$";

/// With a host, or with variables that may be all of it.
const URL_PATTERN: &str = r"^\s*[Hh][Tt][Tt][Pp][Ss]?://[^/?#\s]|\$\{";

/// A pattern of a name of a header, which has no case.
fn in_any_case(name: &str) -> String {
    let sign = |sign: char| match sign.is_ascii_alphabetic() {
        true => format!("[{}{sign}]", sign.to_ascii_uppercase()),
        false => sign.to_string(),
    };
    name.chars().map(sign).collect()
}

fn root(shape: &'static MapSchema, description: &str) -> Value {
    let mut definitions = Map::new();
    let Value::Object(mut schema) = object(shape, &mut definitions) else { return Value::Null };
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("description".into(), json!(description));
    schema.insert("definitions".into(), Value::Object(definitions));
    Value::Object(schema)
}

fn object(shape: &'static MapSchema, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        shape.keys.iter().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    let required: Vec<&str> =
        shape.keys.iter().filter(|key| key.need == KeyPresence::Required).map(|key| key.name).collect();
    let mut object = json!({
        "type": "object", "title": shape.title, "additionalProperties": false, "properties": properties,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if std::ptr::eq(shape, &raw const PARTICIPANT) {
        object["if"] = json!({"required": ["http"]});
        object["then"] = json!({"not": {"required": ["kafka"]}});
        object["else"] = json!({"required": ["kafka"]});
    }
    object
}

/// Draft-07 ignores what stands beside `$ref`, so the rule is wrapped.
fn property(key: &KeyRule, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = rule(&key.value, definitions);
    if schema.get("$ref").is_some() {
        schema = json!({"allOf": [schema]});
    }
    schema["description"] = json!(key.description);
    for (name, text) in [("default", key.default), ("examples", key.example)] {
        if !text.is_empty() {
            let value: Value =
                serde_json::from_str(text).expect("defaults and examples are JSON; a test reads them all");
            schema[name] = if name == "examples" { json!([value]) } else { value };
        }
    }
    schema
}

fn rule(rule: &ValueRule, definitions: &mut Map<String, Value>) -> Value {
    match rule {
        ValueRule::Text => json!({"type": "string"}),
        ValueRule::Pattern(pattern) => json!({"type": "string", "pattern": pattern}),
        ValueRule::Bool => json!({"type": "boolean"}),
        ValueRule::Duration => json!({"type": "string", "pattern": DURATION_PATTERN}),
        ValueRule::Condition => json!({"type": ["string", "boolean"]}),
        ValueRule::Scalar => json!({"type": "string", "minLength": 1}),
        ValueRule::Value => json!({}),
        ValueRule::Integer(least) => json!({"type": "integer", "minimum": least}),
        ValueRule::Factor => json!({"type": "number", "minimum": 1, "maximum": 10}),
        ValueRule::Share => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ValueRule::Number => json!({"type": "number"}),
        ValueRule::Choice(choices) => json!({"type": "string", "enum": choices}),
        ValueRule::Shape(shape) => reference(shape, definitions),
        ValueRule::List(item) => json!({"type": "array", "items": self::rule(item, definitions)}),
        ValueRule::Named(shape) => json!({"type": "object", "additionalProperties": reference(shape, definitions)}),
        ValueRule::Body => json!({"type": ["object", "string"], "pattern": r"^\s*\$\{"}),
        ValueRule::Url => json!({"type": "string", "pattern": URL_PATTERN}),
        ValueRule::Headers => {
            let own: Vec<String> = own_headers().map(in_any_case).collect();
            let names = json!({"pattern": "^[A-Za-z0-9_-]+$", "not": {"pattern": format!("^({})$", own.join("|"))}});
            json!({"type": "object", "propertyNames": names, "additionalProperties": {"type": "string"}})
        }
        ValueRule::Entries(value) => json!({"type": "object", "additionalProperties": self::rule(value, definitions)}),
        ValueRule::Some(item) => json!({"type": "array", "minItems": 1, "items": self::rule(item, definitions)}),
        ValueRule::Parts => {
            let part = json!({"type": ["string", "integer", "boolean"], "minLength": 1});
            json!({"type": "array", "minItems": 2, "maxItems": MAX_PARTS, "items": part})
        }
        ValueRule::Expressed => json!({"type": "string", "pattern": r"\$\{"}),
        ValueRule::Kinds(kinds) => by_key(kinds, definitions),
        ValueRule::Either([scalar, ValueRule::Shape(shape)]) => {
            let (scalar, map) = (self::rule(scalar, definitions), reference(shape, definitions));
            json!({"if": {"type": "object"}, "then": map, "else": scalar})
        }
        // So that an editor speaks of the item that is wrong.
        ValueRule::Either([parts @ ValueRule::Parts, scalar]) => {
            let (list, scalar) = (self::rule(parts, definitions), self::rule(scalar, definitions));
            json!({"if": {"type": "array"}, "then": list, "else": scalar})
        }
        ValueRule::Either(rules) => {
            let rules: Vec<Value> = rules.iter().map(|either| self::rule(either, definitions)).collect();
            json!({"anyOf": rules})
        }
        ValueRule::Status => {
            json!({"anyOf": [{"type": "integer", "minimum": 300, "maximum": 599}, {"type": "string", "enum": ["3xx", "4xx", "5xx"]}]})
        }
    }
}

/// One kind after the other is asked for, so that an editor speaks of the key that is wrong; of `anyOf` it says that
/// the whole step is.
fn by_key(kinds: &'static [(&'static str, &'static MapSchema)], definitions: &mut Map<String, Value>) -> Value {
    let meant = kinds.first().map_or(json!({}), |(_, shape)| reference(shape, definitions));
    kinds.iter().rev().fold(meant, |otherwise, (key, shape)| {
        let this = reference(shape, definitions);
        json!({"if": {"type": "object", "required": [key]}, "then": this, "else": otherwise})
    })
}

fn reference(shape: &'static MapSchema, definitions: &mut Map<String, Value>) -> Value {
    let name: String = shape.title.split(' ').map(capitalised).collect();
    if !definitions.contains_key(&name) {
        definitions.insert(name.clone(), Value::Null);
        let object = object(shape, definitions);
        definitions.insert(name.clone(), object);
    }
    json!({"$ref": format!("#/definitions/{name}")})
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
