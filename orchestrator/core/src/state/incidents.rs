//! What kinds of incidents a saga has, as a list can be asked for them and a figure can count them.

use super::SagaState;
use crate::incident::IncidentKind;

impl IncidentKind {
    /// Every kind of incident, in the order of the enum.
    pub const ALL: [IncidentKind; 9] = [
        IncidentKind::LateSuccess,
        IncidentKind::CancelTooLate,
        IncidentKind::Overdue,
        IncidentKind::AbandonTooLate,
        IncidentKind::Unreadable,
        IncidentKind::Undo,
        IncidentKind::KeyTaken,
        IncidentKind::Outcome,
        IncidentKind::Other,
    ];

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<IncidentKind> {
        IncidentKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl SagaState {
    /// The kinds of its incidents, each once, in the order of [`IncidentKind::ALL`].
    #[must_use]
    pub fn incident_kinds(&self) -> Vec<IncidentKind> {
        if self.incidents.is_empty() {
            return Vec::new();
        }
        let has =
            |kind: &IncidentKind| self.incidents.iter().any(|it| IncidentKind::of(it.direction, &it.failure) == *kind);
        IncidentKind::ALL.into_iter().filter(has).collect()
    }
}
