//! What a saga needs a person for, and what operators say of commands, as they are shown.

use super::{StepPhase, told};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef},
    event::{OperatorAction, ParkReason},
    input::ActTarget,
    state::{SagaPhase, SagaPlan, SagaState},
};
use serde::Serialize;

/// A step that a parked saga waits for a person for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorNeedView {
    /// Its name.
    pub step: String,
    /// Which of its commands.
    pub direction: CommandDirection,
    /// What became of it.
    pub phase: StepPhase,
    /// Why a person is needed.
    pub failure: CommandFailure,
    /// The acts that the saga would take for it.
    pub acts: Vec<OperatorAction>,
}

impl OperatorNeedView {
    /// Its name, and whether it is the undo.
    #[must_use]
    pub fn name(&self) -> String {
        match self.direction {
            CommandDirection::Do => self.step.clone(),
            CommandDirection::Undo => format!("undo of {}", self.step),
        }
    }
}

impl SagaState {
    /// All that it needs a person for.
    #[must_use]
    pub fn needs_view(&self, plan: &SagaPlan) -> Vec<OperatorNeedView> {
        self.needs_person(plan).into_iter().filter_map(|command| self.need_view(plan, command)).collect()
    }

    fn need_view(&self, plan: &SagaPlan, command: CommandRef) -> Option<OperatorNeedView> {
        let definition = plan.definition.step(command.step);
        let mut acts = vec![OperatorAction::Retry, OperatorAction::Skip];
        acts.extend(self.refuses_cancel(plan).is_none().then_some(OperatorAction::Cancel));
        acts.push(OperatorAction::Abandon);
        Some(OperatorNeedView {
            step: definition.name.clone(),
            direction: command.direction,
            phase: self.phase(plan, command.step),
            failure: self.why_needed(command)?.clone(),
            acts,
        })
    }

    fn why_needed(&self, command: CommandRef) -> Option<&CommandFailure> {
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
}

/// Commands and why each is where it is: `charge (http.401)`.
#[must_use]
pub fn commands(plan: &SagaPlan, state: &SagaState, commands: &[CommandRef]) -> String {
    let one = |command: &CommandRef| match (&state.command(*command).last_failure, state.why_needed(*command)) {
        (_, Some(failure)) | (Some(failure), None) => format!("{} ({})", self::command(plan, *command), told(failure)),
        (None, None) => self::command(plan, *command),
    };
    commands.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A step's name, or `undo of` it.
#[must_use]
pub fn command(plan: &SagaPlan, command: CommandRef) -> String {
    let name = &plan.definition.step(command.step).name;
    match command.direction {
        CommandDirection::Do => name.clone(),
        CommandDirection::Undo => format!("undo of {name}"),
    }
}

/// What an act names, as whoever acts said it.
#[must_use]
pub fn about(about: &ActTarget) -> String {
    match about.direction {
        Some(CommandDirection::Undo) => format!("undo of {}", about.step),
        Some(CommandDirection::Do) => format!("do of {}", about.step),
        None => about.step.clone(),
    }
}

/// An act, and what it was about: `skip of charge`.
#[must_use]
pub fn acted(plan: &SagaPlan, action: OperatorAction, of: Option<CommandRef>) -> String {
    let of = of.map(|of| format!(" of {}", command(plan, of))).unwrap_or_default();
    format!("{}{of}", action.as_str())
}
