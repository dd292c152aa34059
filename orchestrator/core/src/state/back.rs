//! The way back, as the state tells it.

use super::{Course, Heading, Plan, State};
use crate::{definition::Effects, event::End, id::StepIndex};

impl State {
    /// Whether the saga goes back, or went back to its end.
    pub(crate) fn goes_back(&self) -> bool {
        match &self.course {
            Course::Compensating { .. }
            | Course::Parked { was: Heading::Back(_), .. }
            | Course::OutcomeDue { end: End::Compensated { .. }, .. }
            | Course::Ended(End::Compensated { .. }) => true,
            Course::Forward
            | Course::Parked { was: Heading::Forward, .. }
            | Course::OutcomeDue { end: End::Completed { .. } | End::Abandoned { .. }, .. }
            | Course::Ended(End::Completed { .. } | End::Abandoned { .. }) => false,
        }
    }

    /// Steps that nothing undoes and that are applied, or may be.
    pub(crate) fn applied_for_good(&self, plan: &Plan) -> Vec<StepIndex> {
        let stays = |step: &StepIndex| {
            let irreversible = matches!(plan.definition.step(*step).effects, Effects::Irreversible);
            irreversible && self.step(*step).may_be_applied()
        };
        plan.definition.indices().filter(stays).collect()
    }
}
