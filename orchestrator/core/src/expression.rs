//! Expressions: CEL, compiled once when a definition is read, evaluated against a [`Scope`].

use serde_json::{Map, Value};

/// What an expression can see. Absent names are errors that say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The trigger's payload.
    pub event: Option<&'a Value>,
    /// `topic, partition, offset, key, timestamp, headers` of the trigger.
    pub record: Option<&'a Value>,
    /// `id, name, key, startedAt`.
    pub saga: Option<&'a Value>,
    /// Results of the steps that succeeded, by name.
    pub steps: Option<&'a Map<String, Value>>,
    /// What the step was sent.
    pub input: Option<&'a Value>,
    /// What it answered; `null` after `unknown`.
    pub result: Option<&'a Value>,
    /// The command id of the do.
    pub do_id: Option<&'a str>,
}

/// A CEL expression, compiled.
#[derive(Clone, Debug)]
pub struct Expression;

/// A YAML value in which `${ }` may stand, compiled.
#[derive(Clone, Debug)]
pub struct Template;

/// A path in which `${ }` may stand, each percent-encoded as one segment.
#[derive(Clone, Debug)]
pub struct PathTemplate;
