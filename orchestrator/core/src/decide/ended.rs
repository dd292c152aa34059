//! A command that ended without success, and what follows from that for its saga.

use super::draft::DecisionDraft;
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef},
    definition::PivotSide,
    event::{AttemptOutcome, NoRetryReason, ParkReason, SagaEvent},
    state::{FailureConsequence, SagaPhase},
};
use serde_json::Value;

/// What is to be done about a command that ended without success.
pub(super) struct FinalFailure {
    pub(super) failure: CommandFailure,
    pub(super) ending: NoRetryReason,
}

impl DecisionDraft<'_, '_> {
    /// The command's end, without success: certain only if no attempt of it is in doubt.
    pub(super) fn give_up(&mut self, command: CommandRef, failure: CommandFailure, ending: NoRetryReason) {
        let certain = self.state.command(command).in_doubt.is_empty();
        let outcome = if certain { AttemptOutcome::Failed } else { AttemptOutcome::Unknown };
        let (step, direction) = (command.step, command.direction);
        self.emit(SagaEvent::StepFailed { step, direction, outcome, failure: failure.clone(), ending });
        self.fall_back(command, ending);
        match direction {
            CommandDirection::Do => self.step_ended_badly(command, failure),
            CommandDirection::Undo => self.incident(Some(command), failure),
        }
    }

    /// No further attempt can be made, for a reason that a person can fix. A do that is known to be applied, because
    /// its `check` refused the result, stays so: nothing was sent that could have changed it.
    pub(super) fn cannot_be_tried_again(&mut self, command: CommandRef, failure: CommandFailure) {
        match self.rejected_result(command) {
            None => self.give_up(command, failure, NoRetryReason::NeedsPerson),
            Some(result) => self.stays_rejected(command, result, failure),
        }
    }

    /// What a do was answered that its `check` refused; `None` of one that is not known to be applied, and of an undo.
    fn rejected_result(&self, command: CommandRef) -> Option<Value> {
        let is_checked = self.plan.definition.step(command.step).check.is_some();
        let is_do = command.direction == CommandDirection::Do;
        self.state.step(command.step).result.clone().filter(|_| is_checked && is_do)
    }

    /// The saga goes back because of what the check refused, or parks for `obstacle`, which a person has to take away
    /// first.
    fn stays_rejected(&mut self, command: CommandRef, result: Value, obstacle: CommandFailure) {
        let step = command.step;
        let on_record = self.state.step(step).rejected().cloned();
        let refused = on_record.clone().or_else(|| self.check(step, &result).err()).unwrap_or_else(|| obstacle.clone());
        if on_record.is_none() {
            self.emit(SagaEvent::StepRejected { step, result, failure: refused.clone() });
        }
        self.fall_back(command, NoRetryReason::NeedsPerson);
        let why = match self.state.consequence(self.plan, step) {
            FailureConsequence::GoesBack => refused,
            FailureConsequence::Parks | FailureConsequence::ParksInDoubt => obstacle,
        };
        self.step_ended_badly(command, why);
    }

    /// What the end of a do without success means for the saga: nothing where a fallback has answered.
    pub(super) fn step_ended_badly(&mut self, command: CommandRef, failure: CommandFailure) {
        let definition = self.plan.definition.step(command.step);
        let state = self.state.step(command.step);
        if definition.optional || state.is_answered_for() || !matches!(self.state.course, SagaPhase::Forward) {
            return;
        }
        let failure = state.failed_for_good().cloned().unwrap_or(failure);
        let (step, is_pivot) = (command.step, definition.side == PivotSide::Pivot);
        let consequence = self.state.consequence(self.plan, step);
        match consequence {
            FailureConsequence::ParksInDoubt => {
                self.emit(SagaEvent::SagaParked { reason: ParkReason::PivotUnknown { step, failure } });
            }
            // A saga whose time is over is undone: to park it would only put that off.
            FailureConsequence::Parks if self.saga_must_go_back() => self.go_back_as_told(),
            FailureConsequence::Parks => {
                let end = state.bad_end();
                self.emit(SagaEvent::SagaParked { reason: ParkReason::StepFailed { step, failure, end } });
            }
            FailureConsequence::GoesBack if is_pivot && self.saga_must_go_back() => self.go_back_as_told(),
            FailureConsequence::GoesBack => self.go_back(step, failure),
        }
    }
}
