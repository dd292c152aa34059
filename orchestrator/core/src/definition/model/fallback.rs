//! What answers for a step whose participant does not.

use crate::{command::CommandFailure, expression::ValueTemplate};
use serde_json::Value;
use std::time::Duration;

/// One item of `fallback:`.
#[derive(Clone, Debug)]
pub struct FallbackRule {
    /// What it answers.
    pub answer: FallbackAnswer,
    /// When it does.
    pub when: FallbackCondition,
}

/// What answers in place of a participant.
#[derive(Clone, Debug)]
pub enum FallbackAnswer {
    /// `cached:` an answer to the same request that is at most so old.
    Cached(Duration),
    /// `lastKnown:` the last answer to the same request, however old.
    LastKnown,
    /// `value:` taken as it is.
    Value(Value),
    /// `expression:` sees `event`, `record`, `saga` and `steps`.
    Expression(ValueTemplate),
    /// `fail:` the step has failed for good, with this.
    Fail(CommandFailure),
}

impl FallbackAnswer {
    /// Whether it answers with what a participant answered before.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        match self {
            FallbackAnswer::Cached(_) | FallbackAnswer::LastKnown => true,
            FallbackAnswer::Value(_) | FallbackAnswer::Expression(_) | FallbackAnswer::Fail(_) => false,
        }
    }
}

/// `when:` of a fallback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackCondition {
    /// When the do ended without success.
    #[default]
    Exhausted,
    /// Also as soon as a guard holds the do back before any attempt of it has left.
    Refused,
}
