//! What a parked saga needs a person for.

use super::{SagaDirection, SagaPhase, SagaPlan, SagaState};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, EXPRESSION},
    definition::{PivotSide, StepCompensation},
    event::{NoRetryReason, ParkReason},
    id::StepIndex,
    policy::ExhaustionPolicy,
};

/// What follows from a required do that ended without success, as long as nothing else sends the saga back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureConsequence {
    /// The saga parks, and a person decides.
    Parks,
    /// It is a pivot that may have happened and cannot be undone: a person finds out.
    ParksInDoubt,
    /// The saga is undone.
    GoesBack,
}

impl SagaState {
    /// The commands that a parked saga waits for a person for, steps in order. None where it is parked for something
    /// else than a step.
    #[must_use]
    pub fn needs_person(&self, plan: &SagaPlan) -> Vec<CommandRef> {
        match &self.course {
            SagaPhase::Parked { reason: ParkReason::Output { .. }, .. }
            | SagaPhase::Forward
            | SagaPhase::Compensating { .. }
            | SagaPhase::OutcomeDue { .. }
            | SagaPhase::Ended(_) => Vec::new(),
            SagaPhase::Parked { was: SagaDirection::Back(_), .. } => self.undos_given_up(plan),
            SagaPhase::Parked { was: SagaDirection::Forward, reason, .. } => {
                let mut needs: Vec<CommandRef> =
                    self.ended_badly(plan).filter(|it| self.parks(plan, reason, *it)).collect();
                needs.extend(self.undos_given_up(plan));
                needs
            }
        }
    }

    /// Why a person is needed for `command`.
    pub(crate) fn why_needed(&self, command: CommandRef) -> Option<&CommandFailure> {
        let step = self.step(command.step);
        match (command.direction, &self.course) {
            (CommandDirection::Undo, _) => step.undo.gave_up(),
            (
                CommandDirection::Do,
                SagaPhase::Parked { reason: ParkReason::StepFailed { step, failure, .. }, .. }
                | SagaPhase::Parked { reason: ParkReason::PivotUnknown { step, failure }, .. },
            ) if *step == command.step => Some(failure),
            (CommandDirection::Do, _) => step.ended_badly(),
        }
    }

    /// Required dos that ended without success, whatever follows from that.
    pub(crate) fn ended_badly(&self, plan: &SagaPlan) -> impl Iterator<Item = CommandRef> {
        let is_one =
            |step: &StepIndex| !plan.definition.step(*step).optional && self.step(*step).ended_badly().is_some();
        let command = |step| CommandRef { step, direction: CommandDirection::Do };
        plan.definition.indices().filter(is_one).map(command)
    }

    pub(crate) fn undos_given_up(&self, plan: &SagaPlan) -> Vec<CommandRef> {
        let gave_up = |step: &StepIndex| self.step(*step).undo.gave_up().is_some();
        let command = |step| CommandRef { step, direction: CommandDirection::Undo };
        plan.definition.indices().filter(gave_up).map(command).collect()
    }

    /// Whether the saga is parked for `command`, or would park for it if it were moved on.
    fn parks(&self, plan: &SagaPlan, reason: &ParkReason, command: CommandRef) -> bool {
        let named = match reason {
            ParkReason::StepFailed { step, .. } | ParkReason::PivotUnknown { step, .. } => *step == command.step,
            ParkReason::UndoFailed { .. } | ParkReason::Output { .. } | ParkReason::Limit { .. } => false,
        };
        named || self.consequence(plan, command.step) != FailureConsequence::GoesBack
    }

    /// What follows from the bad end of `step`.
    pub(crate) fn consequence(&self, plan: &SagaPlan, step: StepIndex) -> FailureConsequence {
        let (definition, state) = (plan.definition.step(step), self.step(step));
        let parks = match self.ending(step) {
            NoRetryReason::NeedsPerson => true,
            NoRetryReason::Exhausted => plan.policies.step(step).on_exhausted == ExhaustionPolicy::Park,
            NoRetryReason::Definite => self.is_mistake_before_any_effect(plan, step),
        };
        match definition.side {
            PivotSide::After => FailureConsequence::Parks,
            PivotSide::Pivot if state.may_be_applied() && !definition.has_undo() => FailureConsequence::ParksInDoubt,
            PivotSide::Pivot | PivotSide::Before if parks => FailureConsequence::Parks,
            PivotSide::Pivot | PivotSide::Before => FailureConsequence::GoesBack,
        }
    }

    /// Whether `step` was sent and ended as no further attempt is expected to change: the participant refused it for
    /// good, or its `check` refused the result.
    pub(crate) fn is_refused_for_good(&self, step: StepIndex) -> bool {
        let state = self.step(step);
        let was_sent = state.forward.request.is_some() && state.ended_badly().is_some();
        was_sent && self.ending(step) == NoRetryReason::Definite
    }

    /// Why no attempt followed the last one of a do that ended badly.
    fn ending(&self, step: StepIndex) -> NoRetryReason {
        let state = self.step(step);
        let ending = if state.failed_for_good().is_some() { None } else { state.forward.ending };
        ending.unwrap_or(NoRetryReason::Definite)
    }

    /// An expression without a value is a mistake of the definition or of the event, and no participant's answer. While
    /// nothing that has effects was sent, or it certainly had none, there is nothing to take back: the saga does not
    /// report a failure before a person has looked.
    fn is_mistake_before_any_effect(&self, plan: &SagaPlan, step: StepIndex) -> bool {
        let state = self.step(step);
        let is_mistake =
            state.failed_for_good().is_none() && state.ended_badly().is_some_and(|failure| failure.code == EXPRESSION);
        let without_effect = |step: StepIndex| {
            let state = self.step(step);
            let is_out = state.forward.is_open() || !state.forward.in_doubt.is_empty();
            matches!(plan.definition.step(step).effects, StepCompensation::ReadOnly)
                || !(is_out || state.may_be_applied())
        };
        is_mistake && plan.definition.indices().all(without_effect)
    }
}
