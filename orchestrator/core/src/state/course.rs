//! Where a saga is heading.

use super::EventName;
use crate::{
    command::{Failure, Request},
    event::{Cause, End, ParkReason},
    time::Timestamp,
};

/// Where a saga is heading.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// To its end.
    Forward,
    /// Back.
    Compensating {
        /// Why.
        cause: Cause,
    },
    /// Nowhere until somebody acts.
    Parked {
        /// Why.
        reason: ParkReason,
        /// Where it was heading.
        was: Heading,
        /// Since when its deadlines stand still.
        since: Timestamp,
    },
    /// Its outcome event has to be delivered.
    OutcomeDue {
        /// How it ends then.
        end: End,
        /// What is published.
        request: Request,
        /// How much of it that is.
        form: OutcomeForm,
        /// Why its topic did not take it; it waits until the topic takes records again.
        waits: Option<Failure>,
        /// `<version>.<index>` of the event that made it due in this form.
        cause: EventName,
        /// When it was recorded.
        at: Timestamp,
    },
    /// Terminal.
    Ended(End),
}

/// How much an outcome event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeForm {
    /// All that the definition asks for.
    Whole,
    /// The broker will never take it whole: it says so, and leaves out `output`.
    WithoutOutput,
}

/// Where a parked saga was heading.
#[derive(Clone, Debug, PartialEq)]
pub enum Heading {
    /// To its end.
    Forward,
    /// Back.
    Back(Cause),
}
