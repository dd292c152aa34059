//! A complete answer, and what it means.

use super::{ResponseHead, ResponseOrigin, not_answered, unreadable};
use crate::transport::{
    ParticipantCall,
    http::{
        HttpParticipantClient, operation_location,
        response_body::{self, BodyError, BodyFormat, BodyKind},
        retry_after,
        single_header::ParsedHeader,
        status_meaning::{self, StatusMeaning},
    },
};
use hyper::header::LOCATION;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, RetryAdvice},
    definition::participants::AcceptedMeaning,
};
use saga_guards::retry::RetryPolicy;
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// A place to ask is on record with each asking.
const LONGEST_LOCATION: usize = 2048;

const NOWHERE_TO_ASK: &str = "202 without `Location` says nothing of the outcome: name a place to ask, or write `accepted: succeeded` in participants.yaml if it is done for certain";

/// An answer of which everything was read that there is to read.
pub(super) struct CompleteResponse<'p> {
    participant: &'p HttpParticipantClient,
    call: &'p ParticipantCall,
    url: Url,
    reached: ResponseOrigin,
    status: u16,
    retry_after: Result<Option<Duration>, String>,
    location: ParsedHeader,
    operation: ParsedHeader,
    described: Result<BodyFormat, CommandFailure>,
    body: Result<Vec<u8>, BodyError>,
}

/// The place that a header names.
///
/// # Errors
/// The header names no place, or cannot be read.
pub(super) fn read_place(said: ParsedHeader) -> Result<String, String> {
    match said {
        ParsedHeader::Absent => Err("no place is named".to_owned()),
        ParsedHeader::Unreadable(why) => Err(why),
        ParsedHeader::Value(place) if place.len() > LONGEST_LOCATION => {
            Err(format!("the place has {} bytes, at most {LONGEST_LOCATION} are kept", place.len()))
        }
        ParsedHeader::Value(place) => Ok(place),
    }
}

impl<'p> CompleteResponse<'p> {
    pub(super) async fn read(
        participant: &'p HttpParticipantClient,
        call: &'p ParticipantCall,
        head: ResponseHead,
    ) -> CompleteResponse<'p> {
        let ResponseHead { response, url, reached } = head;
        let status = response.status().as_u16();
        let retry_after = retry_after::of(&response);
        let (location, operation) = (ParsedHeader::by(&response, &LOCATION), operation_location::place(&response));
        let described = response_body::described(&response);
        let body = response_body::read(response, participant.max_answer_bytes, participant.pace.read).await;
        CompleteResponse { participant, call, url, reached, status, retry_after, location, operation, described, body }
    }

    pub(super) fn into_answer(self) -> CommandAnswer {
        match self.participant.overrides.meaning(self.call, self.status) {
            StatusMeaning::Accepted(_) | StatusMeaning::Succeeded if self.begins_operation() => self.operation(),
            StatusMeaning::Accepted(accepted) => self.accepted(accepted),
            StatusMeaning::Later => self.later(),
            StatusMeaning::Succeeded if self.tells_of_operation() => self.told(),
            StatusMeaning::Succeeded => self.succeeded(),
            StatusMeaning::AlreadyUndone => CommandAnswer::Succeeded { result: Value::Null },
            StatusMeaning::Failed(retry) => {
                let retry_after = self.hint();
                CommandAnswer::Failed { failure: self.refusal(), retry, retry_after }
            }
            StatusMeaning::Unknown => {
                let retry_after = self.hint();
                CommandAnswer::Unknown { failure: self.refusal(), retry: RetryAdvice::Yes, retry_after }
            }
        }
    }

    /// The hint of the participant, if it can be read; otherwise the failure says why. It decides only when the next
    /// attempt comes, and the policy has its own backoff.
    fn hint(&self) -> Option<Duration> {
        self.retry_after.as_ref().ok().copied().flatten()
    }

    /// Whether the answer begins an operation: a participant that names the place of an operation says that it is not
    /// over, whatever the status.
    fn begins_operation(&self) -> bool {
        self.call.location.is_none() && self.operation != ParsedHeader::Absent
    }

    fn tells_of_operation(&self) -> bool {
        self.url.fragment() == Some(operation_location::MARK)
    }

    fn operation(self) -> CommandAnswer {
        match self.located(self.operation.clone()) {
            Ok(place) => self.ongoing(Some(format!("{place}#{}", operation_location::MARK))),
            Err(why) => unreadable("answer.location", format!("accepted, and {why}")),
        }
    }

    fn accepted(self, accepted: AcceptedMeaning) -> CommandAnswer {
        match (accepted, &self.location) {
            (AcceptedMeaning::Succeeded, ParsedHeader::Absent) => self.succeeded(),
            (AcceptedMeaning::Unknown, ParsedHeader::Absent) => unreadable("answer.accepted", NOWHERE_TO_ASK),
            (
                AcceptedMeaning::Succeeded | AcceptedMeaning::Unknown,
                ParsedHeader::Value(_) | ParsedHeader::Unreadable(_),
            ) => match self.located(self.location.clone()) {
                Ok(place) => self.ongoing(Some(place)),
                Err(why) => unreadable("answer.location", format!("accepted, and {why}")),
            },
        }
    }

    /// Only a 202 says that the place to ask is another one.
    fn later(self) -> CommandAnswer {
        let moves = self.status == 202 && self.call.location.is_some() && !self.tells_of_operation();
        if !moves || self.location == ParsedHeader::Absent {
            let location = self.call.location.clone();
            return self.ongoing(location);
        }
        match self.located(self.location.clone()) {
            Ok(place) => self.ongoing(Some(place)),
            Err(why) => unreadable("answer.location", format!("ongoing, and {why}")),
        }
    }

    fn located(&self, said: ParsedHeader) -> Result<String, String> {
        let place = read_place(said)?;
        self.participant.endpoints.location(&self.url, &place)
    }

    fn ongoing(&self, location: Option<String>) -> CommandAnswer {
        // How long to rest before asking, if the participant does not say.
        let rest = || RetryPolicy::standard().delay_before(self.call.asked.saturating_add(2), None, fastrand::u64(..));
        CommandAnswer::Ongoing { ask_after: Some(self.hint().unwrap_or_else(rest)), location }
    }

    /// The state of an operation, from the body of a success.
    fn told(self) -> CommandAnswer {
        let location = self.call.location.clone();
        let under_way = self.ongoing(location);
        match self.result() {
            CommandAnswer::Succeeded { result } => operation_location::outcome(result).unwrap_or(under_way),
            other => other,
        }
    }

    /// Pages that ask to log in, or to come back later, are what one is sent on to as well.
    fn succeeded(self) -> CommandAnswer {
        let is_json = self.described.as_ref().is_ok_and(|described| described.kind == BodyKind::Json);
        let is_empty = self.body.as_ref().is_ok_and(Vec::is_empty);
        if self.reached == ResponseOrigin::Redirected && !is_json && !is_empty {
            let path = self.url.path();
            let why = format!("the place to ask sent on to `{path}`, and what is there is no result: it is not JSON");
            return unreadable("answer.redirect", why);
        }
        self.result()
    }

    fn result(self) -> CommandAnswer {
        let limit = self.participant.max_answer_bytes;
        match self.body {
            Ok(body) => match response_body::result(self.described, &body, limit) {
                Ok(result) => CommandAnswer::Succeeded { result },
                Err(failure) => CommandAnswer::unknown(failure.of_class(ErrorClass::Unknown)),
            },
            Err(BodyError::Missed(missed)) => not_answered(self.call, missed),
            Err(BodyError::Late(late)) => late.answer(),
            Err(BodyError::TooLong) => unreadable("answer.size", format!("the answer has more than {limit} bytes")),
        }
    }

    fn refusal(self) -> CommandFailure {
        let limit = self.participant.max_answer_bytes;
        let message = match &self.body {
            Ok(body) => response_body::message(&self.described, body, limit),
            Err(_) => "(its body cannot be read)".to_owned(),
        };
        let odd = status_meaning::odd(self.status).map(str::to_owned);
        let place = match (&self.location, self.status) {
            (ParsedHeader::Value(place), 300..=399) => Some(format!("it names `{place}`")),
            (ParsedHeader::Value(_) | ParsedHeader::Unreadable(_) | ParsedHeader::Absent, _) => None,
        };
        let notes: Vec<String> = [odd, place, self.retry_after.err()].into_iter().flatten().collect();
        let message = match notes.as_slice() {
            [] => message,
            notes => format!("{message} ({})", notes.join("; ")).trim_start().to_owned(),
        };
        CommandFailure::new(format!("http.{}", self.status), message).of_class(status_meaning::class(self.status))
    }
}
