//! What a schema says of a field, as far as it says it plainly: by `properties`, `items`, `required` and `type`,
//! through references and `allOf`.

use super::references;
use crate::{
    definition::missing_field::{MissingField, ValueForms},
    expression::{UnfitKind, ValueKind, is_element},
};
use serde_json::Value;

/// Deepest nesting of schemas of one value that is looked into.
const MAX_LEVELS: usize = 32;

/// Whether `path` is a field, as far as the schema knows its fields.
pub(super) fn follow<'s>(root: &'s Value, path: &[String]) -> Result<(), MissingField<'s>> {
    let mut schemas = parts(root, root);
    for (at, name) in path.iter().enumerate() {
        let next = below(root, &schemas, name);
        if next.is_empty() {
            return if knows_all(&schemas, name) { Err(missing(&schemas, path.len() - at)) } else { Ok(()) };
        }
        schemas = next;
    }
    Ok(())
}

/// What the value at `path` can be that not every place takes.
pub(super) fn unfit(root: &Value, path: &[String]) -> Option<UnfitKind> {
    let schemas = at(root, path)?;
    let kinds: Vec<&str> = schemas.iter().flat_map(|schema| kinds(schema)).collect();
    if kinds.contains(&"null") || is_null_by_choice(root, &schemas) {
        return Some(UnfitKind::Null);
    }
    match kinds.as_slice() {
        [] => None,
        all if all.iter().all(|kind| *kind == "array") => Some(UnfitKind::List),
        all if all.iter().all(|kind| *kind == "object") => Some(UnfitKind::Map),
        _ => None,
    }
}

/// Of which kinds the value at `path` is; `None` where no `type` says it.
pub(super) fn kinds_of(root: &Value, path: &[String]) -> Option<Vec<ValueKind>> {
    let schemas = at(root, path)?;
    let said: Vec<Vec<ValueKind>> =
        schemas.iter().map(|schema| kinds(schema)).filter(|said| !said.is_empty()).map(of_names).collect();
    let (first, others) = said.split_first()?;
    Some(first.iter().copied().filter(|kind| others.iter().all(|other| other.contains(kind))).collect())
}

fn of_names(names: Vec<&str>) -> Vec<ValueKind> {
    let of_name = |name: &str| match name {
        "boolean" => Some(ValueKind::Truth),
        "integer" | "number" => Some(ValueKind::Number),
        "string" => Some(ValueKind::Text),
        "array" => Some(ValueKind::List),
        "object" => Some(ValueKind::Map),
        "null" => Some(ValueKind::Null),
        _ => None,
    };
    names.into_iter().filter_map(of_name).collect()
}

/// In which forms the value at `path` is seen; `None` where no `type` says it. A number may be an integer.
pub(super) fn forms(root: &Value, path: &[String]) -> Option<ValueForms> {
    let names: Vec<&str> = at(root, path)?.into_iter().flat_map(kinds).collect();
    let of_name = |name: &&str| match *name {
        "boolean" => vec!["a boolean"],
        "integer" => vec!["an integer"],
        "number" => vec!["a number", "an integer"],
        "string" => vec!["a string"],
        "array" => vec!["a list"],
        "object" => vec!["a map"],
        _ => vec!["null"],
    };
    (!names.is_empty()).then(|| names.iter().flat_map(of_name).collect())
}

/// Whether the value at `path` is one of these, and nothing else.
pub(super) fn is_integer_or_boolean(root: &Value, path: &[String]) -> bool {
    let kinds: Vec<&str> = at(root, path).iter().flatten().flat_map(|schema| kinds(schema)).collect();
    !kinds.is_empty() && kinds.iter().all(|kind| ["integer", "boolean"].contains(kind))
}

/// How many names of `path` lead to the first field that the schema knows and does not require.
pub(super) fn may_be_missing(root: &Value, path: &[String]) -> Option<usize> {
    let mut schemas = parts(root, root);
    for (at, name) in path.iter().enumerate() {
        let next = below(root, &schemas, name);
        if next.is_empty() {
            return None;
        }
        let required =
            |schema: &&Value| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == name));
        if !is_element(name) && !schemas.iter().any(required) {
            return Some(at + 1);
        }
        schemas = next;
    }
    None
}

fn at<'s>(root: &'s Value, path: &[String]) -> Option<Vec<&'s Value>> {
    path.iter()
        .try_fold(parts(root, root), |schemas, name| Some(below(root, &schemas, name)).filter(|next| !next.is_empty()))
}

/// The schemas that hold for one value together: the schema, what it refers to, and its `allOf`.
fn parts<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut found = Vec::new();
    let mut stack = vec![schema];
    while let Some(schema) = stack.pop() {
        if found.len() >= MAX_LEVELS {
            break;
        }
        found.push(schema);
        stack.extend(schema["$ref"].as_str().and_then(|reference| references::target(root, reference)));
        stack.extend(schema["allOf"].as_array().into_iter().flatten());
    }
    found
}

/// What holds for the field `name` of a value.
fn below<'s>(root: &'s Value, schemas: &[&'s Value], name: &str) -> Vec<&'s Value> {
    let field =
        |schema: &&'s Value| if is_element(name) { schema.get("items") } else { schema["properties"].get(name) };
    schemas.iter().filter_map(field).flat_map(|schema| parts(root, schema)).collect()
}

/// Whether a field that none of the schemas names is none: they name some, and nothing says that there may be others.
fn knows_all(schemas: &[&Value], name: &str) -> bool {
    let names_fields = schemas.iter().any(|schema| schema["properties"].is_object());
    let is_open = |schema: &&Value| {
        let others = schema.get("additionalProperties").is_some_and(|others| *others != Value::Bool(false));
        let chosen = ["anyOf", "oneOf", "then", "else", "patternProperties", "dependentSchemas"];
        others || chosen.iter().any(|key| schema.get(*key).is_some())
    };
    !is_element(name) && names_fields && !schemas.iter().any(is_open)
}

fn missing<'s>(schemas: &[&'s Value], depth: usize) -> MissingField<'s> {
    let names = schemas.iter().filter_map(|schema| schema["properties"].as_object());
    let known = names.flat_map(|fields| fields.keys().map(String::as_str)).collect();
    let is_closed = |schema: &&Value| schema["additionalProperties"] == Value::Bool(false);
    MissingField { depth, known, is_certain: schemas.iter().any(is_closed) }
}

fn kinds(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// `anyOf: [{type: string}, {type: "null"}]`
fn is_null_by_choice(root: &Value, schemas: &[&Value]) -> bool {
    let choices = |schema: &&Value| {
        ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| schema.get(*key)?.as_array())
            .flatten()
            .any(|choice| parts(root, choice).into_iter().any(|part| kinds(part).contains(&"null")))
    };
    schemas.iter().any(choices)
}
