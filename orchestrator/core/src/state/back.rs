//! The way back, as the state tells it.

use super::{SagaDirection, SagaPhase, SagaPlan, SagaState};
use crate::{definition::StepCompensation, event::SagaEnd, id::StepIndex};

impl SagaState {
    /// Whether the saga goes back, or went back to its end.
    pub(crate) fn goes_back(&self) -> bool {
        match &self.course {
            SagaPhase::Compensating { .. }
            | SagaPhase::Parked { was: SagaDirection::Back(_), .. }
            | SagaPhase::OutcomeDue { end: SagaEnd::Compensated { .. }, .. }
            | SagaPhase::Ended(SagaEnd::Compensated { .. }) => true,
            SagaPhase::Forward
            | SagaPhase::Parked { was: SagaDirection::Forward, .. }
            | SagaPhase::OutcomeDue { end: SagaEnd::Completed { .. } | SagaEnd::Abandoned { .. }, .. }
            | SagaPhase::Ended(SagaEnd::Completed { .. } | SagaEnd::Abandoned { .. }) => false,
        }
    }

    /// Steps that nothing undoes and that are applied, or may be.
    pub(crate) fn applied_for_good(&self, plan: &SagaPlan) -> Vec<StepIndex> {
        let stays = |step: &StepIndex| {
            let irreversible = matches!(plan.definition.step(*step).effects, StepCompensation::Irreversible);
            irreversible && self.step(*step).may_be_applied()
        };
        plan.definition.indices().filter(stays).collect()
    }
}
