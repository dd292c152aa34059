//! Where a saga is heading.

use super::EventPosition;
use crate::{
    command::{CommandFailure, CommandRequest},
    event::{CompensationCause, ParkReason, SagaEnd},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Where a saga is heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SagaPhase {
    /// It performs its steps, towards its end.
    Forward,
    /// It is being undone.
    Compensating {
        /// The first cause for which the saga goes back.
        cause: CompensationCause,
    },
    /// It does nothing further by itself until an operator acts or a late answer resolves the cause.
    Parked {
        /// What a person has to look at.
        reason: ParkReason,
        /// Where it was heading.
        was: SagaDirection,
        /// Since when its deadlines stand still.
        since: Timestamp,
    },
    /// Its outcome event has to be delivered.
    OutcomeDue {
        /// How the saga ends when the event is delivered.
        end: SagaEnd,
        /// The outcome event as it is published.
        request: CommandRequest,
        /// How much of it that is.
        form: OutcomeForm,
        /// Why its topic did not take it; it waits until the topic takes records again.
        waits: Option<CommandFailure>,
        /// `<version>.<index>` of the event that made it due in this form.
        cause: EventPosition,
        /// When that event was recorded.
        at: Timestamp,
    },
    /// The saga has ended, and stays as it is.
    Ended(SagaEnd),
}

/// How much an outcome event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeForm {
    /// All that the definition asks for.
    Whole,
    /// The broker will never take it whole: it says so, and leaves out `output`.
    WithoutOutput,
}

/// Where a parked saga was heading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SagaDirection {
    /// It was performing its steps, towards its end.
    Forward,
    /// It was being undone, for this cause.
    Back(CompensationCause),
}
