//! The way back.

use super::draft::{DecisionDraft, forward, undo};
use crate::{
    command::CommandFailure,
    definition::StepCompensation,
    event::{AttemptOutcome, CompensationCause, NoRetryReason, ParkReason, SagaEnd, SagaEvent},
    id::StepIndex,
    state::{CommandOutcome, CommandPhase, SagaPhase},
};
use serde_json::{Value, json};

impl DecisionDraft<'_, '_> {
    /// Goes back because of a step.
    pub(super) fn go_back(&mut self, step: StepIndex, failure: CommandFailure) {
        self.emit(SagaEvent::CompensationStarted { cause: CompensationCause::Step { step, failure } });
    }

    /// Goes back because a person said that the pivot, which is in doubt, did not happen. Where a cancel waited for the
    /// pivot, or the saga's time is over, that is the cause, and the pivot only put it off.
    pub(super) fn go_back_around(&mut self, pivot: StepIndex, failure: CommandFailure) {
        let cause = self.cause_beside_steps().unwrap_or(CompensationCause::Step { step: pivot, failure });
        self.emit(SagaEvent::CompensationStarted { cause });
    }

    /// Whether a cancel waits or the saga's time is over, before the pivot is passed.
    pub(super) fn saga_must_go_back(&self) -> bool {
        self.cause_beside_steps().is_some()
    }

    /// Goes back because of a cancel that waited, or of the saga's time, if there is one of them.
    pub(super) fn go_back_as_told(&mut self) {
        if let Some(cause) = self.cause_beside_steps() {
            self.turn_back(cause);
        }
    }

    /// Why the saga has to be undone however its steps end: a cancel that waits, or else its time. `None` once the
    /// pivot is passed.
    fn cause_beside_steps(&self) -> Option<CompensationCause> {
        if self.state.pivot_passed(self.plan) {
            return None;
        }
        let cancelled = self.state.cancel.clone().map(|(who, reason)| CompensationCause::Cancelled { who, reason });
        let ends = || self.state.deadline(self.plan, &self.context.answerable.outages, self.now);
        cancelled.or_else(|| ends().filter(|end| self.is_over(*end)).map(|_| CompensationCause::Timeout))
    }

    /// Goes back for a reason that is not a step's. A pivot in doubt that cannot be undone is for a person to look at
    /// first.
    pub(super) fn turn_back(&mut self, cause: CompensationCause) {
        match self.pivot_in_doubt() {
            Some((step, failure)) => {
                self.emit(SagaEvent::SagaParked { reason: ParkReason::PivotUnknown { step, failure } });
            }
            None => self.emit(SagaEvent::CompensationStarted { cause }),
        }
    }

    /// The pivot, if it has no undo and may have happened, and why that is not known. A pivot whose retry delay runs is
    /// ended.
    fn pivot_in_doubt(&mut self) -> Option<(StepIndex, CommandFailure)> {
        let pivot = self.state.pivot(self.plan).filter(|pivot| !self.has_undo(*pivot))?;
        let command = &self.state.step(pivot).forward;
        match &command.phase {
            CommandPhase::Settled(CommandOutcome::Unknown(failure)) => Some((pivot, failure.clone())),
            CommandPhase::Held { .. } | CommandPhase::Resting { .. } if !command.in_doubt.is_empty() => {
                Some((pivot, self.stop(pivot)))
            }
            CommandPhase::Settled(
                CommandOutcome::Succeeded
                | CommandOutcome::Rejected(_)
                | CommandOutcome::Failed(_)
                | CommandOutcome::Skipped,
            )
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => None,
        }
    }

    fn has_undo(&self, step: StepIndex) -> bool {
        self.plan.definition.step(step).has_undo()
    }

    pub(super) fn advance_back(&mut self) {
        self.settle_what_is_not_out();
        for step in self.undos_due() {
            self.begin_or_fail(undo(step));
        }
        let something_open = self.state.commands().any(|(_, command)| command.is_open());
        let something_due = !self.undos_due().is_empty();
        if !something_open && !something_due {
            self.end_back();
        }
    }

    /// Retries, waits and guards end with the way back; an attempt that is out is awaited.
    fn settle_what_is_not_out(&mut self) {
        for step in self.plan.definition.indices() {
            match self.state.step(step).forward.phase {
                CommandPhase::Held { .. } | CommandPhase::Resting { .. } | CommandPhase::Sleeping { .. } => {
                    self.stop(step);
                }
                CommandPhase::Idle | CommandPhase::Attempting(_) | CommandPhase::Settled(_) => {}
            }
        }
    }

    /// Ends a do that is not out; why is how its last attempt ended.
    fn stop(&mut self, step: StepIndex) -> CommandFailure {
        let command = &self.state.step(step).forward;
        let certain = command.in_doubt.is_empty();
        let outcome = if certain { AttemptOutcome::Failed } else { AttemptOutcome::Unknown };
        let stopped = || CommandFailure::new("stopped", "the saga goes back");
        let failure = command.last_failure.clone().unwrap_or_else(stopped);
        let direction = forward(step).direction;
        let ending = NoRetryReason::Exhausted;
        self.emit(SagaEvent::StepFailed { step, direction, outcome, failure: failure.clone(), ending });
        failure
    }

    /// A step is undone when all that depends on it is settled and, where needed, undone.
    fn undos_due(&self) -> Vec<StepIndex> {
        let definition = &self.plan.definition;
        let blocked = self.blocked();
        let is_due = |step: &StepIndex| self.state.step(*step).undo_is_due(definition.step(*step));
        definition.indices().filter(|step| is_due(step) && !blocked[step.at()]).collect()
    }

    /// By step: whether something that depends on it, at any distance, is not settled or has still to be undone. From
    /// each such step back along `after`, every step visited once: paths through a graph can be exponentially many.
    fn blocked(&self) -> Vec<bool> {
        let definition = &self.plan.definition;
        let mut blocked = vec![false; self.state.steps.len()];
        let is_clear = |step: &StepIndex| self.state.step(*step).is_cleared(definition.step(*step));
        let mut visit: Vec<StepIndex> = definition.indices().filter(|step| !is_clear(step)).collect();
        while let Some(step) = visit.pop() {
            for before in &definition.step(step).after {
                if !std::mem::replace(&mut blocked[before.at()], true) {
                    visit.push(*before);
                }
            }
        }
        blocked
    }

    fn end_back(&mut self) {
        if let Some(reason) = self.undos_that_gave_up() {
            self.emit(SagaEvent::SagaParked { reason });
            return;
        }
        let SagaPhase::Compensating { cause } = self.state.course.clone() else { return };
        let irreversible = self.state.applied_for_good(self.plan);
        let in_doubt = |step: &StepIndex| !self.state.step(*step).is_applied();
        let in_doubt = irreversible.iter().copied().filter(in_doubt).collect();
        self.end(SagaEnd::Compensated { cause, irreversible, in_doubt });
    }

    /// Steps that are applied, or may be, and not undone.
    pub(super) fn left_undone(&self) -> Vec<StepIndex> {
        let left = |step: &StepIndex| {
            let state = self.state.step(*step);
            let out = matches!(state.forward.phase, CommandPhase::Attempting(_)) || !state.forward.in_doubt.is_empty();
            let has_effects = !matches!(self.plan.definition.step(*step).effects, StepCompensation::ReadOnly);
            has_effects && !state.is_undone() && (out || state.may_be_applied())
        };
        self.plan.definition.indices().filter(left).collect()
    }

    /// A cause in the words of the outcome event: the step's name, and why.
    pub(super) fn told(&self, cause: &CompensationCause) -> (Value, Value) {
        let (step, message) = match cause {
            CompensationCause::Step { step, failure } => {
                (json!(self.plan.definition.step(*step).name), failure.message.as_str())
            }
            CompensationCause::Timeout => (Value::Null, "the saga's time was over"),
            CompensationCause::Cancelled { reason, .. } => (Value::Null, reason.as_str()),
        };
        (step, json!({"code": cause.code(), "message": message}))
    }
}
