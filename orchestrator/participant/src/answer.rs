//! What a participant says to a command.

use serde_json::{Value, json};

/// Code of the refusal that a do gets whose undo came first.
pub const UNDONE: &str = "undone";

/// What a participant says to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum ParticipantAnswer {
    /// It was done, with this result. Final.
    Succeeded(Value),
    /// Certainly nothing happened. Final unless `retryable`.
    Failed {
        /// Short and stable: `out_of_stock`.
        code: String,
        /// For people.
        message: String,
        /// Whether another attempt may help.
        retryable: bool,
    },
    /// It is being worked on elsewhere; nothing is recorded. The effect belongs into the later transaction that keeps
    /// the final answer, which has to pass the barrier like any other: an undo may have come in between.
    Ongoing,
}

impl ParticipantAnswer {
    /// No, for good: another attempt gets the same answer.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> ParticipantAnswer {
        ParticipantAnswer::Failed { code: code.into(), message: message.into(), retryable: false }
    }

    /// Not now: nothing happened, and another attempt may succeed.
    pub fn not_now(code: impl Into<String>, message: impl Into<String>) -> ParticipantAnswer {
        ParticipantAnswer::Failed { code: code.into(), message: message.into(), retryable: true }
    }

    /// To a do that comes after its undo.
    #[must_use]
    pub fn undone() -> ParticipantAnswer {
        ParticipantAnswer::refused(UNDONE, "its undo came first, so it does nothing")
    }

    /// To an undo whose do did nothing.
    #[must_use]
    pub fn nothing_to_undo() -> ParticipantAnswer {
        ParticipantAnswer::Succeeded(json!({"undone": false}))
    }

    /// Whether it is kept, and given again to the same command.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ParticipantAnswer::Succeeded(_) => true,
            ParticipantAnswer::Failed { retryable, .. } => !retryable,
            ParticipantAnswer::Ongoing => false,
        }
    }
}
