//! The words that say what became of a command.

use std::str::FromStr;

/// What became of a command, as a reply record says it in the header `saga_outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// It was done; the record's value is the result.
    Succeeded,
    /// It had no effect.
    Failed,
    /// The participant works on it and replies again.
    Ongoing,
}

impl ReplyOutcome {
    /// Every word.
    pub const ALL: [ReplyOutcome; 3] = [ReplyOutcome::Succeeded, ReplyOutcome::Failed, ReplyOutcome::Ongoing];

    /// Its word in the header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ReplyOutcome::Succeeded => "succeeded",
            ReplyOutcome::Failed => "failed",
            ReplyOutcome::Ongoing => "ongoing",
        }
    }
}

/// A text is no word of [`ReplyOutcome`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an outcome: expected `succeeded`, `failed` or `ongoing`")]
pub struct ReplyOutcomeError(pub String);

impl FromStr for ReplyOutcome {
    type Err = ReplyOutcomeError;

    fn from_str(text: &str) -> Result<ReplyOutcome, ReplyOutcomeError> {
        let found = ReplyOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        found.ok_or_else(|| ReplyOutcomeError(text.to_owned()))
    }
}
