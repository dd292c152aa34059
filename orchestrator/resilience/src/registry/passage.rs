//! The guards around a call that somebody else makes: programs that embed the engine, and measurements.

use super::{Admission, Guarded};
use crate::{
    gate::{Asking, Attempt, Coming},
    permit::{Permit, Pressure, Said},
};
use saga_core::command::Guard;
use saga_guards::{Lane, breaker::Verdict};
use std::time::Duration;

/// A call that has passed all guards of its participant and may be made now. Dropped, it gives everything back and says nothing about the
/// participant.
#[derive(Debug)]
#[must_use = "a dropped passage is given back at once"]
pub struct Passage {
    permit: Permit,
}

/// A call that must not be made now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPassed {
    /// A guard says no.
    #[error("the {} refuses; ask again in {not_before:?}", guard.as_str())]
    Refused {
        /// Which one.
        guard: Guard,
        /// When to ask again, from now. Zero: as soon as another call has ended.
        not_before: Duration,
    },
    /// Nobody of that name is configured.
    #[error("no participant of that name is configured")]
    Gone,
}

impl Guarded {
    /// Leads a call to `participant` through all its guards, as a step's first attempt: health, line, breaker, rate limit, bulkhead. For
    /// the last two it waits in memory, at most the participant's `maxWait`; only then does it need a runtime with timers. Dropping the
    /// future takes nothing.
    ///
    /// # Errors
    /// When a guard refuses, or nobody is called so.
    pub async fn pass(&self, participant: &str, lane: Lane) -> Result<Passage, NotPassed> {
        let asking = Asking { lane, attempt: Attempt::First, coming: Coming::Anew };
        let mut permit = match self.admit(participant, asking) {
            Admission::Admitted(permit) => permit,
            Admission::Refused { guard, not_before } => return Err(NotPassed::Refused { guard, not_before }),
            Admission::Gone => return Err(NotPassed::Gone),
        };
        match permit.pass().await {
            Ok(()) => Ok(Passage { permit }),
            Err(by) => Err(NotPassed::Refused { guard: by.guard, not_before: by.not_before }),
        }
    }
}

impl Passage {
    /// Tells the guards how the call went; its time is that since it passed.
    pub fn end(self, verdict: Verdict) {
        let pressure = match verdict {
            Verdict::Succeeded | Verdict::Failed => Pressure::ByTime,
            Verdict::Throttled => Pressure::TooMuch,
            Verdict::Neutral => Pressure::Unsaid,
        };
        self.permit.settle(Said { verdict, pressure, pause: None });
    }
}
