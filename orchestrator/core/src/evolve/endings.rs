//! How a command ended, and what answered in its place.

use super::{EventFold, of};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef, CommandRequest},
    event::{AttemptOutcome, NoRetryReason, SubstituteAnswer, TakenOutcome, TakenOverStep},
    id::StepIndex,
    state::{CommandOutcome, CommandPhase},
};
use serde_json::Value;
use std::sync::Arc;

impl EventFold<'_> {
    pub(super) fn succeeded(&mut self, command: CommandRef, result: &Value) {
        self.settle(command, CommandOutcome::Succeeded);
        if command.direction == CommandDirection::Do {
            self.pivot_settled(command.step);
            let name = self.plan.definition.step(command.step).name.clone();
            self.state.results.insert(name, result.clone());
            self.state.steps[command.step.at()].result = Some(result.clone());
        }
    }

    pub(super) fn rejected(&mut self, step: StepIndex, result: &Value, failure: &CommandFailure) {
        self.settle(of(step, CommandDirection::Do), CommandOutcome::Rejected(failure.clone()));
        self.state.steps[step.at()].result = Some(result.clone());
    }

    pub(super) fn failed(
        &mut self,
        command: CommandRef,
        outcome: AttemptOutcome,
        failure: &CommandFailure,
        ending: NoRetryReason,
    ) {
        let settled = match outcome {
            AttemptOutcome::Failed => CommandOutcome::Failed(failure.clone()),
            AttemptOutcome::Unknown => CommandOutcome::Unknown(failure.clone()),
        };
        self.settle(command, settled);
        self.state.command_mut(command).ending = Some(ending);
    }

    pub(super) fn skipped(&mut self, command: CommandRef) {
        self.settle(command, CommandOutcome::Skipped);
        if command.direction == CommandDirection::Do {
            self.pivot_settled(command.step);
        }
    }

    /// The cache settles a step for which no participant was asked; the answer of a fallback leaves open what became of
    /// the do, and the do's undo does not read it.
    pub(super) fn answered(
        &mut self,
        step: StepIndex,
        by: &SubstituteAnswer,
        request: Option<&CommandRequest>,
        result: &Value,
    ) {
        if let Some(request) = request {
            self.state.steps[step.at()].forward.request = Some(Arc::new(request.clone()));
        }
        if let SubstituteAnswer::Cache { .. } = by {
            self.settle(of(step, CommandDirection::Do), CommandOutcome::Succeeded);
            self.state.steps[step.at()].result = Some(result.clone());
        }
        if by.failure().is_none() {
            self.state.results.insert(self.plan.definition.step(step).name.clone(), result.clone());
        }
        self.state.steps[step.at()].substitute = Some(by.clone());
    }

    /// The step is settled as it was in the saga that is run again. Nothing of it was sent by this saga.
    pub(super) fn taken_over(&mut self, step: StepIndex, taken: &TakenOverStep) {
        let command = of(step, CommandDirection::Do);
        self.settle(
            command,
            match &taken.outcome {
                TakenOutcome::Succeeded => CommandOutcome::Succeeded,
                TakenOutcome::Skipped => CommandOutcome::Skipped,
                TakenOutcome::Failed { failure } => CommandOutcome::Failed(failure.clone()),
            },
        );
        let is_applied = matches!(taken.outcome, TakenOutcome::Succeeded);
        let it = &mut self.state.steps[step.at()];
        it.forward.request = taken.request.clone().map(Arc::new);
        it.result = is_applied.then(|| taken.result.clone());
        it.substitute = taken.by.clone();
        it.done_in = Some(taken.done_in);
        if taken.has_result() {
            self.state.results.insert(self.plan.definition.step(step).name.clone(), taken.result.clone());
        }
    }

    /// A success that comes after its step was given up: from now on the step may be applied, and its undo knows the
    /// result.
    pub(super) fn result_arrived(&mut self, step: StepIndex, result: &Value) {
        let it = &mut self.state.steps[step.at()];
        it.result = Some(result.clone());
        if let CommandPhase::Settled(CommandOutcome::Failed(failure)) = &it.forward.phase {
            it.forward.phase = CommandPhase::Settled(CommandOutcome::Unknown(failure.clone()));
        }
    }

    /// What is begun anew, or ends anew, has not been answered for.
    pub(super) fn forget_substitute(&mut self, command: CommandRef) {
        if command.direction == CommandDirection::Do {
            self.state.steps[command.step.at()].substitute = None;
        }
    }

    fn settle(&mut self, command: CommandRef, settled: CommandOutcome) {
        self.forget_substitute(command);
        let it = self.state.command_mut(command);
        if let CommandOutcome::Failed(failure) | CommandOutcome::Unknown(failure) = &settled {
            it.last_failure = Some(failure.clone());
        }
        it.refused = 0;
        it.ending = None;
        it.phase = CommandPhase::Settled(settled);
    }

    /// A cancel that waited for the pivot comes too late once the pivot is passed.
    fn pivot_settled(&mut self, step: StepIndex) {
        if self.plan.definition.step(step).pivot {
            self.state.cancel = None;
        }
    }
}
