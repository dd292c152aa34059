//! Leave for one call, and what the call says when it has ended.

use super::gate::{AdmittedCall, AttemptKind, BulkheadSlot, CallGate, CallReturn, GuardRefusal, PermitRequest};
use crate::failed_call::FailedCall;
use crate::transport::http::NOT_CONNECTED;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass},
    id::SagaId,
};
use saga_guards::{
    MonotonicTime,
    adaptive::LoadSample,
    breaker::{BreakerTicket, CallVerdict},
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Failures with a code of this kind are mistakes in the request: nothing left, and nothing is said about the participant.
const OWN_MISTAKE: &str = "request.";

/// Failures with a code of this kind are what the broker said of a command's record: the participant has not seen it.
const BROKER: &str = "kafka.";

/// Leave for one call to one participant. Dropped, it is given back and says nothing about the participant.
#[derive(Debug)]
#[must_use = "a dropped permit is given back at once"]
pub struct CallPermit {
    gate: Arc<CallGate>,
    /// Taken out when it is settled.
    ticket: Option<BreakerTicket>,
    admitted: AdmittedCall,
    attempt: AttemptKind,
    /// When it was given, or its call left.
    started_at: MonotonicTime,
    bulkhead_permit: BulkheadPermit,
}

/// Where a call's place in the bulkhead is.
#[derive(Debug)]
enum BulkheadPermit {
    /// It has none yet.
    None,
    /// It is the permit's own.
    Held,
    /// With whoever sends the call.
    Delegated(BulkheadSlotCell),
}

/// The place of a call that is awaited: filled by whoever sends it, free again with the permit.
pub type BulkheadSlotCell = Arc<OnceLock<BulkheadSlot>>;

/// What a call says about its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSignal {
    pub(crate) verdict: CallVerdict,
    pub(crate) load_signal: LoadSignal,
    /// How long the participant asks not to be called.
    pub(crate) retry_after: Option<Duration>,
}

/// What a call says about its participant's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadSignal {
    /// It answered: how soon, tells.
    Latency,
    /// It asks for less, or did not answer in time.
    Overload,
    /// Nothing.
    None,
}

impl CallSignal {
    /// The call says nothing about its participant.
    pub const NEUTRAL: CallSignal =
        CallSignal { verdict: CallVerdict::Neutral, load_signal: LoadSignal::None, retry_after: None };

    /// What `answer` says. To say no for a reason of the business is healthy; an error of its own is not, even where `failOn` makes it a
    /// definite failure.
    pub fn from_answer(answer: &CommandAnswer) -> CallSignal {
        match answer {
            CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } => {
                CallSignal::of(CallVerdict::Succeeded, LoadSignal::Latency)
            }
            CommandAnswer::NotSent { .. } => CallSignal::NEUTRAL,
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. }
                if is_engine_or_broker_failure(failure) =>
            {
                CallSignal::NEUTRAL
            }
            CommandAnswer::Failed { failure, retry_after, .. } => CallSignal {
                retry_after: retry_after.filter(|_| asks_for_less(failure)),
                ..CallSignal::of(refusal(failure), load_signal(failure))
            },
            CommandAnswer::Unknown { failure, retry_after, .. } => CallSignal {
                retry_after: retry_after.filter(|_| asks_for_less(failure)),
                ..CallSignal::of(failure.class.map_or(CallVerdict::Failed, ErrorClass::verdict), load_signal(failure))
            },
        }
    }

    /// Nobody answered in time.
    pub(crate) const TIMEOUT: CallSignal =
        CallSignal { verdict: CallVerdict::Failed, load_signal: LoadSignal::Overload, retry_after: None };

    pub(super) fn load(self, took: Duration) -> LoadSample {
        match self.load_signal {
            LoadSignal::Latency => LoadSample::Answered(took),
            LoadSignal::Overload => LoadSample::Overload,
            LoadSignal::None => LoadSample::None,
        }
    }

    /// Whether it speaks against the participant.
    fn is_bad(self) -> bool {
        match self.verdict {
            CallVerdict::Failed | CallVerdict::Throttled => true,
            CallVerdict::Succeeded | CallVerdict::Neutral => false,
        }
    }

    const fn of(verdict: CallVerdict, load_signal: LoadSignal) -> CallSignal {
        CallSignal { verdict, load_signal, retry_after: None }
    }
}

/// A failure that is certain was said by the participant itself, unless nobody was reached.
fn refusal(failure: &CommandFailure) -> CallVerdict {
    match failure.class {
        Some(class @ (ErrorClass::Network | ErrorClass::Timeout | ErrorClass::RateLimit | ErrorClass::ServerError)) => {
            class.verdict()
        }
        None if failure.code == NOT_CONNECTED => CallVerdict::Failed,
        Some(ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown) | None => CallVerdict::Succeeded,
    }
}

fn load_signal(failure: &CommandFailure) -> LoadSignal {
    match failure.class {
        Some(ErrorClass::Network) => LoadSignal::None,
        Some(ErrorClass::Timeout | ErrorClass::RateLimit) => LoadSignal::Overload,
        Some(ErrorClass::ServerError) if is_overloaded(failure) => LoadSignal::Overload,
        Some(ErrorClass::ServerError | ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown)
        | None => LoadSignal::Latency,
    }
}

/// What the engine or the broker refused says nothing about the participant, whose own codes always have a class of an answer.
fn is_engine_or_broker_failure(failure: &CommandFailure) -> bool {
    (failure.class.is_none() && failure.code.starts_with(OWN_MISTAKE)) || failure.code.starts_with(BROKER)
}

fn is_overloaded(failure: &CommandFailure) -> bool {
    matches!(failure.code.as_str(), "http.503" | "http.504")
}

/// Only an answer about load speaks for all calls to the participant; another one speaks for its own.
fn asks_for_less(failure: &CommandFailure) -> bool {
    failure.class == Some(ErrorClass::RateLimit) || is_overloaded(failure)
}

impl CallPermit {
    pub(super) fn new(
        gate: Arc<CallGate>,
        ticket: BreakerTicket,
        asking: PermitRequest,
        now: MonotonicTime,
    ) -> CallPermit {
        let PermitRequest { lane, attempt, .. } = asking;
        let admitted = AdmittedCall { lane, generation: ticket.generation() };
        CallPermit {
            gate,
            ticket: Some(ticket),
            admitted,
            attempt,
            started_at: now,
            bulkhead_permit: BulkheadPermit::None,
        }
    }

    /// Waits for the rate limit and then for a place in the bulkhead, each no longer than the participant's `maxWait`. The call leaves when this
    /// returns; its place is free again with the permit.
    ///
    /// # Errors
    /// Who refuses, and when to ask again.
    pub async fn acquire(&mut self) -> Result<(), GuardRefusal> {
        self.started_at = match self.gate.try_acquire(self.admitted)? {
            Some(now) => now,
            None => self.gate.acquire_within_max_wait(self.admitted).await?.forget(),
        };
        self.bulkhead_permit = BulkheadPermit::Held;
        Ok(())
    }

    /// Whether the call finds out if the participant is back.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(BreakerTicket::is_probe)
    }

    /// The same for a call whose permit stays here while somebody else sends it.
    pub fn delegate(&mut self) -> (PendingCall, BulkheadSlotCell) {
        let seat = BulkheadSlotCell::default();
        self.bulkhead_permit = BulkheadPermit::Delegated(Arc::clone(&seat));
        (PendingCall { gate: Arc::clone(&self.gate), admitted: self.admitted }, seat)
    }

    /// Keeps what `answer` says of a call that failed, for people to see.
    pub fn record_failure(&self, saga: SagaId, answer: &CommandAnswer) {
        match answer {
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. }
                if CallSignal::from_answer(answer).is_bad() =>
            {
                self.gate.record_failure(FailedCall::now(saga, failure));
            }
            CommandAnswer::Failed { .. }
            | CommandAnswer::Unknown { .. }
            | CommandAnswer::Succeeded { .. }
            | CommandAnswer::Ongoing { .. }
            | CommandAnswer::NotSent { .. } => {}
        }
    }

    /// Tells the guards that nobody answered in time.
    pub fn settle_timeout(self, saga: SagaId) {
        let failure =
            CommandFailure::new("timeout", "no answer within the attempt's time").of_class(ErrorClass::Timeout);
        self.gate.record_failure(FailedCall::now(saga, &failure));
        self.settle(CallSignal::TIMEOUT);
    }

    /// Tells the guards how the call went.
    pub fn settle(mut self, said: CallSignal) {
        self.give_back(said);
    }

    fn give_back(&mut self, said: CallSignal) {
        let Some(ticket) = self.ticket.take() else { return };
        let (started_at, holds_slot) = match &self.bulkhead_permit {
            BulkheadPermit::None => (self.started_at, false),
            BulkheadPermit::Held => (self.started_at, true),
            BulkheadPermit::Delegated(seat) => (seat.get().map_or(self.started_at, BulkheadSlot::since), false),
        };
        self.gate.settle(CallReturn { ticket, attempt: self.attempt, started_at, holds_slot }, said);
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.give_back(CallSignal::NEUTRAL);
    }
}

/// The way out through a gate.
#[derive(Debug)]
pub struct PendingCall {
    gate: Arc<CallGate>,
    admitted: AdmittedCall,
}

impl PendingCall {
    /// As [`CallPermit::pass`]; the place is free again when the slot is dropped.
    pub async fn acquire(self) -> Result<BulkheadSlot, GuardRefusal> {
        match self.gate.try_acquire(self.admitted)? {
            Some(now) => Ok(BulkheadSlot::given(&self.gate, now)),
            None => self.gate.acquire_within_max_wait(self.admitted).await,
        }
    }
}
