//! Leave for one call, and what the call says when it has ended.

use super::gate::{Asking, Attempt, Back, Gate, Leaving, Refused, Slot};
use crate::failed_call::FailedCall;
use crate::transport::http::NOT_CONNECTED;
use saga_core::{
    command::{Answer, ErrorClass, Failure},
    id::SagaId,
};
use saga_guards::{
    Monotonic,
    adaptive::Load,
    breaker::{Ticket, Verdict},
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
pub struct Permit {
    gate: Arc<Gate>,
    /// Taken out when it is settled.
    ticket: Option<Ticket>,
    leaving: Leaving,
    attempt: Attempt,
    /// When it was given, or its call left.
    left_at: Monotonic,
    place: Place,
}

/// Where a call's place in the bulkhead is.
#[derive(Debug)]
enum Place {
    /// It has none yet.
    Nowhere,
    /// It is the permit's own.
    Here,
    /// With whoever sends the call.
    Elsewhere(Seat),
}

/// The place of a call that is awaited: filled by whoever sends it, free again with the permit.
pub type Seat = Arc<OnceLock<Slot>>;

/// What a call says about its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub(crate) verdict: Verdict,
    pub(crate) pressure: Pressure,
    /// How long the participant asks not to be called.
    pub(crate) pause: Option<Duration>,
}

/// What a call says about its participant's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// It answered: how soon, tells.
    ByTime,
    /// It asks for less, or did not answer in time.
    TooMuch,
    /// Nothing.
    Unsaid,
}

impl Said {
    /// The call says nothing about its participant.
    pub const NOTHING: Said = Said { verdict: Verdict::Neutral, pressure: Pressure::Unsaid, pause: None };

    /// What `answer` says. To say no for a reason of the business is healthy; an error of its own is not, even where `failOn` makes it a
    /// definite failure.
    pub fn by(answer: &Answer) -> Said {
        match answer {
            Answer::Succeeded { .. } | Answer::Ongoing { .. } => Said::of(Verdict::Succeeded, Pressure::ByTime),
            Answer::NotSent { .. } => Said::NOTHING,
            Answer::Failed { failure, .. } | Answer::Unknown { failure, .. } if is_ours(failure) => Said::NOTHING,
            Answer::Failed { failure, retry_after, .. } => Said {
                pause: retry_after.filter(|_| asks_for_less(failure)),
                ..Said::of(refusal(failure), pressure(failure))
            },
            Answer::Unknown { failure, retry_after, .. } => Said {
                pause: retry_after.filter(|_| asks_for_less(failure)),
                ..Said::of(failure.class.map_or(Verdict::Failed, ErrorClass::verdict), pressure(failure))
            },
        }
    }

    /// Nobody answered in time.
    pub(crate) const UNANSWERED: Said = Said { verdict: Verdict::Failed, pressure: Pressure::TooMuch, pause: None };

    pub(super) fn load(self, took: Duration) -> Load {
        match self.pressure {
            Pressure::ByTime => Load::Answered(took),
            Pressure::TooMuch => Load::TooMuch,
            Pressure::Unsaid => Load::Unsaid,
        }
    }

    /// Whether it speaks against the participant.
    fn is_bad(self) -> bool {
        match self.verdict {
            Verdict::Failed | Verdict::Throttled => true,
            Verdict::Succeeded | Verdict::Neutral => false,
        }
    }

    const fn of(verdict: Verdict, pressure: Pressure) -> Said {
        Said { verdict, pressure, pause: None }
    }
}

/// A failure that is certain was said by the participant itself, unless nobody was reached.
fn refusal(failure: &Failure) -> Verdict {
    match failure.class {
        Some(class @ (ErrorClass::Network | ErrorClass::Timeout | ErrorClass::RateLimit | ErrorClass::ServerError)) => {
            class.verdict()
        }
        None if failure.code == NOT_CONNECTED => Verdict::Failed,
        Some(ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown) | None => Verdict::Succeeded,
    }
}

fn pressure(failure: &Failure) -> Pressure {
    match failure.class {
        Some(ErrorClass::Network) => Pressure::Unsaid,
        Some(ErrorClass::Timeout | ErrorClass::RateLimit) => Pressure::TooMuch,
        Some(ErrorClass::ServerError) if is_overloaded(failure) => Pressure::TooMuch,
        Some(ErrorClass::ServerError | ErrorClass::ClientError | ErrorClass::Validation | ErrorClass::Unknown)
        | None => Pressure::ByTime,
    }
}

/// What the engine or the broker refused says nothing about the participant, whose own codes always have a class of an answer.
fn is_ours(failure: &Failure) -> bool {
    (failure.class.is_none() && failure.code.starts_with(OWN_MISTAKE)) || failure.code.starts_with(BROKER)
}

fn is_overloaded(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "http.503" | "http.504")
}

/// Only an answer about load speaks for all calls to the participant; another one speaks for its own.
fn asks_for_less(failure: &Failure) -> bool {
    failure.class == Some(ErrorClass::RateLimit) || is_overloaded(failure)
}

impl Permit {
    pub(super) fn new(gate: Arc<Gate>, ticket: Ticket, asking: Asking, now: Monotonic) -> Permit {
        let Asking { lane, attempt, .. } = asking;
        let leaving = Leaving { lane, generation: ticket.generation() };
        Permit { gate, ticket: Some(ticket), leaving, attempt, left_at: now, place: Place::Nowhere }
    }

    /// Waits for the rate limit and then for a place in the bulkhead, each no longer than the participant's `maxWait`. The call leaves when this
    /// returns; its place is free again with the permit.
    ///
    /// # Errors
    /// Who refuses, and when to ask again.
    pub async fn pass(&mut self) -> Result<(), Refused> {
        self.left_at = match self.gate.leave_at_once(self.leaving)? {
            Some(now) => now,
            None => self.gate.wait_to_leave(self.leaving).await?.keep(),
        };
        self.place = Place::Here;
        Ok(())
    }

    /// Whether the call finds out if the participant is back.
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_probe)
    }

    /// The same for a call whose permit stays here while somebody else sends it.
    pub fn departure(&mut self) -> (Departure, Seat) {
        let seat = Seat::default();
        self.place = Place::Elsewhere(Arc::clone(&seat));
        (Departure { gate: Arc::clone(&self.gate), leaving: self.leaving }, seat)
    }

    /// Keeps what `answer` says of a call that failed, for people to see.
    pub fn remember(&self, saga: SagaId, answer: &Answer) {
        match answer {
            Answer::Failed { failure, .. } | Answer::Unknown { failure, .. } if Said::by(answer).is_bad() => {
                self.gate.failed(FailedCall::now(saga, failure));
            }
            Answer::Failed { .. }
            | Answer::Unknown { .. }
            | Answer::Succeeded { .. }
            | Answer::Ongoing { .. }
            | Answer::NotSent { .. } => {}
        }
    }

    /// Tells the guards that nobody answered in time.
    pub fn was_not_answered(self, saga: SagaId) {
        let failure = Failure::new("timeout", "no answer within the attempt's time").of_class(ErrorClass::Timeout);
        self.gate.failed(FailedCall::now(saga, &failure));
        self.settle(Said::UNANSWERED);
    }

    /// Tells the guards how the call went.
    pub fn settle(mut self, said: Said) {
        self.give_back(said);
    }

    fn give_back(&mut self, said: Said) {
        let Some(ticket) = self.ticket.take() else { return };
        let (left_at, has_place) = match &self.place {
            Place::Nowhere => (self.left_at, false),
            Place::Here => (self.left_at, true),
            Place::Elsewhere(seat) => (seat.get().map_or(self.left_at, Slot::since), false),
        };
        self.gate.settle(Back { ticket, attempt: self.attempt, left_at, has_place }, said);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(Said::NOTHING);
    }
}

/// The way out through a gate.
#[derive(Debug)]
pub struct Departure {
    gate: Arc<Gate>,
    leaving: Leaving,
}

impl Departure {
    /// As [`Permit::pass`]; the place is free again when the slot is dropped.
    pub async fn pass(self) -> Result<Slot, Refused> {
        match self.gate.leave_at_once(self.leaving)? {
            Some(now) => Ok(Slot::given(&self.gate, now)),
            None => self.gate.wait_to_leave(self.leaving).await,
        }
    }
}
