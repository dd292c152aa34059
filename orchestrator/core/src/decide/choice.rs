//! Who performs a command.

use super::{
    Choosing,
    answer::Ended,
    draft::{Draft, forward},
    request::GONE,
};
use crate::{
    command::{CommandRef, Direction, Failure},
    definition::{Action, Effects, Target, Whom},
    event::Ending,
    state::Plan,
};

impl Draft<'_, '_> {
    /// The participant that is to perform `command`, which has not begun; empty for what is published.
    pub(super) fn performer(&mut self, command: CommandRef) -> Result<String, Ended> {
        let Some(target) = target(self.plan, command) else { return Ok(String::new()) };
        match target.whom() {
            Whom::Participant(name) => Ok(name.clone()),
            Whom::Capability(capability) => {
                let chosen = self
                    .chosen_for_do(command, target)
                    .or_else(|| (self.context.choose)(Choosing { capability, over: target.over() }));
                chosen.ok_or_else(|| Ended { failure: nobody(capability, target), ending: Ending::NeedsPerson })
            }
        }
    }

    /// An undo by the capability of its do goes to whom the do went to: nobody else knows what to undo.
    fn chosen_for_do(&self, command: CommandRef, undo: &Target) -> Option<String> {
        let performed = match command.direction {
            Direction::Do => return None,
            Direction::Undo => forward(command.step),
        };
        let same =
            target(self.plan, performed).is_some_and(|its| its.whom() == undo.whom() && its.over() == undo.over());
        let request = self.state.command(performed).request.as_deref().filter(|_| same)?;
        request.participant().map(str::to_owned)
    }
}

fn target(plan: &Plan, command: CommandRef) -> Option<&Target> {
    let step = plan.definition.step(command.step);
    match (command.direction, &step.action, &step.effects) {
        (Direction::Do, Action::Call(call), _) => Some(&call.target),
        (Direction::Undo, _, Effects::Undo(undo)) => Some(&undo.call.target),
        (Direction::Do, Action::Wait(_) | Action::Publish { .. }, _)
        | (Direction::Undo, _, Effects::ReadOnly | Effects::Irreversible) => None,
    }
}

fn nobody(capability: &str, target: &Target) -> Failure {
    let over = target.over();
    let message =
        format!("participants.yaml has nobody with the capability `{capability}` over {over}; bring one, then retry");
    Failure::new(GONE, message)
}
