//! When a saga has to be looked at again.

use super::{CommandState, Course, Phase, Plan, State};
use crate::{command::Direction, time::Timestamp};

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

    fn commands_due<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Timestamp> + 'a {
        self.commands().flat_map(|(command, state)| {
            let step_ends = match command.direction {
                Direction::Do => state.step_deadline(plan.policies.step(command.step).timeout),
                Direction::Undo => None,
            };
            state.due().into_iter().chain(step_ends)
        })
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
    pub(crate) fn step_deadline(&self, timeout: Option<std::time::Duration>) -> Option<Timestamp> {
        if !self.is_open() {
            return None;
        }
        Some(self.began_at?.plus(timeout?))
    }
}
