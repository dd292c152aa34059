//! A complete answer, and what it means.

use super::{Head, Reached, not_answered, unreadable};
use crate::transport::{
    Call,
    http::{
        HttpParticipant,
        body::{self, Broken, Described, Kind},
        classify::{self, Meaning},
        operation, retry_after,
        said::Said,
    },
};
use hyper::header::LOCATION;
use saga_core::{
    command::{Answer, ErrorClass, Failure, Retryable},
    definition::participants::Accepted,
};
use saga_guards::retry::RetryPolicy;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// A place to ask is on record with each asking.
const LONGEST_LOCATION: usize = 2048;

const NOWHERE_TO_ASK: &str = "202 without `Location` says nothing of the outcome: name a place to ask, or write `accepted: succeeded` in participants.yaml if it is done for certain";

/// An answer of which everything was read that there is to read.
pub(super) struct Answered<'p> {
    participant: &'p HttpParticipant,
    call: &'p Call,
    url: Url,
    reached: Reached,
    status: u16,
    retry_after: Result<Option<Duration>, String>,
    location: Said,
    operation: Said,
    described: Result<Described, Failure>,
    body: Result<Vec<u8>, Broken>,
}

/// The place that a header names.
///
/// # Errors
/// Nobody can tell which.
pub(super) fn read_place(said: Said) -> Result<String, String> {
    match said {
        Said::Nothing => Err("no place is named".to_owned()),
        Said::Unreadable(why) => Err(why),
        Said::This(place) if place.len() > LONGEST_LOCATION => {
            Err(format!("the place has {} bytes, at most {LONGEST_LOCATION} are kept", place.len()))
        }
        Said::This(place) => Ok(place),
    }
}

impl<'p> Answered<'p> {
    pub(super) async fn read(participant: &'p HttpParticipant, call: &'p Call, head: Head) -> Answered<'p> {
        let Head { response, url, reached } = head;
        let status = response.status().as_u16();
        let retry_after = retry_after::of(&response);
        let (location, operation) = (Said::by(&response, &LOCATION), operation::place(&response));
        let described = body::described(&response);
        let body = body::read(response, participant.max_answer_bytes, participant.pace.read).await;
        Answered { participant, call, url, reached, status, retry_after, location, operation, described, body }
    }

    pub(super) fn meaning(self) -> Answer {
        match self.participant.overrides.meaning(self.call, self.status) {
            Meaning::Accepted(_) | Meaning::Succeeded if self.begins_operation() => self.operation(),
            Meaning::Accepted(accepted) => self.accepted(accepted),
            Meaning::Later => self.later(),
            Meaning::Succeeded if self.tells_of_operation() => self.told(),
            Meaning::Succeeded => self.succeeded(),
            Meaning::AlreadyUndone => Answer::Succeeded { result: Value::Null },
            Meaning::Failed(retry) => {
                let retry_after = self.hint();
                Answer::Failed { failure: self.refusal(), retry, retry_after }
            }
            Meaning::Unknown => {
                let retry_after = self.hint();
                Answer::Unknown { failure: self.refusal(), retry: Retryable::Yes, retry_after }
            }
        }
    }

    /// What cannot be read of it is told with the failure; it decides only when, and the policy has its own rest.
    fn hint(&self) -> Option<Duration> {
        self.retry_after.as_ref().ok().copied().flatten()
    }

    /// Whoever names a place where the operation is told says that it is not over, whatever the status.
    fn begins_operation(&self) -> bool {
        self.call.location.is_none() && self.operation != Said::Nothing
    }

    fn tells_of_operation(&self) -> bool {
        self.url.fragment() == Some(operation::MARK)
    }

    fn operation(self) -> Answer {
        match self.located(self.operation.clone()) {
            Ok(place) => self.ongoing(Some(format!("{place}#{}", operation::MARK))),
            Err(why) => unreadable("answer.location", format!("accepted, and {why}")),
        }
    }

    fn accepted(self, accepted: Accepted) -> Answer {
        match (accepted, &self.location) {
            (Accepted::Succeeded, Said::Nothing) => self.succeeded(),
            (Accepted::Unknown, Said::Nothing) => unreadable("answer.accepted", NOWHERE_TO_ASK),
            (Accepted::Succeeded | Accepted::Unknown, Said::This(_) | Said::Unreadable(_)) => {
                match self.located(self.location.clone()) {
                    Ok(place) => self.ongoing(Some(place)),
                    Err(why) => unreadable("answer.location", format!("accepted, and {why}")),
                }
            }
        }
    }

    /// Only a 202 says that the place to ask is another one.
    fn later(self) -> Answer {
        let moves = self.status == 202 && self.call.location.is_some() && !self.tells_of_operation();
        if !moves || self.location == Said::Nothing {
            let location = self.call.location.clone();
            return self.ongoing(location);
        }
        match self.located(self.location.clone()) {
            Ok(place) => self.ongoing(Some(place)),
            Err(why) => unreadable("answer.location", format!("ongoing, and {why}")),
        }
    }

    fn located(&self, said: Said) -> Result<String, String> {
        let place = read_place(said)?;
        self.participant.endpoints.location(&self.url, &place)
    }

    fn ongoing(&self, location: Option<String>) -> Answer {
        // How long to rest before asking, if the participant does not say.
        let rest = || RetryPolicy::standard().delay_before(self.call.asked.saturating_add(2), None, fastrand::u64(..));
        Answer::Ongoing { ask_after: Some(self.hint().unwrap_or_else(rest)), location }
    }

    /// The state of an operation, from the body of a success.
    fn told(self) -> Answer {
        let location = self.call.location.clone();
        let under_way = self.ongoing(location);
        match self.result() {
            Answer::Succeeded { result } => operation::outcome(result).unwrap_or(under_way),
            other => other,
        }
    }

    /// Pages that ask to log in, or to come back later, are what one is sent on to as well.
    fn succeeded(self) -> Answer {
        let is_json = self.described.as_ref().is_ok_and(|described| described.kind == Kind::Json);
        let is_empty = self.body.as_ref().is_ok_and(Vec::is_empty);
        if self.reached == Reached::SentOn && !is_json && !is_empty {
            let path = self.url.path();
            let why = format!("the place to ask sent on to `{path}`, and what is there is no result: it is not JSON");
            return unreadable("answer.redirect", why);
        }
        self.result()
    }

    fn result(self) -> Answer {
        let limit = self.participant.max_answer_bytes;
        match self.body {
            Ok(body) => match body::result(self.described, &body, limit) {
                Ok(result) => Answer::Succeeded { result },
                Err(failure) => Answer::unknown(failure.of_class(ErrorClass::Unknown)),
            },
            Err(Broken::Missed(missed)) => not_answered(self.call, missed),
            Err(Broken::Late(late)) => late.answer(),
            Err(Broken::TooLong) => unreadable("answer.size", format!("the answer has more than {limit} bytes")),
        }
    }

    fn refusal(self) -> Failure {
        let limit = self.participant.max_answer_bytes;
        let message = match &self.body {
            Ok(body) => body::message(&self.described, body, limit),
            Err(_) => "(its body cannot be read)".to_owned(),
        };
        let odd = classify::odd(self.status).map(str::to_owned);
        let place = match (&self.location, self.status) {
            (Said::This(place), 300..=399) => Some(format!("it names `{place}`")),
            (Said::This(_) | Said::Unreadable(_) | Said::Nothing, _) => None,
        };
        let notes: Vec<String> = [odd, place, self.retry_after.err()].into_iter().flatten().collect();
        let message = match notes.as_slice() {
            [] => message,
            notes => format!("{message} ({})", notes.join("; ")).trim_start().to_owned(),
        };
        Failure::new(format!("http.{}", self.status), message).of_class(classify::class(self.status))
    }
}
