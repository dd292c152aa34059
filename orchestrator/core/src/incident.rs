//! What kinds of incidents there are: few, whatever participants call their failures.

use crate::command::{CommandDirection, CommandFailure};

/// Code of the incident that a record with another payload opens.
pub(crate) const KEY_TAKEN: &str = "key_taken";

/// What a person should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    /// A command reports success that was given up, skipped, or declared done by hand.
    LateSuccess,
    /// The pivot succeeded while a cancel waited.
    CancelTooLate,
    /// The saga's time ended after its pivot.
    Overdue,
    /// The outcome event was out before the saga was abandoned.
    AbandonTooLate,
    /// A saga that cannot be read was abandoned.
    Unreadable,
    /// An undo gave up, or was sent without the result that it would have been given.
    Undo,
    /// A record with another payload came under the saga's key.
    KeyTaken,
    /// The outcome event was not published, or not whole.
    Outcome,
    /// Another incident, about the do of a step.
    Other,
}

impl IncidentKind {
    /// The kind of an incident, by what it is about.
    #[must_use]
    pub fn of(direction: Option<CommandDirection>, failure: &CommandFailure) -> IncidentKind {
        match (failure.code.as_str(), direction) {
            ("late_success", _) => IncidentKind::LateSuccess,
            ("cancel_too_late", _) => IncidentKind::CancelTooLate,
            ("overdue", _) => IncidentKind::Overdue,
            ("abandon_too_late", _) => IncidentKind::AbandonTooLate,
            (KEY_TAKEN, None) => IncidentKind::KeyTaken,
            ("unreadable", None) => IncidentKind::Unreadable,
            (_, Some(CommandDirection::Undo)) => IncidentKind::Undo,
            // What is about no step is about the end.
            (_, None) => IncidentKind::Outcome,
            (_, Some(CommandDirection::Do)) => IncidentKind::Other,
        }
    }

    /// The kind's word, by which incidents are listed and counted.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentKind::LateSuccess => "late_success",
            IncidentKind::CancelTooLate => "cancel_too_late",
            IncidentKind::Overdue => "overdue",
            IncidentKind::AbandonTooLate => "abandon_too_late",
            IncidentKind::Unreadable => "unreadable",
            IncidentKind::Undo => "undo",
            IncidentKind::KeyTaken => KEY_TAKEN,
            IncidentKind::Outcome => "outcome",
            IncidentKind::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_s_words_make_no_kind() {
        let kind = |direction, code: &str| IncidentKind::of(direction, &CommandFailure::new(code, "")).as_str();
        assert_eq!(kind(Some(CommandDirection::Undo), "payments.closed_on_sundays"), "undo");
        assert_eq!(kind(Some(CommandDirection::Undo), "late_success"), "late_success");
        assert_eq!(kind(None, "kafka.too_large"), "outcome");
        assert_eq!(kind(None, "overdue"), "overdue");
    }
}
