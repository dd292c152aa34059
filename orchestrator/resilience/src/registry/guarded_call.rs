//! The guards around a call that the engine does not make itself: for programs that embed the engine, and measurements.

use super::{GuardAdmission, GuardRegistry};
use crate::{
    call_signal::{CallSignal, LoadSignal},
    gate::{AttemptKind, CallArrival, PermitRequest},
    permit::CallPermit,
};
use saga_core::command::GuardKind;
use saga_guards::{PriorityLane, breaker::CallVerdict};
use std::time::Duration;

/// A call that has passed all guards of its participant and may be made now. Dropped, it gives everything back and says
/// nothing about the participant.
#[derive(Debug)]
#[must_use = "a dropped passage is given back at once"]
pub struct GuardedCall {
    permit: CallPermit,
}

/// A call that must not be made now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardedCallError {
    /// A guard refuses the call for now.
    #[error("the {} refuses; ask again in {not_before:?}", guard.as_str())]
    Refused {
        /// The guard that refuses.
        guard: GuardKind,
        /// When to ask again, from now. Zero: as soon as another call has ended.
        not_before: Duration,
    },
    /// No participant of that name is configured.
    #[error("no participant of that name is configured")]
    NotConfigured,
}

impl GuardRegistry {
    /// Leads a call to `participant` through all its guards, as a step's first attempt: health, line, breaker, rate
    /// limit, bulkhead. For the last two it waits in memory, at most the participant's `maxWait`; only then does it
    /// need a runtime with timers. Dropping the future takes nothing.
    ///
    /// # Errors
    /// When a guard refuses, or no participant of that name is configured.
    pub async fn acquire(&self, participant: &str, lane: PriorityLane) -> Result<GuardedCall, GuardedCallError> {
        let asking = PermitRequest { lane, attempt: AttemptKind::First, arrival: CallArrival::New };
        let mut permit = match self.admit(participant, asking) {
            GuardAdmission::Admitted(permit) => permit,
            GuardAdmission::Refused { guard, not_before } => {
                return Err(GuardedCallError::Refused { guard, not_before });
            }
            GuardAdmission::NotConfigured => return Err(GuardedCallError::NotConfigured),
        };
        match permit.acquire().await {
            Ok(()) => Ok(GuardedCall { permit }),
            Err(by) => Err(GuardedCallError::Refused { guard: by.guard, not_before: by.not_before }),
        }
    }
}

impl GuardedCall {
    /// Tells the guards how the call went; its time is that since it passed.
    pub fn end(self, verdict: CallVerdict) {
        let load_signal = match verdict {
            CallVerdict::Succeeded | CallVerdict::Failed => LoadSignal::Latency,
            CallVerdict::Throttled => LoadSignal::Overload,
            CallVerdict::Neutral => LoadSignal::None,
        };
        self.permit.settle(CallSignal { verdict, load_signal, retry_after: None });
    }
}
