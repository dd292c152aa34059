//! What happened to a participant.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// One request, as it arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedCall {
    /// The command id: `<saga id>:<step>:<do or undo>`.
    pub command: String,
    /// `ReserveStock`, or `POST charges`.
    pub target: String,
    /// The body, or the query of GET and DELETE; `null` if there was none.
    pub body: Value,
    /// Headers that are text, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// A change in the participant's world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEffect {
    /// The command id of whoever caused it.
    pub command: String,
    /// The step, `<saga id>:<step>`.
    pub step: String,
    /// `do` or `undo`.
    pub direction: String,
}

/// Where a step stands in the participant's world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EffectStanding {
    Applied,
    Undone,
    /// An undo came first: a do that comes later has no effect.
    Barred,
}

/// Everything that happened, in its order.
#[derive(Clone, Debug, Default)]
pub struct EffectLedger {
    calls: Vec<RecordedCall>,
    effects: Vec<RecordedEffect>,
    steps: HashMap<String, EffectStanding>,
    counts: HashMap<String, u32>,
    results: HashMap<String, Value>,
}

impl EffectLedger {
    /// All requests, repeats included.
    #[must_use]
    pub fn calls(&self) -> &[RecordedCall] {
        &self.calls
    }

    /// All changes. A do or an undo that finds nothing to change is none.
    #[must_use]
    pub fn effects(&self) -> &[RecordedEffect] {
        &self.effects
    }

    /// The requests of one command.
    pub fn calls_of<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a RecordedCall> {
        self.calls.iter().filter(move |call| call.command == command)
    }

    /// How often the command was asked for.
    #[must_use]
    pub fn count(&self, command: &str) -> u32 {
        self.counts.get(command).copied().unwrap_or(0)
    }

    /// Whether the step `<saga id>:<step>` stands: done and not undone.
    #[must_use]
    pub fn is_applied(&self, step: &str) -> bool {
        self.steps.get(step) == Some(&EffectStanding::Applied)
    }

    pub(super) fn enter(&mut self, call: RecordedCall) {
        *self.counts.entry(call.command.clone()).or_default() += 1;
        self.calls.push(call);
    }

    /// Changes the world as `command` demands, once; `false` if an undo that came before forbids it.
    pub(super) fn apply(&mut self, command: &str, result: &Value) -> bool {
        let (step, direction) = command.rsplit_once(':').unwrap_or((command, "do"));
        let standing = self.steps.get(step).copied();
        let next = match (direction, standing) {
            ("undo", None) => EffectStanding::Barred,
            ("undo", Some(EffectStanding::Applied)) => EffectStanding::Undone,
            ("undo", Some(standing @ (EffectStanding::Undone | EffectStanding::Barred))) => standing,
            (_, None | Some(EffectStanding::Applied)) => EffectStanding::Applied,
            (_, Some(EffectStanding::Undone | EffectStanding::Barred)) => return false,
        };
        if standing != Some(next) && next != EffectStanding::Barred {
            self.effects.push(RecordedEffect {
                command: command.into(),
                step: step.into(),
                direction: direction.into(),
            });
        }
        self.steps.insert(step.to_owned(), next);
        self.results.entry(command.to_owned()).or_insert_with(|| result.clone());
        true
    }

    pub(super) fn result(&self, command: &str) -> Value {
        self.results.get(command).cloned().unwrap_or_else(|| json!({}))
    }
}
