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
        /// Text for people; programs compare `code`.
        message: String,
        /// Whether another attempt may help.
        retryable: bool,
    },
    /// It is being worked on elsewhere; nothing is recorded. The effect belongs into the later transaction that keeps
    /// the final answer, which has to pass the barrier like any other: an undo may have come in between.
    Ongoing,
}

impl ParticipantAnswer {
    /// A permanent refusal: another attempt gets the same answer.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> ParticipantAnswer {
        ParticipantAnswer::Failed { code: code.into(), message: message.into(), retryable: false }
    }

    /// A temporary refusal: nothing happened, and another attempt may succeed.
    pub fn not_now(code: impl Into<String>, message: impl Into<String>) -> ParticipantAnswer {
        ParticipantAnswer::Failed { code: code.into(), message: message.into(), retryable: true }
    }

    /// The answer to a do that comes after its undo.
    #[must_use]
    pub fn undone() -> ParticipantAnswer {
        ParticipantAnswer::refused(UNDONE, "its undo came first, so it does nothing")
    }

    /// The answer to an undo whose do had no effect.
    #[must_use]
    pub fn nothing_to_undo() -> ParticipantAnswer {
        ParticipantAnswer::Succeeded(json!({"undone": false}))
    }

    /// Whether the answer is kept, and returned again for the same command.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ParticipantAnswer::Succeeded(_) => true,
            ParticipantAnswer::Failed { retryable, .. } => !retryable,
            ParticipantAnswer::Ongoing => false,
        }
    }
}
