//! What a call says about its participant when it has ended.

use saga_core::command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin};
use saga_guards::{adaptive::LoadSample, breaker::CallVerdict};
use std::time::Duration;

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
    /// The call says nothing about the load.
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

    /// The participant did not answer in time.
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

/// The verdict on a certain failure. The participant itself refused, unless the call could not reach it.
fn refusal(failure: &CommandFailure) -> CallVerdict {
    match failure.class {
        Some(class @ (ErrorClass::Network | ErrorClass::Timeout | ErrorClass::RateLimit | ErrorClass::ServerError)) => {
            class.verdict()
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::command::RetryAdvice;

    fn failed(code: &str, origin: FailureOrigin, class: ErrorClass) -> CallSignal {
        let failure = CommandFailure::new(code, "").of_origin(origin).of_class(class);
        CallSignal::from_answer(&CommandAnswer::Failed { failure, retry: RetryAdvice::Yes, retry_after: None })
    }

    #[test]
    fn a_participant_cannot_speak_for_the_broker() {
        for code in ["kafka.timeout", "kafka.topic_unknown", "request.path", "expression", "connect"] {
            let by_reply = failed(code, FailureOrigin::REPLY, ErrorClass::ServerError);
            assert_eq!(by_reply.verdict, CallVerdict::Failed, "{code} of the participant counts against it");
            let by_broker = failed(code, FailureOrigin::Broker, ErrorClass::ServerError);
            assert_eq!(by_broker, CallSignal::NEUTRAL, "{code} of the broker says nothing about it");
        }
    }

    #[test]
    fn only_a_status_asks_for_less() {
        let by_status = failed("http.503", FailureOrigin::answer(503), ErrorClass::ServerError);
        assert_eq!(by_status.load_signal, LoadSignal::Overload);
        let by_code = failed("http.503", FailureOrigin::REPLY, ErrorClass::ServerError);
        assert_eq!(by_code.load_signal, LoadSignal::Latency, "a reply's code is a text");
    }
}
