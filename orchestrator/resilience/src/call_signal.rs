//! What a call says about its participant when it has ended.

use crate::transport::http::NOT_CONNECTED;
use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass};
use saga_guards::{adaptive::LoadSample, breaker::CallVerdict};
use std::time::Duration;

/// Failures with a code of this kind are mistakes in the request: nothing left, and nothing is said about the
/// participant.
const OWN_MISTAKE: &str = "request.";

/// Failures with a code of this kind are what the broker said of a command's record: the participant has not seen it.
const BROKER: &str = "kafka.";

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

    /// What `answer` says. To say no for a reason of the business is healthy; an error of its own is not, even where
    /// `failOn` makes it a definite failure.
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

    pub(crate) fn load(self, took: Duration) -> LoadSample {
        match self.load_signal {
            LoadSignal::Latency => LoadSample::Answered(took),
            LoadSignal::Overload => LoadSample::Overload,
            LoadSignal::None => LoadSample::None,
        }
    }

    /// Whether it speaks against the participant.
    pub(crate) fn is_bad(self) -> bool {
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

/// What the engine or the broker refused says nothing about the participant, whose own codes always have a class of an
/// answer.
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
