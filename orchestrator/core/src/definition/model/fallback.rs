//! What answers for a step whose participant does not.

use crate::{command::CommandFailure, expression::ValueTemplate};
use serde_json::Value;
use std::time::Duration;

/// One item of a step's `fallback:`: an answer, and when the engine uses it.
#[derive(Clone, Debug)]
pub struct FallbackRule {
    /// The answer that the step gets in place of the participant's.
    pub answer: FallbackAnswer,
    /// When the engine uses this fallback.
    pub when: FallbackCondition,
}

/// What answers in place of a participant.
#[derive(Clone, Debug)]
pub enum FallbackAnswer {
    /// `cached:` an answer to the same request that is not older than this.
    Cached(Duration),
    /// `lastKnown:` the last answer to the same request, however old.
    LastKnown,
    /// `value:` a constant JSON value; the engine does not evaluate it.
    Value(Value),
    /// `expression:` evaluated when the fallback answers; it sees `event`, `record`, `saga` and `steps`.
    Expression(ValueTemplate),
    /// `fail:` the step fails permanently with this failure.
    Fail(CommandFailure),
}

impl FallbackAnswer {
    /// Whether the fallback uses an earlier answer of a participant.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        match self {
            FallbackAnswer::Cached(_) | FallbackAnswer::LastKnown => true,
            FallbackAnswer::Value(_) | FallbackAnswer::Expression(_) | FallbackAnswer::Fail(_) => false,
        }
    }
}

/// `when:` of a fallback: when the engine may use its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FallbackCondition {
    /// When the do ended without success, after all of its attempts.
    #[default]
    Exhausted,
    /// Also as soon as a guard holds the do back before the engine has sent its first attempt.
    Refused,
}
