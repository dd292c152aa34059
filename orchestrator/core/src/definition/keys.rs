//! Every key that a file may have: what the parser accepts, and what the JSON Schema says.

mod definition;
mod fallback;
mod participants;

pub(crate) use definition::{CALL, DEFINITION, OUTCOME, PARALLEL, PUBLISH, RETRY, TRIGGER, UNDO, WAIT};
pub(crate) use fallback::{FAIL, FALLBACK};
pub(crate) use participants::{
    ADAPTIVE, BREAKER, BULKHEAD, CLASSES, DEGRADED, EJECTION, ENDPOINT, ERRORS, HANDLE, HANDLINGS, HEALTH, HTTP, KAFKA,
    PARTICIPANT, PARTICIPANTS, RATE_LIMIT, RETRY_BUDGET, STRATEGIES,
};

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What it is called in messages: `a step`.
    pub(crate) name: &'static str,
    /// For the JSON Schema.
    pub(crate) title: &'static str,
    pub(crate) keys: &'static [KeyRule],
}

/// One key of a shape.
#[derive(Debug)]
pub(crate) struct KeyRule {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) value: Rule,
    pub(crate) description: &'static str,
    /// As JSON; empty for none.
    pub(crate) default: &'static str,
    /// As JSON.
    pub(crate) example: &'static str,
}

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// What stands under a key, as far as a schema can say it.
#[derive(Debug)]
pub(crate) enum Rule {
    Text,
    /// A text of this pattern.
    Pattern(&'static str),
    Bool,
    Duration,
    /// A CEL expression without `${ }`.
    Condition,
    /// A scalar in which `${ }` may stand.
    Scalar,
    /// Any value in which `${ }` may stand.
    Value,
    /// At least this.
    Integer(u32),
    /// A share: more than 0, at most 1.
    Share,
    /// Any number.
    Number,
    /// By how much something grows: 1 to 10.
    Factor,
    Choice(&'static [&'static str]),
    Shape(&'static Shape),
    List(&'static Rule),
    /// At least one of these.
    Some(&'static Rule),
    /// A scalar with a `${ }` in it.
    Expressed,
    /// Several scalars, which make a business key.
    Parts,
    /// A map of the first shape whose key is there; without any of them the first one is meant.
    Kinds(&'static [(&'static str, &'static Shape)]),
    /// Named entries of one shape.
    Named(&'static Shape),
    /// A map, or one `${ }` that makes one.
    Body,
    /// Texts by the names of headers that are not the engine's own.
    Headers,
    /// A URL, or what variables make one.
    Url,
    /// Values of one rule, by any key.
    Entries(&'static Rule),
    Either(&'static [Rule]),
    /// A status or a class of statuses.
    Status,
}

impl Shape {
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

impl Rule {
    fn knows(&self, name: &str) -> bool {
        match self {
            Rule::Shape(shape) | Rule::Named(shape) => shape.knows(name),
            Rule::List(rule) | Rule::Some(rule) | Rule::Entries(rule) => rule.knows(name),
            Rule::Kinds(kinds) => kinds.iter().any(|(_, shape)| shape.knows(name)),
            Rule::Either(rules) => rules.iter().any(|rule| rule.knows(name)),
            Rule::Text
            | Rule::Pattern(_)
            | Rule::Bool
            | Rule::Duration
            | Rule::Condition
            | Rule::Scalar
            | Rule::Expressed
            | Rule::Parts
            | Rule::Value
            | Rule::Integer(_)
            | Rule::Share
            | Rule::Number
            | Rule::Factor
            | Rule::Choice(_)
            | Rule::Body
            | Rule::Headers
            | Rule::Url
            | Rule::Status => false,
        }
    }
}

/// A key that may be absent.
const fn key(
    name: &'static str,
    value: Rule,
    description: &'static str,
    default: &'static str,
    example: &'static str,
) -> KeyRule {
    KeyRule { name, need: Need::Optional, value, description, default, example }
}

/// A key that has to be there.
const fn required(name: &'static str, value: Rule, description: &'static str, example: &'static str) -> KeyRule {
    KeyRule { name, need: Need::Required, value, description, default: "", example }
}
