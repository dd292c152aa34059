//! Payloads as they are shown: whole where that is asked for, else short enough to read.

use super::{
    difference::{SagaDifference, ValueChange},
    history::HistoryLine,
};
use saga_core::describe::{RequestView, SagaView};
use serde_json::{Value, json};

/// The most characters of a text.
const TEXT: usize = 200;
/// The most members of a list.
const ITEMS: usize = 10;
/// The most members of an object: more than most objects have.
const MEMBERS: usize = 50;
/// The most levels: readers seldom look for deeper ones.
const LEVELS: usize = 8;
/// The most bytes of a whole payload as JSON, after the other cuts.
const BYTES: usize = 4 * 1024;

/// How much of payloads is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadDetail {
    /// Long texts and lists are cut, and say by how much.
    #[default]
    Short,
    /// Payloads are shown whole.
    Full,
    /// A mark stands for each: the reader may not see payloads.
    Hidden,
}

/// What stands for a payload that the reader may not see.
pub const HIDDEN: &str = "(hidden: your login does not show payloads)";

impl PayloadDetail {
    /// A saga with as much of its payloads.
    #[must_use]
    pub fn of_saga(self, mut saga: SagaView) -> SagaView {
        if self == PayloadDetail::Full {
            return saga;
        }
        let sent = saga.steps.iter_mut().flat_map(|step| step.sent.iter_mut().chain(step.undo_sent.iter_mut()));
        sent.for_each(|RequestView { body, .. }| *body = self.of_payload(body));
        let results = saga.steps.iter_mut().filter_map(|step| step.result.as_mut());
        let event = saga.trigger.as_mut().map(|trigger| &mut trigger.event);
        results.chain(saga.output.as_mut()).chain(event).for_each(|value| *value = self.of_payload(value));
        saga
    }

    /// A history with as much of its payloads.
    #[must_use]
    pub fn of_history(self, mut lines: Vec<HistoryLine>) -> Vec<HistoryLine> {
        if self == PayloadDetail::Full {
            return lines;
        }
        for line in &mut lines {
            line.data = self.of_payload(&line.data);
            line.payload = line.payload.as_ref().map(|payload| self.of_payload(payload));
        }
        lines
    }

    /// A comparison with as much of its payloads as a list has.
    #[must_use]
    pub fn of_difference(self, mut difference: SagaDifference) -> SagaDifference {
        if self != PayloadDetail::Hidden {
            return difference;
        }
        for change in difference.changes.iter_mut().filter(|change| may_carry(change)) {
            (change.before, change.after) = (json!(HIDDEN), json!(HIDDEN));
        }
        difference.events = self.of_history(difference.events);
        difference
    }

    /// One payload.
    #[must_use]
    pub fn of_payload(self, payload: &Value) -> Value {
        match self {
            PayloadDetail::Full => payload.clone(),
            PayloadDetail::Short => short(payload),
            PayloadDetail::Hidden => json!(HIDDEN),
        }
    }
}

/// Whether a change is one of a payload, or of a value that may have one in it.
fn may_carry(change: &ValueChange) -> bool {
    carries(&change.path)
        || [&change.before, &change.after].into_iter().any(|value| value.is_object() || value.is_array())
}

/// Whether a value at this path of a saga is, or is in, a payload.
fn carries(path: &str) -> bool {
    path.split(['.', '[']).any(|name| ["sent", "undoSent", "result", "output", "event", "trigger"].contains(&name))
}

/// The value, cut until it is short enough to read.
#[must_use]
pub fn short(value: &Value) -> Value {
    let cut = cut(value, LEVELS);
    let text = cut.to_string();
    if text.len() <= BYTES {
        return cut;
    }
    let begins = &text[..text.floor_char_boundary(BYTES / 4)];
    json!(format!("{begins}… ({} bytes)", value.to_string().len()))
}

fn cut(value: &Value, levels: usize) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => match text.char_indices().nth(TEXT) {
            Some((end, _)) => json!(format!("{}… ({} characters)", &text[..end], text.chars().count())),
            None => value.clone(),
        },
        Value::Array(items) if levels == 0 => json!(format!("… ({} items)", items.len())),
        Value::Object(members) if levels == 0 => json!(format!("… ({} members)", members.len())),
        Value::Array(items) => {
            let more = items.len().saturating_sub(ITEMS);
            let more = (more > 0).then(|| json!(format!("… ({more} more)")));
            items.iter().take(ITEMS).map(|item| cut(item, levels - 1)).chain(more).collect()
        }
        Value::Object(members) => {
            let more = members.len().saturating_sub(MEMBERS);
            let more = (more > 0).then(|| ("…".to_owned(), json!(format!("{more} more"))));
            let shown = members.iter().take(MEMBERS).map(|(name, member)| (name.clone(), cut(member, levels - 1)));
            Value::Object(shown.chain(more).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_shown_as_it_is() {
        let order = json!({"orderId": "4711", "items": [1, 2.50, null, true], "address": {"city": "Köln"}});
        assert_eq!(short(&order), order);
    }

    #[test]
    fn what_is_hidden_is_hidden_whole() {
        let order = json!({"card": "4711"});
        assert_eq!(PayloadDetail::Hidden.of_payload(&order), HIDDEN);
        assert_eq!(PayloadDetail::Full.of_payload(&order), order);
        for path in ["steps.charge.result.id", "steps.charge.sent", "trigger.event", "output", "output[0]"] {
            assert!(carries(path), "{path}");
        }
        assert!(!carries("status") && !carries("steps.charge.phase"));
        let step = json!({"step": "charge", "result": {"card": "4711"}});
        let appeared = ValueChange { path: "steps.charge".to_owned(), before: json!(null), after: step };
        assert!(may_carry(&appeared), "a step that was not there before");
    }

    #[test]
    fn long_texts_and_lists_are_cut_and_say_by_how_much() {
        let text = "ü".repeat(1_000);
        let cut = short(&json!({"note": text, "lines": (0..1_000).collect::<Vec<_>>()}));
        assert_eq!(cut["note"], json!(format!("{}… (1000 characters)", "ü".repeat(TEXT))));
        assert_eq!(cut["lines"].as_array().map(Vec::len), Some(ITEMS + 1));
        assert_eq!(cut["lines"][ITEMS], "… (990 more)");
    }

    #[test]
    fn however_it_is_made_it_is_bounded() {
        let deep = (0..60).fold(json!("x".repeat(500)), |inner, _| json!({"a": inner}));
        let twice = (0..10).fold(json!("x".repeat(500)), |inner, _| json!([inner, inner]));
        let wide: Value =
            (0..49).map(|n| (format!("k{n}"), json!("y".repeat(190)))).collect::<serde_json::Map<_, _>>().into();
        for value in [wide, json!((0..1_000).map(|_| "z".repeat(199)).collect::<Vec<_>>()), deep, twice] {
            assert!(short(&value).to_string().len() <= BYTES, "{}", short(&value));
        }
    }
}
