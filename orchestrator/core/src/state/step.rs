//! What can be said of a step, and of one command, by what is on record.

use super::{CommandOutcome, CommandPhase, CommandState, StepState};
use crate::{
    command::CommandFailure,
    definition::{StepCompensation, StepDefinition},
    event::{StepFailureKind, SubstituteAnswer},
};

impl StepState {
    /// Whether it is applied or may be: it has to be undone, if it can be, when the saga goes back.
    #[must_use]
    pub fn may_be_applied(&self) -> bool {
        match &self.forward.phase {
            CommandPhase::Settled(
                CommandOutcome::Succeeded | CommandOutcome::Rejected(_) | CommandOutcome::Unknown(_),
            ) => true,
            // To skip it settles what follows from it, not what became of it.
            CommandPhase::Settled(CommandOutcome::Skipped) => {
                !self.forward.in_doubt.is_empty() || self.result.is_some()
            }
            CommandPhase::Settled(CommandOutcome::Failed(_))
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => false,
        }
    }

    /// Whether it is known to be applied.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.forward.phase, CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Rejected(_)))
            || self.result.is_some()
    }

    /// How the do ended, of one that ended without success.
    pub(crate) fn bad_end(&self) -> StepFailureKind {
        match &self.forward.phase {
            CommandPhase::Settled(CommandOutcome::Rejected(_)) => StepFailureKind::Rejected,
            CommandPhase::Settled(CommandOutcome::Unknown(_)) => StepFailureKind::Unknown,
            CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Failed(_) | CommandOutcome::Skipped)
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => StepFailureKind::Failed,
        }
    }

    /// Whether it is settled as what lets every step after it begin, whatever else its definition says. A rejected
    /// pivot was not passed.
    pub(crate) fn is_passed(&self) -> bool {
        match &self.forward.phase {
            CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped) => true,
            CommandPhase::Settled(
                CommandOutcome::Rejected(_) | CommandOutcome::Failed(_) | CommandOutcome::Unknown(_),
            )
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => false,
        }
    }

    /// Whether a fallback gave a result in place of a do that ended without success.
    #[must_use]
    pub fn is_answered_for(&self) -> bool {
        match &self.substitute {
            Some(SubstituteAnswer::Fallback { kind, .. }) => kind.failure().is_none(),
            Some(SubstituteAnswer::Cache { .. }) | None => false,
        }
    }

    /// Whether what follows may start: it succeeded, was skipped or answered for, or is optional and ended.
    #[must_use]
    pub fn lets_pass(&self, definition: &StepDefinition) -> bool {
        match &self.forward.phase {
            CommandPhase::Settled(
                CommandOutcome::Rejected(_) | CommandOutcome::Failed(_) | CommandOutcome::Unknown(_),
            ) => definition.optional || self.is_answered_for(),
            CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped)
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => self.is_passed(),
        }
    }

    /// Why the do ended without the success that was asked for, and without anything that answered for it; by a
    /// fallback's word, if that says that it failed.
    pub(crate) fn ended_badly(&self) -> Option<&CommandFailure> {
        if self.is_answered_for() {
            return None;
        }
        self.failed_for_good().or_else(|| self.failure())
    }

    /// The failure that a fallback declared.
    pub(crate) fn failed_for_good(&self) -> Option<&CommandFailure> {
        self.substitute.as_ref().and_then(SubstituteAnswer::failure)
    }

    /// Why its `check` refused what it did.
    pub(crate) fn rejected(&self) -> Option<&CommandFailure> {
        self.failure().filter(|_| matches!(self.forward.phase, CommandPhase::Settled(CommandOutcome::Rejected(_))))
    }

    fn failure(&self) -> Option<&CommandFailure> {
        match &self.forward.phase {
            CommandPhase::Settled(
                CommandOutcome::Rejected(failure) | CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure),
            ) => Some(failure),
            CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped)
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => None,
        }
    }

    /// Whether an undo is needed and not begun, once the saga goes back.
    pub(crate) fn undo_is_due(&self, definition: &StepDefinition) -> bool {
        matches!(definition.effects, StepCompensation::Undo(_))
            && self.may_be_applied()
            && self.undo.phase == CommandPhase::Idle
    }

    /// Whether its undo succeeded, or was declared done by hand.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(self.undo.phase, CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped))
    }

    /// Whether nothing of it is applied any more that could be undone.
    pub(crate) fn is_cleared(&self, definition: &StepDefinition) -> bool {
        let undone = self.is_undone();
        let nothing_to_undo = !self.may_be_applied() || !matches!(definition.effects, StepCompensation::Undo(_));
        !self.forward.is_open() && (undone || nothing_to_undo)
    }
}

impl CommandState {
    /// Whether it began and has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.phase {
            CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => true,
            CommandPhase::Idle | CommandPhase::Settled(_) => false,
        }
    }

    /// Whether it ended, in success or not, or was skipped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, CommandPhase::Settled(_))
    }

    /// Whether it was not performed, or a person took it as settled.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        matches!(self.phase, CommandPhase::Settled(CommandOutcome::Skipped))
    }

    /// Whether it ended without success, as an undo that has to be looked at.
    #[must_use]
    pub fn gave_up(&self) -> Option<&CommandFailure> {
        match &self.phase {
            CommandPhase::Settled(CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure)) => Some(failure),
            CommandPhase::Settled(
                CommandOutcome::Succeeded | CommandOutcome::Rejected(_) | CommandOutcome::Skipped,
            )
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => None,
        }
    }

    /// Whether its last attempt was to find out if the participant is back.
    #[must_use]
    pub fn has_probed(&self) -> bool {
        self.probes.contains(&self.attempt)
    }

    /// Attempts that count against the policy.
    #[must_use]
    pub fn attempts_used(&self) -> u32 {
        let made = self.attempt.saturating_sub(self.fresh_from);
        let probes = self.probes.range(self.fresh_from.saturating_add(1)..).take_while(|probe| **probe <= self.attempt);
        made.saturating_sub(u32::try_from(probes.count()).unwrap_or(u32::MAX))
    }
}
