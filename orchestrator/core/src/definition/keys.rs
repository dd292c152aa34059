//! Every key that a file may have: what the parser accepts, and what the JSON Schema says.

mod definition;
mod fallback;
mod participants;

pub(crate) use definition::{CALL, DEFINITION, OUTCOME, PARALLEL, PUBLISH, RETENTION, RETRY, TRIGGER, UNDO, WAIT};
pub(crate) use fallback::{FAIL, FALLBACK};
pub(crate) use participants::{
    ADAPTIVE, AUTHORIZATION, BREAKER, BULKHEAD, CLASSES, CLIENT_CREDENTIALS, DEGRADED, EJECTION, ENDPOINT, ERRORS,
    HANDLE, HANDLINGS, HEALTH, HTTP, KAFKA, PARTICIPANT, PARTICIPANTS, RATE_LIMIT, RETRY_BUDGET, STRATEGIES, TLS,
};

/// Names of the presets. The last is another spelling of the one before.
pub(crate) const PRESETS: &[&str] = &["quick", "standard", "aggressive", "rate-limited", "rateLimited"];

/// A map with known keys; the parser and the JSON Schema use the same table.
#[derive(Debug)]
pub(crate) struct MapSchema {
    /// What it is called in messages: `a step`.
    pub(crate) name: &'static str,
    /// The title of the shape in the JSON Schema.
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [KeyRule],
}

/// One key of a shape, with its documentation.
#[derive(Debug)]
pub(crate) struct KeyRule {
    pub(crate) name: &'static str,
    pub(crate) need: KeyPresence,
    pub(crate) value: ValueRule,
    pub(crate) description: &'static str,
    /// The default as JSON; empty if the key has no default.
    pub(crate) default: &'static str,
    /// An example as JSON, for messages and for the JSON Schema.
    pub(crate) example: &'static str,
}

/// Whether the parser requires the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyPresence {
    Required,
    Optional,
}

/// What stands under a key, as far as a schema can say it.
#[derive(Debug)]
pub(crate) enum ValueRule {
    Text,
    /// A text that matches this regular expression.
    Pattern(&'static str),
    Bool,
    Duration,
    /// A CEL expression without `${ }`.
    Condition,
    /// A scalar in which `${ }` may stand.
    Scalar,
    /// Any value in which `${ }` may stand.
    Value,
    /// A whole number of at least this value.
    Integer(u32),
    /// A share: more than 0, at most 1.
    Share,
    /// Any number, whole or not.
    Number,
    /// By how much something grows: 1 to 10.
    Factor,
    Choice(&'static [&'static str]),
    Shape(&'static MapSchema),
    List(&'static ValueRule),
    /// A list with at least one item of this rule.
    Some(&'static ValueRule),
    /// A scalar with a `${ }` in it.
    Expressed,
    /// Several scalars, which make a business key.
    Parts,
    /// A map of the first shape whose key is there; without any of them the first one is meant.
    Kinds(&'static [(&'static str, &'static MapSchema)]),
    /// Named entries of one shape.
    Named(&'static MapSchema),
    /// A map, or one `${ }` that makes one.
    Body,
    /// Texts by the names of headers that are not the engine's own.
    Headers,
    /// A URL, or what variables make one.
    Url,
    /// Values of one rule, by any key.
    Entries(&'static ValueRule),
    Either(&'static [ValueRule]),
    /// A status or a class of statuses.
    Status,
}

impl MapSchema {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// Whether `name` is a key here or anywhere below.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.has(name) || self.keys.iter().any(|key| key.value.knows(name))
    }
}

impl ValueRule {
    fn knows(&self, name: &str) -> bool {
        match self {
            ValueRule::Shape(shape) | ValueRule::Named(shape) => shape.knows(name),
            ValueRule::List(rule) | ValueRule::Some(rule) | ValueRule::Entries(rule) => rule.knows(name),
            ValueRule::Kinds(kinds) => kinds.iter().any(|(_, shape)| shape.knows(name)),
            ValueRule::Either(rules) => rules.iter().any(|rule| rule.knows(name)),
            ValueRule::Text
            | ValueRule::Pattern(_)
            | ValueRule::Bool
            | ValueRule::Duration
            | ValueRule::Condition
            | ValueRule::Scalar
            | ValueRule::Expressed
            | ValueRule::Parts
            | ValueRule::Value
            | ValueRule::Integer(_)
            | ValueRule::Share
            | ValueRule::Number
            | ValueRule::Factor
            | ValueRule::Choice(_)
            | ValueRule::Body
            | ValueRule::Headers
            | ValueRule::Url
            | ValueRule::Status => false,
        }
    }
}

/// A key that may be absent.
const fn key(
    name: &'static str,
    value: ValueRule,
    description: &'static str,
    default: &'static str,
    example: &'static str,
) -> KeyRule {
    KeyRule { name, need: KeyPresence::Optional, value, description, default, example }
}

/// A key that has to be there.
const fn required(name: &'static str, value: ValueRule, description: &'static str, example: &'static str) -> KeyRule {
    KeyRule { name, need: KeyPresence::Required, value, description, default: "", example }
}
