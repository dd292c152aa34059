//! Where a saga stands, as the read model finds and counts it by.

use super::{Course, Plan, State, Status};
use crate::{
    event::{Cause, End, ParkReason},
    id::StepIndex,
};

/// Where a saga stands and what failed. Of a saga that is on its way there is no step: it changes with every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stands {
    /// The step that it waits for, is parked for, or went back for.
    pub step: Option<StepIndex>,
    /// The code of what failed.
    pub code: Option<String>,
}

/// Of a saga that is parked at a limit.
const LIMIT: &str = "limit";

impl State {
    /// Where it stands.
    #[must_use]
    pub fn stands(&self, plan: &Plan) -> Stands {
        match &self.course {
            Course::Forward if self.status() == Status::Waiting => self.stands_waiting(plan),
            Course::Forward => Stands::default(),
            Course::Compensating { cause } => Stands { step: None, code: Some(cause.code().to_owned()) },
            Course::Parked { reason, .. } => parked(reason),
            Course::OutcomeDue { end, waits, .. } => {
                let waits = waits.as_ref().map(|failure| failure.code.clone());
                Stands { step: None, code: waits.or_else(|| ended(end).code) }
            }
            Course::Ended(end) => ended(end),
        }
    }

    fn stands_waiting(&self, plan: &Plan) -> Stands {
        let (step, _) = self.focus(plan);
        let failure = step.and_then(|step| self.step(step).forward.last_failure.as_ref());
        Stands { step, code: failure.map(|failure| failure.code.clone()) }
    }
}

fn parked(reason: &ParkReason) -> Stands {
    let (step, code) = match reason {
        ParkReason::StepFailed { step, failure, .. } | ParkReason::PivotUnknown { step, failure } => {
            (Some(*step), failure.code.as_str())
        }
        ParkReason::UndoFailed { steps, failure } => (steps.first().copied(), failure.code.as_str()),
        ParkReason::Output { failure } => (None, failure.code.as_str()),
        ParkReason::Limit { .. } => (None, LIMIT),
    };
    Stands { step, code: Some(code.to_owned()) }
}

fn ended(end: &End) -> Stands {
    let End::Compensated { cause, .. } = end else { return Stands::default() };
    let step = if let Cause::Step { step, .. } = cause { Some(*step) } else { None };
    Stands { step, code: Some(cause.code().to_owned()) }
}
