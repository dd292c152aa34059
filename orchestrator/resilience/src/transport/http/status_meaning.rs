//! What a status means. The one place where HTTP becomes succeeded, failed, unknown or ongoing.

use super::settings::HttpSettings;
use crate::transport::{ErrorClassifier, ParticipantCall};
use saga_core::{
    command::{CommandDirection, ErrorClass, RetryAdvice},
    definition::participants::{AcceptedMeaning, StatusPattern},
};

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusMeaning {
    /// It was done; the body is the result.
    Succeeded,
    /// It had been undone before.
    AlreadyUndone,
    /// The command certainly had no effect; the advice says whether to try again.
    Failed(RetryAdvice),
    /// The command may have had its effect.
    Unknown,
    /// Accepted: if the answer names a place to ask, ask there; if not, it says this.
    Accepted(AcceptedMeaning),
    /// Ask the same again later.
    Later,
}

/// Statuses that the settings move to another class.
#[derive(Clone, Debug)]
pub(super) struct StatusOverrides {
    retry_on: Vec<StatusPattern>,
    fail_on: Vec<StatusPattern>,
    accepted: AcceptedMeaning,
    classes: ErrorClassifier,
}

impl StatusOverrides {
    pub(super) fn new(settings: &HttpSettings) -> StatusOverrides {
        StatusOverrides {
            retry_on: settings.retry_on.clone(),
            fail_on: settings.fail_on.clone(),
            accepted: settings.accepted,
            classes: settings.classes.clone(),
        }
    }

    /// Of what class failures are, and how each class is handled.
    pub(super) fn classes(&self) -> &ErrorClassifier {
        &self.classes
    }

    /// Whether the settings say of `status` itself what it means as an answer to `call`.
    pub(super) fn move_status(&self, call: &ParticipantCall, status: u16) -> bool {
        let mut said = self.retry_on.iter().chain(&self.fail_on);
        call.location.is_none() && said.any(|pattern| pattern.matches(status))
    }

    /// What `status` means as an answer to `call`.
    pub(super) fn meaning(&self, call: &ParticipantCall, status: u16) -> StatusMeaning {
        if call.location.is_some() { told(call, status) } else { self.answered(call, status) }
    }

    /// To retry what may have happened does not make it certain: statuses that mean unknown stay so under `retryOn`.
    fn answered(&self, call: &ParticipantCall, status: u16) -> StatusMeaning {
        let usual = usual(call, status, self.accepted);
        if self.fail_on.iter().any(|pattern| pattern.matches(status)) {
            return StatusMeaning::Failed(RetryAdvice::No);
        }
        if self.retry_on.iter().any(|pattern| pattern.matches(status)) && usual != StatusMeaning::Unknown {
            return StatusMeaning::Failed(RetryAdvice::Yes);
        }
        usual
    }
}

/// The class of a failure by its status, if the participant's file says nothing else.
pub(super) fn class(status: u16) -> ErrorClass {
    match status {
        429 => ErrorClass::RateLimit,
        400 | 413 | 414 | 415 | 422 => ErrorClass::Validation,
        400..=499 => ErrorClass::ClientError,
        500..=599 => ErrorClass::ServerError,
        _ => ErrorClass::Unknown,
    }
}

/// What is odd about a status that no participant should answer with.
pub(super) fn odd(status: u16) -> Option<&'static str> {
    match status {
        101 => Some("the connection was switched to another protocol, which was not asked for"),
        206 => Some("a part of an answer, and the whole was asked for"),
        300..=399 => Some("a redirect is not followed: the participant may have acted before it sent one"),
        _ => None,
    }
}

/// What `status` means as the answer to a request. Redirects are not followed, and the participant may have acted
/// before it sent one.
fn usual(call: &ParticipantCall, status: u16, accepted: AcceptedMeaning) -> StatusMeaning {
    match status {
        202 => StatusMeaning::Accepted(accepted),
        206 => StatusMeaning::Unknown,
        200..=299 => StatusMeaning::Succeeded,
        425 => StatusMeaning::Later,
        408 | 429 => StatusMeaning::Failed(RetryAdvice::Yes),
        401 | 403 | 407 => StatusMeaning::Failed(RetryAdvice::ThenPark),
        409 if call.attempt > 1 || !call.was_never_sent() => StatusMeaning::Failed(RetryAdvice::Conflict),
        410 if call.direction() == CommandDirection::Undo => StatusMeaning::AlreadyUndone,
        400..=499 => StatusMeaning::Failed(RetryAdvice::No),
        _ => StatusMeaning::Unknown,
    }
}

/// What `status` means at the place where an accepted command is asked after. That the place is gone says nothing about
/// the command.
fn told(call: &ParticipantCall, status: u16) -> StatusMeaning {
    match status {
        202 | 408 | 425 | 429 => StatusMeaning::Later,
        206 => StatusMeaning::Unknown,
        200..=299 => StatusMeaning::Succeeded,
        401 | 403 | 407 => StatusMeaning::Failed(RetryAdvice::ThenPark),
        410 if call.direction() == CommandDirection::Undo => StatusMeaning::AlreadyUndone,
        409 | 422 => StatusMeaning::Failed(RetryAdvice::No),
        _ => StatusMeaning::Unknown,
    }
}
