//! What an act leads to, as it is shown before the operator gives the act.

use crate::{
    command::{CommandDirection, CommandRef},
    definition::StepCompensation,
    event::{SagaDecision, SagaEnd, SagaEvent},
    id::StepIndex,
    state::{SagaPhase, SagaPlan, SagaState, SagaStatus},
};
use serde::Serialize;

/// Where a decision leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActPreview {
    /// The status that the saga would have.
    pub status: SagaStatus,
    /// The step that it would be at or wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it would be where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Steps that would be performed, or tried again, at once.
    pub starts: Vec<String>,
    /// Steps that would be undone, at once or in their turn.
    pub undoes: Vec<String>,
    /// Steps that would stay as they are although they are applied, or may be.
    pub leaves: Vec<String>,
}

impl ActPreview {
    /// Where `decision` leads; `state` is the saga after it.
    #[must_use]
    pub fn of(plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) -> ActPreview {
        let name = |step: StepIndex| plan.definition.step(step).name.clone();
        let (step, reason) = state.focus(plan);
        let begun: Vec<CommandRef> = decision.events.iter().filter_map(begun).collect();
        let begins = |step: StepIndex, direction| begun.contains(&CommandRef { step, direction });
        let steps = |is_one: &dyn Fn(StepIndex) -> bool| {
            plan.definition.indices().filter(|step| is_one(*step)).map(name).collect::<Vec<_>>()
        };
        let left = state.leaves(plan);
        ActPreview {
            status: state.status(),
            step: step.map(name),
            reason,
            starts: steps(&|step| begins(step, CommandDirection::Do)),
            undoes: steps(&|step| begins(step, CommandDirection::Undo) || state.will_be_undone(plan, step)),
            leaves: steps(&|step| left.contains(&step)),
        }
    }
}

/// The command that an event begins, or lets wait for its turn.
fn begun(event: &SagaEvent) -> Option<CommandRef> {
    let forward = |step: &StepIndex| CommandRef { step: *step, direction: CommandDirection::Do };
    if let SagaEvent::WaitStarted { step, .. } = event {
        return Some(forward(step));
    }
    if let SagaEvent::StepStarted { step, direction, .. }
    | SagaEvent::AttemptStarted { step, direction, .. }
    | SagaEvent::StepWaiting { step, direction, .. } = event
    {
        return Some(CommandRef { step: *step, direction: *direction });
    }
    None
}

impl SagaState {
    /// Whether the saga goes back and the step has still to be undone, as far as is known now: an attempt that is out
    /// may succeed.
    fn will_be_undone(&self, plan: &SagaPlan, step: StepIndex) -> bool {
        let (definition, state) = (plan.definition.step(step), self.step(step));
        let may_be = state.may_be_applied() || state.forward.is_open();
        self.goes_back() && matches!(definition.effects, StepCompensation::Undo(_)) && may_be && !state.is_undone()
    }

    /// What stays applied, or may, where the saga goes back or is abandoned.
    fn leaves(&self, plan: &SagaPlan) -> Vec<StepIndex> {
        if let SagaPhase::Ended(SagaEnd::Abandoned { left, .. }) = &self.course {
            return left.clone();
        }
        if self.goes_back() { self.applied_for_good(plan) } else { Vec::new() }
    }
}
