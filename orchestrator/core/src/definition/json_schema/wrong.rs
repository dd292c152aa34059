//! What is no JSON Schema, with its place and what to write.

use crate::expression::shorten;
use serde_json::Value;

const DRAFTS: &str = "write \"$schema\": \"https://json-schema.org/draft/2020-12/schema\", or remove it";
const SCHEMA: &str =
    "compare the place with the reference of JSON Schema: https://json-schema.org/understanding-json-schema/reference";

/// Refuses a draft that is not read.
pub(super) fn draft(root: &Value) -> Result<(), (String, &'static str)> {
    let Some(named) = root.get("$schema") else { return Ok(()) };
    let name = named.as_str().unwrap_or_default();
    let plain = name.trim_end_matches('#').trim_end_matches('/');
    let plain = plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://")).unwrap_or(plain);
    let plain = plain.strip_prefix("json-schema.org/").unwrap_or_default();
    let is_read = [
        "draft-04/schema",
        "draft-06/schema",
        "draft-07/schema",
        "draft/2019-09/schema",
        "draft/2020-12/schema",
        "schema",
    ];
    if is_read.contains(&plain) {
        return Ok(());
    }
    Err((format!("its `$schema` is {}, and drafts 4 to 2020-12 are read", shorten(&named.to_string(), 100)), DRAFTS))
}

/// Where a schema is none, and why.
pub(super) fn schema(error: &jsonschema::ValidationError<'_>) -> (String, &'static str) {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "its root".to_owned() } else { format!("`{place}`") };
    let value = shorten(&error.instance().to_string(), 80);
    match place.trim_end_matches('`').rsplit('/').next() {
        Some("type") => (
            format!("{place} is {value}, which is not a type"),
            "write string, integer, number, boolean, object, array or null, or a list of them",
        ),
        Some("pattern") => (
            format!("{place} is {value}, which is not a regular expression that is supported here"),
            "write it without look-around and back references: (?=…), (?!…), (?<=…), \\1",
        ),
        Some(_) | None => (shorten(&format!("{place}: {error}"), 300), SCHEMA),
    }
}
