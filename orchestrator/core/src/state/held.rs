//! What holds a saga back.

use super::{Course, Phase, Plan, State};
use crate::{
    command::{CommandRef, Direction, Guard, Request, Whose},
    definition::{Action, Effects},
};
use std::fmt;

/// A guard that holds commands of a saga back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// Which.
    pub guard: Guard,
    /// The participant whose guard it is; of what is published, the topic.
    pub whose: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.guard.as_str(), self.whose)
    }
}

impl State {
    /// The guards that hold its commands back, each once, in order; none of a saga that is parked or has ended: nothing of it goes on when
    /// the guard lets go.
    #[must_use]
    pub fn held_by(&self, plan: &Plan) -> Vec<Held> {
        match &self.course {
            Course::Forward | Course::Compensating { .. } => {}
            Course::OutcomeDue { waits: Some(_), request, .. } => {
                return vec![Held { guard: Guard::Transport, whose: asked(request).to_owned() }];
            }
            Course::OutcomeDue { waits: None, .. } | Course::Parked { .. } | Course::Ended(_) => return Vec::new(),
        }
        let mut held: Vec<Held> = self
            .commands()
            .filter_map(|(command, it)| match &it.phase {
                Phase::Held { guard, participant, .. } => {
                    let asked = || it.request.as_deref().map(asked);
                    let whose = participant.as_deref().or_else(asked).or_else(|| planned(plan, command))?;
                    Some(Held { guard: *guard, whose: whose.to_owned() })
                }
                Phase::Idle
                | Phase::Attempting(_)
                | Phase::Resting { .. }
                | Phase::Sleeping { .. }
                | Phase::Settled(_) => None,
            })
            .collect();
        held.sort_unstable();
        held.dedup();
        held
    }
}

impl State {
    /// In whose line a command waits that a guard holds; `None`: no guard holds it, or it is on record from before that was said, and it goes on
    /// by its time.
    #[must_use]
    pub fn held_in_line_of<'a>(&'a self, plan: &'a Plan, command: CommandRef) -> Option<Whose<&'a str>> {
        let Phase::Held { participant, .. } = &self.command(command).phase else { return None };
        match (participant, command.direction, &plan.definition.step(command.step).action) {
            (Some(participant), ..) => Some(Whose::Participant(participant)),
            (None, Direction::Do, Action::Publish { topic, .. }) => Some(Whose::Topic(topic)),
            (None, Direction::Do, Action::Call(_) | Action::Wait(_)) | (None, Direction::Undo, _) => None,
        }
    }
}

fn asked(request: &Request) -> &str {
    request.whose().into_name()
}

/// Whom a command that never left will ask, as the definition says; `None` where it names a capability: whose guard it is was recorded.
fn planned(plan: &Plan, command: CommandRef) -> Option<&str> {
    let step = plan.definition.step(command.step);
    match (command.direction, &step.action, &step.effects) {
        (Direction::Do, Action::Call(call), _) => call.target.whom().participant(),
        (Direction::Do, Action::Publish { topic, .. }, _) => Some(topic),
        (Direction::Do, Action::Wait(_), _) => None,
        (Direction::Undo, _, Effects::Undo(undo)) => undo.call.target.whom().participant(),
        (Direction::Undo, _, Effects::ReadOnly | Effects::Irreversible) => None,
    }
}
