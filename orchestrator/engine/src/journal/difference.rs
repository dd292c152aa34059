//! What changed in a saga between two points of its history.

use super::{
    RecordedSaga,
    history::{self, HistoryLine},
    sensitive::SensitiveDetail,
};
use saga_core::time::rfc3339;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The difference between two points of a saga's history.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaDifference {
    /// The earlier point.
    pub from: ComparedPoint,
    /// The later point.
    pub to: ComparedPoint,
    /// What has another value at the later point, in the order of the names.
    pub changes: Vec<ValueChange>,
    /// The events after the earlier point, up to the later one.
    pub events: Vec<HistoryLine>,
}

/// One of two points that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparedPoint {
    /// Version of the last row up to the point.
    pub version: u32,
    /// Time of this row; RFC 3339, UTC.
    pub at: String,
}

/// One value that is another one at the later point.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueChange {
    /// The names that lead to the value in `saga show --output json`; a step is named by its name:
    /// `steps.charge.phase`.
    pub path: String,
    /// The value at the earlier point; null: there was none.
    pub before: Value,
    /// The value at the later point; null: there is none.
    pub after: Value,
}

/// Compares a saga with itself at a later point. Which of the two is later does not matter to the caller.
#[must_use]
pub fn between(one: &RecordedSaga, other: &RecordedSaga, sensitive: SensitiveDetail) -> SagaDifference {
    let (earlier, later) = if one.state.version <= other.state.version { (one, other) } else { (other, one) };
    let mut changes = Vec::new();
    compare(&shown(earlier, sensitive), &shown(later, sensitive), "", &mut changes);
    let is_between = |line: &HistoryLine| {
        line.event.split_once('.').and_then(|(version, _)| version.parse().ok()) > Some(earlier.state.version)
    };
    let lines = sensitive.of_history(history::history(later), &later.plan.definition.sensitive);
    let events = lines.into_iter().filter(is_between).collect();
    SagaDifference { from: point(earlier), to: point(later), changes, events }
}

fn point(recorded: &RecordedSaga) -> ComparedPoint {
    ComparedPoint { version: recorded.state.version, at: rfc3339(recorded.state.last_at) }
}

/// What is compared: all that `saga show` has, without version and time of the last row, which always differ.
fn shown(recorded: &RecordedSaga, sensitive: SensitiveDetail) -> Value {
    let view = sensitive.of_saga(recorded.state.view(&recorded.plan), &recorded.plan.definition.sensitive);
    let mut shown = serde_json::to_value(view).unwrap_or(Value::Null);
    if let Some(members) = shown.as_object_mut() {
        members.remove("version");
        members.remove("updatedAt");
    }
    shown
}

fn compare(before: &Value, after: &Value, path: &str, changes: &mut Vec<ValueChange>) {
    if before == after {
        return;
    }
    match (members(before), members(after)) {
        (Some(before), Some(after)) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let member = |of: &BTreeMap<String, &Value>| of.get(name).map_or(Value::Null, |value| (*value).clone());
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&member(&before), &member(&after), &path, changes);
            }
        }
        (Some(_) | None, _) => {
            changes.push(ValueChange { path: path.to_owned(), before: before.clone(), after: after.clone() });
        }
    }
}

/// The members of an object, or of a list of steps by their names.
fn members(value: &Value) -> Option<BTreeMap<String, &Value>> {
    match value {
        Value::Object(members) => Some(members.iter().map(|(name, value)| (name.clone(), value)).collect()),
        Value::Array(items) if !items.is_empty() => {
            let named: Option<BTreeMap<String, &Value>> =
                items.iter().map(|item| Some((step_of(item.as_object()?)?, item))).collect();
            named.filter(|named| named.len() == items.len())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

fn step_of(item: &Map<String, Value>) -> Option<String> {
    item.get("step")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changed(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
        let mut changes = Vec::new();
        compare(before, after, "", &mut changes);
        changes.into_iter().map(|it| (it.path, it.before, it.after)).collect()
    }

    #[test]
    fn steps_are_compared_by_their_names() {
        let before = json!({"status": "running", "steps": [{"step": "charge", "phase": "running", "attempts": 1}]});
        let after = json!({"status": "running", "steps": [{"step": "charge", "phase": "succeeded", "attempts": 1,
            "result": {"id": 7}}]});
        let expected = [
            ("steps.charge.phase".to_owned(), json!("running"), json!("succeeded")),
            ("steps.charge.result".to_owned(), Value::Null, json!({"id": 7})),
        ];
        assert_eq!(changed(&before, &after), expected);
    }

    #[test]
    fn other_lists_are_one_value_and_what_is_equal_is_no_change() {
        let before = json!({"waitsOn": ["breaker:payments"], "reason": "declined", "key": "4711"});
        let after = json!({"waitsOn": [], "key": "4711"});
        let expected = [
            ("reason".to_owned(), json!("declined"), Value::Null),
            ("waitsOn".to_owned(), json!(["breaker:payments"]), json!([])),
        ];
        assert_eq!(changed(&before, &after), expected);
        assert_eq!(changed(&after, &after), []);
    }
}
