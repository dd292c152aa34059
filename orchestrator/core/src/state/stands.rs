//! Where a saga stands, as the read model finds and counts it by.

use super::{SagaPhase, SagaState, SagaStatus};
use crate::{
    event::{CompensationCause, ParkReason, SagaEnd},
    id::StepIndex,
};

/// Where a saga stands and what failed. Of a saga that is on its way there is no step: it changes with every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaPosition {
    /// The step that it waits for, is parked for, or went back for.
    pub step: Option<StepIndex>,
    /// The code of the failure or of the cause; `None`: there is none.
    pub code: Option<String>,
}

/// Of a saga that is parked at a limit.
const LIMIT: &str = "limit";

impl SagaState {
    /// The step and the code for which the saga is where it is, as lists of sagas show them.
    #[must_use]
    pub fn stands(&self) -> SagaPosition {
        match &self.course {
            SagaPhase::Forward if self.status() == SagaStatus::Waiting => self.stands_waiting(),
            SagaPhase::Forward => SagaPosition::default(),
            SagaPhase::Compensating { cause } => SagaPosition { step: None, code: Some(cause.code().to_owned()) },
            SagaPhase::Parked { reason, .. } => parked(reason),
            SagaPhase::OutcomeDue { end, waits, .. } => {
                let waits = waits.as_ref().map(|failure| failure.code.clone());
                SagaPosition { step: None, code: waits.or_else(|| ended(end).code) }
            }
            SagaPhase::Ended(end) => ended(end),
        }
    }

    fn stands_waiting(&self) -> SagaPosition {
        let step = self.most_urgent().map(|(command, _)| command.step);
        let failure = step.and_then(|step| self.step(step).forward.last_failure.as_ref());
        SagaPosition { step, code: failure.map(|failure| failure.code.clone()) }
    }
}

fn parked(reason: &ParkReason) -> SagaPosition {
    let (step, code) = match reason {
        ParkReason::StepFailed { step, failure, .. } | ParkReason::PivotUnknown { step, failure } => {
            (Some(*step), failure.code.as_str())
        }
        ParkReason::UndoFailed { steps, failure } => (steps.first().copied(), failure.code.as_str()),
        ParkReason::Output { failure } => (None, failure.code.as_str()),
        ParkReason::Limit { .. } => (None, LIMIT),
    };
    SagaPosition { step, code: Some(code.to_owned()) }
}

fn ended(end: &SagaEnd) -> SagaPosition {
    let SagaEnd::Compensated { cause, .. } = end else { return SagaPosition::default() };
    let step = if let CompensationCause::Step { step, .. } = cause { Some(*step) } else { None };
    SagaPosition { step, code: Some(cause.code().to_owned()) }
}
