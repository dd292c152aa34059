//! References of a schema: within its file, and without end in themselves.

use serde_json::Value;

/// Where schemas stand that are of the same value as the one around them.
const SAME_VALUE: [&str; 8] = ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

const HELP: &str = "write the schema into the file, under `$defs` or `definitions`, and refer to it as #/$defs/name";

/// Refuses references that lead out of the file, or that lead back to themselves: a record would be judged without end.
pub(super) fn check(root: &Value) -> Result<(), (String, &'static str)> {
    let mut all = Vec::new();
    gather(root, &mut all);
    for reference in &all {
        if target(root, reference).is_none() {
            return Err((format!("`{reference}` is not in this file, and the engine fetches nothing"), HELP));
        }
    }
    all.iter().try_for_each(|reference| ends(root, reference))
}

/// Every `$ref`; and what refers in other ways, which is not followed here.
fn gather<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
    let mut stack = vec![value];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(fields) => {
                for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
                    all.extend(fields.get(key).and_then(Value::as_str));
                }
                stack.extend(fields.iter().filter(|(key, _)| !is_data(key)).map(|(_, value)| value));
            }
            Value::Array(items) => stack.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// What is under these keys is no schema.
fn is_data(key: &str) -> bool {
    matches!(key, "const" | "enum" | "default" | "examples" | "example")
}

/// What `#` or `#/$defs/name` refers to.
pub(super) fn target<'v>(root: &'v Value, reference: &str) -> Option<&'v Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Follows what a reference says of the same value.
fn ends(root: &Value, reference: &str) -> Result<(), (String, &'static str)> {
    let mut seen = vec![reference.to_owned()];
    let mut stack: Vec<&Value> = target(root, reference).into_iter().collect();
    while let Some(schema) = stack.pop() {
        let Some(fields) = schema.as_object() else { continue };
        for (key, value) in fields.iter().filter(|(key, _)| SAME_VALUE.contains(&key.as_str())) {
            match value {
                Value::String(next) if key == "$ref" => {
                    if next == reference {
                        return Err((format!("`{reference}` leads back to itself"), "describe the value itself"));
                    }
                    if !seen.contains(next) {
                        seen.push(next.clone());
                        stack.extend(target(root, next));
                    }
                }
                Value::Array(schemas) => stack.extend(schemas),
                schema => stack.push(schema),
            }
        }
    }
    Ok(())
}
