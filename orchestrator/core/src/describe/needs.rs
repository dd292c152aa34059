//! What a saga needs a person for, as it is shown.

use super::StepPhase;
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef},
    event::OperatorAction,
    state::{SagaPlan, SagaState},
};
use serde::Serialize;

/// A step that a parked saga waits for a person for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorNeedView {
    /// Name of the step, as the definition has it.
    pub step: String,
    /// Whether the step's do or its undo needs a person.
    pub direction: CommandDirection,
    /// What became of the step, both directions in one word.
    pub phase: StepPhase,
    /// The failure for which a person is needed.
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
}
