//! The business key as a trigger says it.

use crate::expression::{CelExpression, ValueTemplate};

/// `key:` of a trigger; its expressions see `event` and `record`.
#[derive(Clone, Debug)]
pub enum BusinessKeyTemplate {
    /// A single value; its text is the business key.
    One(ValueTemplate),
    /// At least two values; [`joined`](crate::definition::business_key::joined), their texts are the key.
    Parts(Vec<ValueTemplate>),
}

impl BusinessKeyTemplate {
    /// Every expression in the key, in the order in which it is written.
    #[must_use]
    pub fn expressions(&self) -> Vec<&CelExpression> {
        match self {
            BusinessKeyTemplate::One(value) => value.expressions(),
            BusinessKeyTemplate::Parts(parts) => parts.iter().flat_map(ValueTemplate::expressions).collect(),
        }
    }
}
