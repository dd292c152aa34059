//! Answers to commands that had been given up, or that a person took as settled.

use super::{IgnoreReason, NoDecision, answer::kept, draft::DecisionDraft};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, RetryAdvice},
    definition::{PivotSide, StepCompensation},
    event::{AttemptOutcome, NoRetryReason, ParkReason, SagaEnd, SagaEvent},
    state::{CommandOutcome, CommandPhase, SagaDirection, SagaPhase, SagaPlan, SagaState},
};
use serde_json::Value;

/// Code of the incident that a success opens which contradicts what was decided or declared.
const LATE_SUCCESS: &str = "late_success";
const UNDONE_TWICE: &str = "an operator marked the undo as done, and it reports success: it may have been done twice";

impl DecisionDraft<'_, '_> {
    pub(super) fn late(&mut self, command: CommandRef, result: &Value) -> Result<(), NoDecision> {
        match command.direction {
            CommandDirection::Undo => self.late_undo(command, result),
            CommandDirection::Do => self.late_do(command, result),
        }
    }

    /// An undo that had given up reports success: it is undone after all. One that was declared done by hand may now be
    /// done twice.
    fn late_undo(&mut self, command: CommandRef, result: &Value) -> Result<(), NoDecision> {
        let it = self.state.command(command);
        let by_hand = it.is_skipped();
        if it.gave_up().is_none() && !by_hand {
            return Err(IgnoreReason::Settled.into());
        }
        let (step, direction) = (command.step, command.direction);
        self.emit(SagaEvent::StepSucceeded { step, direction, result: kept(command, result) });
        if by_hand {
            self.incident(Some(command), CommandFailure::new(LATE_SUCCESS, UNDONE_TWICE));
        }
        let parked = matches!(self.state.course, SagaPhase::Parked { reason: ParkReason::UndoFailed { .. }, .. });
        if parked && self.undos_that_gave_up().is_none() {
            self.emit(SagaEvent::SagaResumed);
        }
        Ok(())
    }

    /// A do that had been given up or skipped reports success: its undo, if it has not been sent yet, will know the
    /// result.
    fn late_do(&mut self, command: CommandRef, result: &Value) -> Result<(), NoDecision> {
        if self.nothing_followed_from(command) {
            let parked_for_it = self.is_parked_for(command);
            self.record_success(command, result);
            if parked_for_it {
                self.emit(SagaEvent::SagaResumed);
            }
            return Ok(());
        }
        let step = self.state.step(command.step);
        let undo_left = step.undo.request.is_some() || step.undo.is_settled();
        let was_open = step.forward.gave_up().is_some() || step.forward.is_skipped();
        if !was_open || step.result.is_some() || undo_left {
            return Err(IgnoreReason::Settled.into());
        }
        let contradicted = self.contradicted_by_success(command);
        self.emit(SagaEvent::ResultArrived { step: command.step, result: result.clone() });
        if let Some(what) = contradicted {
            self.incident(Some(command), CommandFailure::new(LATE_SUCCESS, what));
        }
        Ok(())
    }

    /// The attempt of a do that was given up in doubt, if a definite refusal of it says what became of the do: no other
    /// attempt is in doubt, and the saga, parked on its way forward, has not done anything about it.
    pub(super) fn doubt_settled(&self, command: CommandRef, attempt: Option<u32>, retry: RetryAdvice) -> Option<u32> {
        let it = self.state.command(command);
        let is_unknown = matches!(it.phase, CommandPhase::Settled(CommandOutcome::Unknown(_)));
        let is_do = command.direction == CommandDirection::Do;
        if retry != RetryAdvice::No || !is_do || !is_unknown || !self.nothing_followed_from(command) {
            return None;
        }
        let mut in_doubt = it.in_doubt.iter().copied();
        let only = in_doubt.next().filter(|_| in_doubt.next().is_none());
        only.filter(|only| attempt.is_none_or(|attempt| attempt == *only))
    }

    /// A do that was given up in doubt had certainly no effect. What follows from that follows now, if the saga is
    /// parked for it.
    pub(super) fn failed_late(&mut self, command: CommandRef, attempt: u32, failure: &CommandFailure) {
        let (step, direction, outcome) = (command.step, command.direction, AttemptOutcome::Failed);
        let parked_for_it = self.is_parked_for(command);
        let (again, retry_at, needs_person) = (failure.clone(), None, false);
        self.emit(SagaEvent::AttemptFailed {
            step,
            direction,
            attempt,
            outcome,
            failure: again,
            retry_at,
            needs_person,
        });
        let ending = NoRetryReason::Definite;
        self.emit(SagaEvent::StepFailed { step, direction, outcome, failure: failure.clone(), ending });
        if parked_for_it {
            self.emit(SagaEvent::SagaResumed);
        }
    }

    /// What a saga that has ended learns: its end stays as it is, and a person looks at it.
    pub(super) fn late_after_the_end(&mut self, command: CommandRef, result: &Value) {
        let what = self.told_after_the_end(command);
        let (step, direction) = (command.step, command.direction);
        let result = kept(command, result);
        if direction == CommandDirection::Do && self.state.command(command).is_settled() {
            self.emit(SagaEvent::ResultArrived { step, result });
        } else {
            self.emit(SagaEvent::StepSucceeded { step, direction, result });
        }
        self.incident(Some(command), CommandFailure::new(LATE_SUCCESS, what));
    }

    fn told_after_the_end(&self, command: CommandRef) -> &'static str {
        if self.state.command(command).is_skipped() {
            return match command.direction {
                CommandDirection::Do => "the step was skipped and reports success after the saga's end",
                CommandDirection::Undo => UNDONE_TWICE,
            };
        }
        match command.direction {
            CommandDirection::Do => {
                "the step reports success after the saga's end: it is applied, and nothing undoes it"
            }
            CommandDirection::Undo => "the undo reports success after the saga's end: the step is undone after all",
        }
    }

    /// What was declared or decided and does not hold if the do succeeded. A do that was left unknown may have
    /// succeeded: where it has an undo, that takes care of it.
    fn contradicted_by_success(&self, command: CommandRef) -> Option<&'static str> {
        let its_end = matches!(self.state.course, SagaPhase::OutcomeDue { .. });
        match &self.state.command(command).phase {
            CommandPhase::Settled(CommandOutcome::Skipped) => {
                Some("the step was skipped and reports success after all")
            }
            CommandPhase::Settled(CommandOutcome::Failed(_)) if its_end => {
                Some("the step reports success after the saga's end was decided")
            }
            CommandPhase::Settled(CommandOutcome::Unknown(_))
                if is_pivot_left_behind(self.plan, self.state, command) =>
            {
                Some("the pivot reports success, the saga is undone around it, and it has no undo")
            }
            CommandPhase::Settled(
                CommandOutcome::Succeeded
                | CommandOutcome::Rejected(_)
                | CommandOutcome::Failed(_)
                | CommandOutcome::Unknown(_),
            )
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => None,
        }
    }

    /// Whether the do was given up and the saga, parked on its way forward, has not done anything about it: what a
    /// fallback answered has been read.
    fn nothing_followed_from(&self, command: CommandRef) -> bool {
        let parked = matches!(self.state.course, SagaPhase::Parked { was: SagaDirection::Forward, .. });
        let required = !self.plan.definition.step(command.step).optional;
        let answered = self.state.step(command.step).is_answered_for();
        parked && required && !answered && self.state.command(command).gave_up().is_some()
    }

    fn is_parked_for(&self, command: CommandRef) -> bool {
        let SagaPhase::Parked { reason, .. } = &self.state.course else { return false };
        match reason {
            ParkReason::StepFailed { step, .. } | ParkReason::PivotUnknown { step, .. } => *step == command.step,
            ParkReason::UndoFailed { .. } | ParkReason::Output { .. } | ParkReason::Limit { .. } => false,
        }
    }
}

/// Whether a success of `command`, reported after the saga's end, is something that the end says nothing of, or only
/// that it is not known. Once it is on record it is no news any more.
pub(super) fn is_news_after_the_end(plan: &SagaPlan, state: &SagaState, command: CommandRef) -> bool {
    let step = state.step(command.step);
    let was_sent = state.command(command).attempt > 0;
    let abandoned = matches!(state.course, SagaPhase::Ended(SagaEnd::Abandoned { .. }));
    let has_effects = !matches!(plan.definition.step(command.step).effects, StepCompensation::ReadOnly);
    match command.direction {
        CommandDirection::Undo => was_sent && (step.undo.is_skipped() || abandoned && !step.is_undone()),
        CommandDirection::Do if step.is_undone() || step.result.is_some() => false,
        CommandDirection::Do => match &step.forward.phase {
            CommandPhase::Settled(CommandOutcome::Skipped) => true,
            CommandPhase::Settled(CommandOutcome::Unknown(_)) => {
                abandoned && has_effects || is_pivot_left_behind(plan, state, command)
            }
            CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Rejected(_)) => false,
            CommandPhase::Settled(CommandOutcome::Failed(_))
            | CommandPhase::Idle
            | CommandPhase::Held { .. }
            | CommandPhase::Attempting(_)
            | CommandPhase::Resting { .. }
            | CommandPhase::Sleeping { .. } => was_sent && has_effects,
        },
    }
}

/// Whether `command` performs a pivot that cannot be undone, and the saga goes or went back: a person said that it did
/// not happen.
fn is_pivot_left_behind(plan: &SagaPlan, state: &SagaState, command: CommandRef) -> bool {
    let definition = plan.definition.step(command.step);
    definition.side == PivotSide::Pivot && !definition.has_undo() && state.goes_back()
}
