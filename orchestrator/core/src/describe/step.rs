//! One step of a saga, as it is shown.

use super::RequestView;
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef},
    definition::StepCompensation,
    event::SubstituteAnswer,
    id::StepIndex,
    state::{CommandOutcome, CommandPhase, CommandState, SagaPhase, SagaPlan, SagaState, StepState},
    time::rfc3339,
    words,
};
use serde::Serialize;
use serde_json::Value;

/// One step of a saga, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Name of the step, as the definition has it.
    pub step: String,
    /// What became of the step, both directions in one word.
    pub phase: StepPhase,
    /// It was skipped, may have happened, and is not undone: if the saga goes back it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped_in_doubt: bool,
    /// The saga that performed it, if its outcome was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done_in: Option<String>,
    /// How many attempts of the do were started.
    pub attempts: u32,
    /// How many attempts of the undo were started.
    #[serde(skip_serializing_if = "is_zero")]
    pub undo_attempts: u32,
    /// What the do sends, once that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<RequestView>,
    /// What the undo sends, once that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_sent: Option<RequestView>,
    /// What the participant answered, or what answered in its place: what `steps.<name>` reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What answered in place of the participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<SubstituteView>,
    /// How the last attempt, of the undo if there was one, ended, if without success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<CommandFailure>,
    /// When something happens to it by itself; RFC 3339, UTC. What a guard holds back goes on when the guard says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
}

/// What answered in place of a participant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubstituteView {
    /// `cache`, or the fallback's key: `cached`, `lastKnown`, `value`, `expression`, `fail`.
    pub kind: &'static str,
    /// When the participant gave the answer that is used again; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What answered and why, in words for people.
    pub text: String,
}

/// What became of a step, both directions in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StepPhase {
    /// The step has not begun, and nothing was sent for it.
    Pending,
    /// An attempt was started, and its answer is awaited.
    Running,
    /// The step waits for a timer, for a guard, or for the next attempt.
    Waiting,
    /// The do is applied, or the cache answered in its place.
    Succeeded,
    /// Applied, and refused by its `check`.
    Rejected,
    /// The do ended and is certainly not applied.
    Failed,
    /// It is not certain what became of the do: it may be applied.
    Unknown,
    /// The step's `if` was false, or an operator skipped the do.
    Skipped,
    /// Its undo is being worked on.
    Undoing,
    /// The undo succeeded, or an operator declared it done by hand.
    Undone,
    /// Its undo gave up, or was given up with the saga.
    UndoFailed,
}

impl StepPhase {
    /// The word, the same as in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StepPhase::Pending => "pending",
            StepPhase::Running => "running",
            StepPhase::Waiting => "waiting",
            StepPhase::Succeeded => "succeeded",
            StepPhase::Rejected => "rejected",
            StepPhase::Failed => "failed",
            StepPhase::Unknown => "unknown",
            StepPhase::Skipped => "skipped",
            StepPhase::Undoing => "undoing",
            StepPhase::Undone => "undone",
            StepPhase::UndoFailed => "undoFailed",
        }
    }

    /// Of a saga that has ended nothing is worked on any more: what an abandon interrupted is as far as it is known to
    /// have come.
    fn at_the_end(self, step: &StepState) -> StepPhase {
        match self {
            StepPhase::Running | StepPhase::Waiting if !step.forward.in_doubt.is_empty() => StepPhase::Unknown,
            StepPhase::Running | StepPhase::Waiting if step.forward.attempt == 0 => StepPhase::Pending,
            StepPhase::Running | StepPhase::Waiting => StepPhase::Failed,
            StepPhase::Undoing => StepPhase::UndoFailed,
            StepPhase::Pending
            | StepPhase::Succeeded
            | StepPhase::Rejected
            | StepPhase::Failed
            | StepPhase::Unknown
            | StepPhase::Skipped
            | StepPhase::Undone
            | StepPhase::UndoFailed => self,
        }
    }
}

impl SagaState {
    /// What the participant said late is known to the step's undo only.
    fn shown_result(&self, plan: &SagaPlan, index: StepIndex) -> Option<Value> {
        let step = self.step(index);
        if step.is_answered_for() {
            return self.results.get(&plan.definition.step(index).name).cloned();
        }
        step.result.clone()
    }

    /// What became of each step, by name, in the order of the definition.
    #[must_use]
    pub fn phases(&self, plan: &SagaPlan) -> Vec<(String, StepPhase)> {
        let phase_of = |index| (plan.definition.step(index).name.clone(), self.phase(plan, index));
        plan.definition.indices().map(phase_of).collect()
    }

    pub(super) fn phase(&self, plan: &SagaPlan, index: StepIndex) -> StepPhase {
        let step = self.step(index);
        let undoable = matches!(plan.definition.step(index).effects, StepCompensation::Undo(_));
        let phase = phase(&step.forward, &step.undo, undoable);
        if self.has_ended() { phase.at_the_end(step) } else { phase }
    }

    fn has_ended(&self) -> bool {
        matches!(self.course, SagaPhase::Ended(_))
    }

    pub(super) fn step_view(&self, plan: &SagaPlan, index: StepIndex) -> StepView {
        let (definition, step) = (plan.definition.step(index), self.step(index));
        let direction =
            if step.undo.phase == CommandPhase::Idle { CommandDirection::Do } else { CommandDirection::Undo };
        let of_shown = CommandRef { step: index, direction };
        let shown = self.command(of_shown);
        let is_over = matches!(shown.phase, CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped));
        StepView {
            step: definition.name.clone(),
            phase: self.phase(plan, index),
            done_in: step.done_in.map(|saga| saga.to_string()),
            skipped_in_doubt: step.forward.is_skipped() && step.may_be_applied() && !step.is_undone(),
            attempts: step.forward.attempt,
            undo_attempts: step.undo.attempt,
            sent: step.forward.request.as_deref().map(RequestView::of),
            undo_sent: step.undo.request.as_deref().map(RequestView::of),
            result: self.shown_result(plan, index).filter(|result| !result.is_null()),
            answered_by: step.substitute.as_ref().map(substitute_view),
            failure: shown.last_failure.clone().filter(|_| !is_over).or_else(|| {
                step.forward
                    .last_failure
                    .clone()
                    .filter(|_| !step.forward.is_settled() || step.forward.gave_up().is_some())
                    .or_else(|| step.rejected().cloned())
            }),
            next_due: shown
                .due(&self.parked)
                .filter(|_| !self.has_ended() && self.held_in_line_of(plan, of_shown).is_none())
                .map(rfc3339),
        }
    }
}

fn phase(forward: &CommandState, undo: &CommandState, undoable: bool) -> StepPhase {
    match &undo.phase {
        CommandPhase::Settled(CommandOutcome::Succeeded | CommandOutcome::Skipped) if undoable => {
            return StepPhase::Undone;
        }
        CommandPhase::Settled(_) => return StepPhase::UndoFailed,
        CommandPhase::Held { .. }
        | CommandPhase::Attempting(_)
        | CommandPhase::Resting { .. }
        | CommandPhase::Sleeping { .. } => {
            return StepPhase::Undoing;
        }
        CommandPhase::Idle => {}
    }
    match &forward.phase {
        CommandPhase::Idle => StepPhase::Pending,
        CommandPhase::Attempting(_) => StepPhase::Running,
        CommandPhase::Held { .. } | CommandPhase::Resting { .. } | CommandPhase::Sleeping { .. } => StepPhase::Waiting,
        CommandPhase::Settled(CommandOutcome::Succeeded) => StepPhase::Succeeded,
        CommandPhase::Settled(CommandOutcome::Rejected(_)) => StepPhase::Rejected,
        CommandPhase::Settled(CommandOutcome::Failed(_)) => StepPhase::Failed,
        CommandPhase::Settled(CommandOutcome::Unknown(_)) => StepPhase::Unknown,
        CommandPhase::Settled(CommandOutcome::Skipped) => StepPhase::Skipped,
    }
}

fn substitute_view(by: &SubstituteAnswer) -> SubstituteView {
    SubstituteView { kind: by.code(), at: by.answered_at().map(rfc3339), text: words::stood_in(by) }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
