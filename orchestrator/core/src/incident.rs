//! What kinds of incidents there are: few, whatever participants call their failures.

use crate::command::{CommandDirection, CommandFailure};

/// Code of the incident that a record with another payload opens.
pub(crate) const KEY_TAKEN: &str = "key_taken";

/// Begins the message of an incident about an outcome event, before a colon and what failed. A replay reads it back.
pub(crate) const OUTCOME_SHORTENED: &str = "the outcome event is published without its output";
/// As [`OUTCOME_SHORTENED`].
pub(crate) const OUTCOME_NOT_PUBLISHED: &str = "the outcome event is not published";
/// As [`OUTCOME_SHORTENED`].
pub(crate) const OUTCOME_UNCONFIRMED: &str = "the broker did not confirm the outcome event";

/// The parts of the message about a record that came under a taken key, around its place and its payload.
const KEY_TAKEN_PARTS: [&str; 3] = ["record ", " with another payload (", ") came under this key, and is ignored"];

/// The message about a record that came under a taken key.
pub(crate) fn key_taken_message(record: &str, payload: &str) -> String {
    let [before, between, behind] = KEY_TAKEN_PARTS;
    format!("{before}{record}{between}{payload}{behind}")
}

/// The record and the payload that the message names; `None`: it is another message.
pub(crate) fn key_taken_of(message: &str) -> Option<(&str, &str)> {
    let [before, between, behind] = KEY_TAKEN_PARTS;
    let (record, rest) = message.strip_prefix(before)?.split_once(between)?;
    rest.split_once(behind).map(|(payload, _)| (record, payload))
}

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
