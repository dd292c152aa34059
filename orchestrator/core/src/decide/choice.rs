//! Which participant performs a command.

use super::{
    CapabilityRequest,
    draft::{DecisionDraft, forward},
    ended::FinalFailure,
    request::GONE,
};
use crate::{
    command::{CommandDirection, CommandFailure, CommandRef},
    definition::{CallTarget, ParticipantSelector, StepAction, StepCompensation},
    event::NoRetryReason,
    state::SagaPlan,
};

impl DecisionDraft<'_, '_> {
    /// The participant that is to perform `command`, which has not begun; empty for what is published.
    pub(super) fn performer(&mut self, command: CommandRef) -> Result<String, FinalFailure> {
        let Some(target) = target(self.plan, command) else { return Ok(String::new()) };
        match target.whom() {
            ParticipantSelector::Participant(name) => Ok(name.clone()),
            ParticipantSelector::Capability(capability) => {
                let chosen = self
                    .chosen_for_do(command, target)
                    .or_else(|| (self.context.choose)(CapabilityRequest { capability, over: target.over() }));
                chosen.ok_or_else(|| FinalFailure {
                    failure: nobody(capability, target),
                    ending: NoRetryReason::NeedsPerson,
                })
            }
        }
    }

    /// An undo by the capability of its do goes to the participant that got the do: no other participant knows what to
    /// undo.
    fn chosen_for_do(&self, command: CommandRef, undo: &CallTarget) -> Option<String> {
        let performed = match command.direction {
            CommandDirection::Do => return None,
            CommandDirection::Undo => forward(command.step),
        };
        let same =
            target(self.plan, performed).is_some_and(|its| its.whom() == undo.whom() && its.over() == undo.over());
        let request = self.state.command(performed).request.as_deref().filter(|_| same)?;
        request.participant().map(str::to_owned)
    }
}

fn target(plan: &SagaPlan, command: CommandRef) -> Option<&CallTarget> {
    let step = plan.definition.step(command.step);
    match (command.direction, &step.action, &step.effects) {
        (CommandDirection::Do, StepAction::Call(call), _) => Some(&call.target),
        (CommandDirection::Undo, _, StepCompensation::Undo(undo)) => Some(&undo.call.target),
        (CommandDirection::Do, StepAction::Wait(_) | StepAction::Publish { .. }, _)
        | (CommandDirection::Undo, _, StepCompensation::ReadOnly | StepCompensation::Irreversible) => None,
    }
}

fn nobody(capability: &str, target: &CallTarget) -> CommandFailure {
    let over = target.over();
    let message = format!(
        "participants.yaml has no participant with the capability `{capability}` over {over}; add one, then retry"
    );
    CommandFailure::new(GONE, message)
}
