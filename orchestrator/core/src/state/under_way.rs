//! What a saga is at: the commands that are under way, the most urgent one first.

use super::{CommandPhase, CommandState, SagaPhase, SagaState};
use crate::{answerable::OutageLog, command::CommandRef, id::StepIndex, time::Timestamp};

impl SagaState {
    /// The steps that are under way while the saga goes on or back, the one of the most urgent command first.
    #[must_use]
    pub fn under_way(&self) -> Vec<StepIndex> {
        let goes = match &self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => true,
            SagaPhase::Parked { .. } | SagaPhase::OutcomeDue { .. } | SagaPhase::Ended(_) => false,
        };
        let mut open: Vec<_> = self.commands().filter(|(_, command)| goes && command.is_open()).collect();
        open.sort_by_key(|(_, command)| urgency(command));
        let mut steps: Vec<StepIndex> = open.into_iter().map(|(command, _)| command.step).collect();
        steps.dedup();
        steps
    }

    /// The open command that the saga is at or waits for.
    pub(crate) fn most_urgent(&self) -> Option<(CommandRef, &CommandState)> {
        let open = self.commands().filter(|(_, command)| command.is_open());
        open.min_by_key(|(_, command)| urgency(command))
    }
}

/// Commands that are out come first, then the one that is due next.
fn urgency(command: &CommandState) -> (bool, Timestamp) {
    let is_out = matches!(command.phase, CommandPhase::Attempting(_));
    (!is_out, command.due(&OutageLog::NONE).unwrap_or(Timestamp::MAX))
}
