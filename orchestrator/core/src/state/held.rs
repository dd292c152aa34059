//! What holds a saga back.

use super::{CommandPhase, SagaPhase, SagaPlan, SagaState};
use crate::{
    command::{CommandDirection, CommandRef, CommandRequest, GuardKind, GuardOwner},
    definition::{StepAction, StepCompensation},
};
use std::fmt;

/// A guard that holds commands of a saga back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockingGuard {
    /// The guard, by its kind.
    pub guard: GuardKind,
    /// The participant whose guard it is; of what is published, the topic.
    pub whose: String,
}

impl fmt::Display for BlockingGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.guard.as_str(), self.whose)
    }
}

impl SagaState {
    /// The guards that hold its commands back, each once, in order; none of a saga that is parked or has ended: nothing
    /// of it goes on when the guard lets go.
    #[must_use]
    pub fn held_by(&self, plan: &SagaPlan) -> Vec<BlockingGuard> {
        match &self.course {
            SagaPhase::Forward | SagaPhase::Compensating { .. } => {}
            SagaPhase::OutcomeDue { waits: Some(_), request, .. } => {
                return vec![BlockingGuard { guard: GuardKind::Transport, whose: asked(request).to_owned() }];
            }
            SagaPhase::OutcomeDue { waits: None, .. } | SagaPhase::Parked { .. } | SagaPhase::Ended(_) => {
                return Vec::new();
            }
        }
        let mut held: Vec<BlockingGuard> = self
            .commands()
            .filter_map(|(command, it)| match &it.phase {
                CommandPhase::Held { guard, participant, .. } => {
                    let asked = || it.request.as_deref().map(asked);
                    let whose = participant.as_deref().or_else(asked).or_else(|| planned(plan, command))?;
                    Some(BlockingGuard { guard: *guard, whose: whose.to_owned() })
                }
                CommandPhase::Idle
                | CommandPhase::Attempting(_)
                | CommandPhase::Resting { .. }
                | CommandPhase::Sleeping { .. }
                | CommandPhase::Settled(_) => None,
            })
            .collect();
        held.sort_unstable();
        held.dedup();
        held
    }
}

impl SagaState {
    /// In whose line a command waits that a guard holds; `None`: no guard holds it, or it is on record from before that
    /// was said, and it goes on by its time.
    #[must_use]
    pub fn held_in_line_of<'a>(&'a self, plan: &'a SagaPlan, command: CommandRef) -> Option<GuardOwner<&'a str>> {
        let CommandPhase::Held { participant, .. } = &self.command(command).phase else { return None };
        match (participant, command.direction, &plan.definition.step(command.step).action) {
            (Some(participant), ..) => Some(GuardOwner::Participant(participant)),
            (None, CommandDirection::Do, StepAction::Publish { topic, .. }) => Some(GuardOwner::Topic(topic)),
            (None, CommandDirection::Do, StepAction::Call(_) | StepAction::Wait(_))
            | (None, CommandDirection::Undo, _) => None,
        }
    }
}

fn asked(request: &CommandRequest) -> &str {
    request.whose().into_name()
}

/// The participant that a command which was never sent will ask, as the definition says; `None` where it names a
/// capability: whose guard it is was recorded.
fn planned(plan: &SagaPlan, command: CommandRef) -> Option<&str> {
    let step = plan.definition.step(command.step);
    match (command.direction, &step.action, &step.effects) {
        (CommandDirection::Do, StepAction::Call(call), _) => call.target.whom().participant(),
        (CommandDirection::Do, StepAction::Publish { topic, .. }, _) => Some(topic),
        (CommandDirection::Do, StepAction::Wait(_), _) => None,
        (CommandDirection::Undo, _, StepCompensation::Undo(undo)) => undo.call.target.whom().participant(),
        (CommandDirection::Undo, _, StepCompensation::ReadOnly | StepCompensation::Irreversible) => None,
    }
}
