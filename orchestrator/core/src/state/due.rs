//! When a saga has to be looked at again.

use super::{CommandState, Course, Phase, Plan, State};
use crate::{
    command::{CommandRef, Direction},
    definition::Action,
    time::Timestamp,
};

impl State {
    /// The earliest point at which [`crate::input::Input::TimeReached`] may change something; `None`: never. A parked saga's times do not
    /// fire.
    #[must_use]
    pub fn next_due(&self, plan: &Plan) -> Option<Timestamp> {
        match &self.course {
            Course::Forward => self.commands_due(plan).chain(self.deadline_due(plan)).min(),
            Course::Compensating { .. } => self.commands_due(plan).min(),
            Course::Parked { .. } | Course::OutcomeDue { .. } | Course::Ended(_) => None,
        }
    }

    /// The same without what a participant's guard holds: whoever keeps the guard's waiting line lets that go on, by
    /// [`crate::input::Input::Released`].
    #[must_use]
    pub fn next_due_beside_guards(&self, plan: &Plan) -> Option<Timestamp> {
        let commands = || {
            self.commands().flat_map(|(command, state)| {
                let own = state.due().filter(|_| state.held_by().is_none());
                own.into_iter().chain(self.step_ends(plan, command))
            })
        };
        match &self.course {
            Course::Forward => commands().chain(self.deadline_due(plan)).min(),
            Course::Compensating { .. } => commands().min(),
            Course::Parked { .. } | Course::OutcomeDue { .. } | Course::Ended(_) => None,
        }
    }

    fn commands_due<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Timestamp> + 'a {
        self.commands().flat_map(|(command, state)| state.due().into_iter().chain(self.step_ends(plan, command)))
    }

    /// When the whole time of the step ends that `command` performs. It ends to matter when the saga goes back, and a wait has none: its
    /// own time is what it waits.
    pub(crate) fn step_ends(&self, plan: &Plan, command: CommandRef) -> Option<Timestamp> {
        let is_wait = matches!(plan.definition.step(command.step).action, Action::Wait(_));
        if command.direction == Direction::Undo || is_wait || !matches!(self.course, Course::Forward) {
            return None;
        }
        self.command(command).step_deadline(plan.policies.step(command.step).timeout)
    }

    /// The saga's own deadline matters until it is overdue. While the pivot is out its answer is awaited.
    pub(crate) fn deadline_due(&self, plan: &Plan) -> Option<Timestamp> {
        if self.overdue || self.pivot_is_out(plan) {
            return None;
        }
        self.deadline(plan)
    }

    /// Whether an attempt of the pivot is unanswered.
    pub(crate) fn pivot_is_out(&self, plan: &Plan) -> bool {
        self.pivot(plan).is_some_and(|pivot| matches!(self.step(pivot).forward.phase, Phase::Attempting(_)))
    }
}

impl CommandState {
    /// The participant whose guard holds it.
    #[must_use]
    pub fn held_by(&self) -> Option<&str> {
        match &self.phase {
            Phase::Held { participant, .. } => participant.as_deref(),
            Phase::Idle | Phase::Settled(_) | Phase::Attempting(_) | Phase::Resting { .. } | Phase::Sleeping { .. } => {
                None
            }
        }
    }

    /// When the command itself has to be looked at.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Idle | Phase::Settled(_) => None,
            Phase::Held { not_before, .. } => Some(*not_before),
            Phase::Attempting(attempting) => {
                Some(attempting.ask_at.map_or(attempting.deadline, |ask| ask.min(attempting.deadline)))
            }
            Phase::Resting { until } | Phase::Sleeping { until } => Some(*until),
        }
    }

    /// When the step's whole time ends, while it is worked on.
    fn step_deadline(&self, timeout: Option<std::time::Duration>) -> Option<Timestamp> {
        if !self.is_open() {
            return None;
        }
        Some(self.began_at?.plus(timeout?))
    }
}
