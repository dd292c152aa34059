//! Format 0, which no build has written: it shows what a step does, and is what tests take an old row from.
//!
//! An event was an object whose `kind` is its name. One kind, `stepDone`, stood for a success and for an `undone`, and
//! a skip was two events, the second of which only repeated the step.

use serde_json::{Map, Value, json};

pub(super) fn upcast(events: Vec<Value>) -> Result<Vec<Value>, String> {
    events.into_iter().filter(|event| event["kind"] != "stepPassed").map(event).collect()
}

fn event(event: Value) -> Result<Value, String> {
    let Value::Object(mut fields) = event else { return Err("an event of format 0 is an object".into()) };
    let Some(Value::String(kind)) = fields.remove("kind") else {
        return Err("an event of format 0 has a kind".into());
    };
    Ok(match kind.as_str() {
        "stepDone" => done(fields),
        _ if fields.is_empty() => json!(kind),
        _ => json!({ kind: fields }),
    })
}

fn done(mut fields: Map<String, Value>) -> Value {
    let undone = fields.remove("undone") == Some(Value::Bool(true));
    fields.insert("direction".into(), json!(if undone { "undo" } else { "do" }));
    json!({ "stepSucceeded": fields })
}
