//! Leave for one call, and what the call says when it has ended.

use super::gate::{AdmittedCall, AttemptKind, BulkheadSlot, CallGate, CallReturn, GuardRefusal, PermitRequest};
use crate::failed_call::FailedCall;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin},
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

/// Leave for one call to one participant. Dropped, it is given back and says nothing about the participant.
#[derive(Debug)]
#[must_use = "a dropped permit is given back at once"]
pub struct CallPermit {
    gate: Arc<CallGate>,
    /// Taken out when it is settled.
    ticket: Option<BreakerTicket>,
    leaving: AdmittedCall,
    attempt: AttemptKind,
    /// When it was given, or its call left.
    left_at: MonotonicTime,
    place: BulkheadPermit,
}

/// Where a call's place in the bulkhead is.
#[derive(Debug)]
enum BulkheadPermit {
    /// It has none yet.
    Nowhere,
    /// It is the permit's own.
    Here,
    /// With whoever sends the call.
    Elsewhere(BulkheadSlotCell),
}

/// The place of a call that is awaited: filled by whoever sends it, free again with the permit.
pub type BulkheadSlotCell = Arc<OnceLock<BulkheadSlot>>;

/// What a call says about its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSignal {
    pub(crate) verdict: CallVerdict,
    pub(crate) pressure: LoadSignal,
    /// How long the participant asks not to be called.
    pub(crate) pause: Option<Duration>,
}

/// What a call says about its participant's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadSignal {
    /// It answered: how soon, tells.
    ByTime,
    /// It asks for less, or did not answer in time.
    TooMuch,
    /// Nothing.
    Unsaid,
}

impl CallSignal {
    /// The call says nothing about its participant.
    pub const NOTHING: CallSignal =
        CallSignal { verdict: CallVerdict::Neutral, pressure: LoadSignal::Unsaid, pause: None };

    /// What `answer` says. To say no for a reason of the business is healthy; an error of its own is not, even where `failOn` makes it a
    /// definite failure.
    pub fn by(answer: &CommandAnswer) -> CallSignal {
        match answer {
            CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } => {
                CallSignal::of(CallVerdict::Succeeded, LoadSignal::ByTime)
            }
            CommandAnswer::NotSent { .. } => CallSignal::NOTHING,
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. } if is_ours(failure) => {
                CallSignal::NOTHING
            }
            CommandAnswer::Failed { failure, retry_after, .. } => CallSignal {
                pause: retry_after.filter(|_| asks_for_less(failure)),
                ..CallSignal::of(refusal(failure), pressure(failure))
            },
            CommandAnswer::Unknown { failure, retry_after, .. } => CallSignal {
                pause: retry_after.filter(|_| asks_for_less(failure)),
                ..CallSignal::of(failure.class.map_or(CallVerdict::Failed, ErrorClass::verdict), pressure(failure))
            },
        }
    }

    /// Nobody answered in time.
    pub(crate) const UNANSWERED: CallSignal =
        CallSignal { verdict: CallVerdict::Failed, pressure: LoadSignal::TooMuch, pause: None };

    pub(super) fn load(self, took: Duration) -> LoadSample {
        match self.pressure {
            LoadSignal::ByTime => LoadSample::Answered(took),
            LoadSignal::TooMuch => LoadSample::TooMuch,
            LoadSignal::Unsaid => LoadSample::Unsaid,
        }
    }

    /// Whether it speaks against the participant.
    fn is_bad(self) -> bool {
        match self.verdict {
            CallVerdict::Failed | CallVerdict::Throttled => true,
            CallVerdict::Succeeded | CallVerdict::Neutral => false,
        }
    }

    const fn of(verdict: CallVerdict, pressure: LoadSignal) -> CallSignal {
        CallSignal { verdict, pressure, pause: None }
    }
}

/// A failure that is certain was said by the participant itself, unless nobody was reached.
fn refusal(failure: &CommandFailure) -> CallVerdict {
    match failure.class {
        Some(class @ (ErrorClass::Network | ErrorClass::Timeout | ErrorClass::RateLimit | ErrorClass::ServerError)) => {
            class.verdict()
        }
        Some(ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown) | None => CallVerdict::Succeeded,
    }
}

fn pressure(failure: &CommandFailure) -> LoadSignal {
    match failure.class {
        Some(ErrorClass::Network) => LoadSignal::Unsaid,
        Some(ErrorClass::Timeout | ErrorClass::RateLimit) => LoadSignal::TooMuch,
        Some(ErrorClass::ServerError) if is_overloaded(failure) => LoadSignal::TooMuch,
        Some(ErrorClass::ServerError | ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown)
        | None => LoadSignal::ByTime,
    }
}

/// What the engine or the broker refused says nothing about the participant, whatever code it has.
fn is_ours(failure: &CommandFailure) -> bool {
    match failure.origin {
        FailureOrigin::Engine | FailureOrigin::Broker => true,
        FailureOrigin::Transport | FailureOrigin::Participant { .. } => false,
    }
}

fn is_overloaded(failure: &CommandFailure) -> bool {
    matches!(failure.origin.status(), Some(503 | 504))
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
        let leaving = AdmittedCall { lane, generation: ticket.generation() };
        CallPermit { gate, ticket: Some(ticket), leaving, attempt, left_at: now, place: BulkheadPermit::Nowhere }
    }

    /// Waits for the rate limit and then for a place in the bulkhead, each no longer than the participant's `maxWait`. The call leaves when this
    /// returns; its place is free again with the permit.
    ///
    /// # Errors
    /// Who refuses, and when to ask again.
    pub async fn pass(&mut self) -> Result<(), GuardRefusal> {
        self.left_at = match self.gate.leave_at_once(self.leaving)? {
            Some(now) => now,
            None => self.gate.wait_to_leave(self.leaving).await?.keep(),
        };
        self.place = BulkheadPermit::Here;
        Ok(())
    }

    /// Whether the call finds out if the participant is back.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(BreakerTicket::is_probe)
    }

    /// The same for a call whose permit stays here while somebody else sends it.
    pub fn departure(&mut self) -> (PendingCall, BulkheadSlotCell) {
        let seat = BulkheadSlotCell::default();
        self.place = BulkheadPermit::Elsewhere(Arc::clone(&seat));
        (PendingCall { gate: Arc::clone(&self.gate), leaving: self.leaving }, seat)
    }

    /// Keeps what `answer` says of a call that failed, for people to see.
    pub fn remember(&self, saga: SagaId, answer: &CommandAnswer) {
        match answer {
            CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. }
                if CallSignal::by(answer).is_bad() =>
            {
                self.gate.failed(FailedCall::now(saga, failure));
            }
            CommandAnswer::Failed { .. }
            | CommandAnswer::Unknown { .. }
            | CommandAnswer::Succeeded { .. }
            | CommandAnswer::Ongoing { .. }
            | CommandAnswer::NotSent { .. } => {}
        }
    }

    /// Tells the guards that nobody answered in time.
    pub fn was_not_answered(self, saga: SagaId) {
        let failure = CommandFailure::new("timeout", "no answer within the attempt's time")
            .of_origin(FailureOrigin::Transport)
            .of_class(ErrorClass::Timeout);
        self.gate.failed(FailedCall::now(saga, &failure));
        self.settle(CallSignal::UNANSWERED);
    }

    /// Tells the guards how the call went.
    pub fn settle(mut self, said: CallSignal) {
        self.give_back(said);
    }

    fn give_back(&mut self, said: CallSignal) {
        let Some(ticket) = self.ticket.take() else { return };
        let (left_at, has_place) = match &self.place {
            BulkheadPermit::Nowhere => (self.left_at, false),
            BulkheadPermit::Here => (self.left_at, true),
            BulkheadPermit::Elsewhere(seat) => (seat.get().map_or(self.left_at, BulkheadSlot::since), false),
        };
        self.gate.settle(CallReturn { ticket, attempt: self.attempt, left_at, has_place }, said);
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.give_back(CallSignal::NOTHING);
    }
}

/// The way out through a gate.
#[derive(Debug)]
pub struct PendingCall {
    gate: Arc<CallGate>,
    leaving: AdmittedCall,
}

impl PendingCall {
    /// As [`CallPermit::pass`]; the place is free again when the slot is dropped.
    pub async fn pass(self) -> Result<BulkheadSlot, GuardRefusal> {
        match self.gate.leave_at_once(self.leaving)? {
            Some(now) => Ok(BulkheadSlot::given(&self.gate, now)),
            None => self.gate.wait_to_leave(self.leaving).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::command::RetryAdvice;

    fn failed(code: &str, origin: FailureOrigin, class: ErrorClass) -> CallSignal {
        let failure = CommandFailure::new(code, "").of_origin(origin).of_class(class);
        CallSignal::by(&CommandAnswer::Failed { failure, retry: RetryAdvice::Yes, retry_after: None })
    }

    #[test]
    fn a_participant_cannot_speak_for_the_broker() {
        for code in ["kafka.timeout", "kafka.topic_unknown", "request.path", "expression", "connect"] {
            let by_reply = failed(code, FailureOrigin::REPLY, ErrorClass::ServerError);
            assert_eq!(by_reply.verdict, CallVerdict::Failed, "{code} of the participant counts against it");
            let by_broker = failed(code, FailureOrigin::Broker, ErrorClass::ServerError);
            assert_eq!(by_broker, CallSignal::NOTHING, "{code} of the broker says nothing about it");
        }
    }

    #[test]
    fn only_a_status_asks_for_less() {
        let by_status = failed("http.503", FailureOrigin::answer(503), ErrorClass::ServerError);
        assert_eq!(by_status.pressure, LoadSignal::TooMuch);
        let by_code = failed("http.503", FailureOrigin::REPLY, ErrorClass::ServerError);
        assert_eq!(by_code.pressure, LoadSignal::ByTime, "a reply's code is a text");
    }
}
