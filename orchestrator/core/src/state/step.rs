//! What can be said of a step, and of one command, by what is on record.

use super::{CommandState, Phase, Settled, StepState};
use crate::{
    command::Failure,
    definition::{Effects, Step},
    event::{BadEnd, Substitute},
};

impl StepState {
    /// Whether it is applied or may be: it has to be undone, if it can be, when the saga goes back.
    #[must_use]
    pub fn may_be_applied(&self) -> bool {
        match &self.forward.phase {
            Phase::Settled(Settled::Succeeded | Settled::Rejected(_) | Settled::Unknown(_)) => true,
            // To skip it settles what follows from it, not what became of it.
            Phase::Settled(Settled::Skipped) => !self.forward.in_doubt.is_empty() || self.result.is_some(),
            Phase::Settled(Settled::Failed(_))
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => false,
        }
    }

    /// Whether it is known to be applied.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.forward.phase, Phase::Settled(Settled::Succeeded | Settled::Rejected(_))) || self.result.is_some()
    }

    /// How the do ended, of one that ended without success.
    pub(crate) fn bad_end(&self) -> BadEnd {
        match &self.forward.phase {
            Phase::Settled(Settled::Rejected(_)) => BadEnd::Rejected,
            Phase::Settled(Settled::Unknown(_)) => BadEnd::Unknown,
            Phase::Settled(Settled::Succeeded | Settled::Failed(_) | Settled::Skipped)
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => BadEnd::Failed,
        }
    }

    /// Whether it is settled as what lets every step after it begin, whatever else its definition says. A rejected pivot was not passed.
    pub(crate) fn is_passed(&self) -> bool {
        match &self.forward.phase {
            Phase::Settled(Settled::Succeeded | Settled::Skipped) => true,
            Phase::Settled(Settled::Rejected(_) | Settled::Failed(_) | Settled::Unknown(_))
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => false,
        }
    }

    /// Whether a fallback gave a result in place of a do that ended without success.
    #[must_use]
    pub fn is_answered_for(&self) -> bool {
        match &self.substitute {
            Some(Substitute::Fallback { kind, .. }) => kind.failure().is_none(),
            Some(Substitute::Cache { .. }) | None => false,
        }
    }

    /// Whether what follows may start: it succeeded, was skipped or answered for, or is optional and ended.
    #[must_use]
    pub fn lets_pass(&self, definition: &Step) -> bool {
        match &self.forward.phase {
            Phase::Settled(Settled::Rejected(_) | Settled::Failed(_) | Settled::Unknown(_)) => {
                definition.optional || self.is_answered_for()
            }
            Phase::Settled(Settled::Succeeded | Settled::Skipped)
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => self.is_passed(),
        }
    }

    /// Why the do ended without the success that was asked for, and without anything that answered for it; by a fallback's word, if that
    /// says that it failed.
    pub(crate) fn ended_badly(&self) -> Option<&Failure> {
        if self.is_answered_for() {
            return None;
        }
        self.failed_for_good().or_else(|| self.failure())
    }

    /// The failure that a fallback declared.
    pub(crate) fn failed_for_good(&self) -> Option<&Failure> {
        self.substitute.as_ref().and_then(Substitute::failure)
    }

    /// Why its `check` refused what it did.
    pub(crate) fn rejected(&self) -> Option<&Failure> {
        self.failure().filter(|_| matches!(self.forward.phase, Phase::Settled(Settled::Rejected(_))))
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.forward.phase {
            Phase::Settled(Settled::Rejected(failure) | Settled::Failed(failure) | Settled::Unknown(failure)) => {
                Some(failure)
            }
            Phase::Settled(Settled::Succeeded | Settled::Skipped)
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => None,
        }
    }

    /// Whether an undo is needed and not begun, once the saga goes back.
    pub(crate) fn undo_is_due(&self, definition: &Step) -> bool {
        matches!(definition.effects, Effects::Undo(_)) && self.may_be_applied() && self.undo.phase == Phase::Idle
    }

    /// Whether its undo succeeded, or was declared done by hand.
    pub(crate) fn is_undone(&self) -> bool {
        matches!(self.undo.phase, Phase::Settled(Settled::Succeeded | Settled::Skipped))
    }

    /// Whether nothing of it is applied any more that could be undone.
    pub(crate) fn is_cleared(&self, definition: &Step) -> bool {
        let undone = self.is_undone();
        let nothing_to_undo = !self.may_be_applied() || !matches!(definition.effects, Effects::Undo(_));
        !self.forward.is_open() && (undone || nothing_to_undo)
    }
}

impl CommandState {
    /// Whether it began and has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self.phase {
            Phase::Held { .. } | Phase::Attempting(_) | Phase::Resting { .. } | Phase::Sleeping { .. } => true,
            Phase::Idle | Phase::Settled(_) => false,
        }
    }

    /// Whether it ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Settled(_))
    }

    /// Whether it was not performed, or a person took it as settled.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        matches!(self.phase, Phase::Settled(Settled::Skipped))
    }

    /// Whether it ended without success, as an undo that has to be looked at.
    #[must_use]
    pub fn gave_up(&self) -> Option<&Failure> {
        match &self.phase {
            Phase::Settled(Settled::Failed(failure) | Settled::Unknown(failure)) => Some(failure),
            Phase::Settled(Settled::Succeeded | Settled::Rejected(_) | Settled::Skipped)
            | Phase::Idle
            | Phase::Held { .. }
            | Phase::Attempting(_)
            | Phase::Resting { .. }
            | Phase::Sleeping { .. } => None,
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
