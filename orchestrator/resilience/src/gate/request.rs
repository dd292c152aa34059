//! What a call tells the gate, and what the gate answers.

use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime, PriorityLane,
    breaker::{BreakerGeneration, BreakerTicket},
};
use std::time::Duration;

/// A call that asks for a permit while its command is decided on.
#[derive(Clone, Copy, Debug)]
pub struct PermitRequest {
    /// Undos pass before dos.
    pub lane: PriorityLane,
    /// What the retry budget charges for it.
    pub attempt: AttemptKind,
    /// Which waiting commands are ahead of it.
    pub arrival: CallArrival,
}

/// How a command comes to ask for a permit: it decides which waiting commands are ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallArrival {
    /// The gate notified it out of the wait queue: no command is ahead of it.
    Notified,
    /// It has not waited: it passes behind the waiting commands of its lane and of the lanes before.
    New,
    /// It has not waited, and its last attempt was a probe that failed: it passes behind all waiting commands.
    AfterFailedProbe,
}

/// An attempt, as the retry budget sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// The first attempt of a command: it adds to the budget.
    First,
    /// A further attempt: it takes one from the budget.
    Retry,
    /// The same attempt again, because its operation is polled or a new owner of the shard sends it again: it does
    /// neither.
    Repeat,
}

/// A refusal. The call is not counted as an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRefusal {
    /// The guard that refuses.
    pub guard: GuardKind,
    /// From now until the caller may ask again.
    pub not_before: Duration,
}

impl GuardRefusal {
    pub(crate) fn by(guard: GuardKind, not_before: Duration) -> GuardRefusal {
        GuardRefusal { guard, not_before }
    }
}

/// A call that has a permit and is not in flight yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmittedCall {
    pub(crate) lane: PriorityLane,
    /// The state of the breaker that admitted it: a later state may take the admission back.
    pub(crate) generation: BreakerGeneration,
}

/// What a permit gives back at its end.
#[derive(Debug)]
pub(crate) struct CallReturn {
    pub(crate) ticket: BreakerTicket,
    pub(crate) attempt: AttemptKind,
    pub(crate) started_at: MonotonicTime,
    /// Whether the permit itself holds a slot of the bulkhead, which is then free again.
    pub(crate) holds_slot: bool,
}
