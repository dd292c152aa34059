//! One request and its answer.

use super::{
    HttpParticipant, NOT_CONNECTED,
    body::{self, Broken},
    classify::{self, Meaning},
    retry_after,
    said::Said,
};
use crate::participants::Call;
use reqwest::{Request, Response, Url, header::LOCATION};
use saga_core::{
    command::{Answer, ErrorClass, Failure, Retryable},
    definition::participants::Accepted,
};
use saga_guards::retry::RetryPolicy;
use serde_json::Value;
use std::time::Duration;

/// A place to ask is on record with each asking.
const LONGEST_LOCATION: usize = 2048;

const NOWHERE_TO_ASK: &str = "202 without `Location` says nothing of the outcome: name a place to ask, or write `accepted: succeeded` in participants.yaml if it is done for certain";

/// Sends `request` and reads the complete answer to it.
pub(super) async fn exchange(participant: &HttpParticipant, call: &Call, mut request: Request) -> Answer {
    let url = request.url().clone();
    let watch = participant.pace.watch(&mut request);
    let sent = tokio::select! {
        // What is there counts, also at the last moment.
        biased;
        sent = participant.client.execute(request) => sent,
        late = watch.late() => return participant.overrides.classes().applied(late.answer()),
    };
    match sent {
        Ok(response) => answer(participant, call, &url, response).await,
        Err(error) => participant.overrides.classes().applied(not_answered(call, &error)),
    }
}

/// Without a connection nothing was sent. Of a call that may have left before that says nothing.
fn not_answered(call: &Call, error: &reqwest::Error) -> Answer {
    let code = if error.is_connect() { NOT_CONNECTED } else { "connection" };
    let failure = Failure::new(code, explain(error)).of_class(ErrorClass::Network);
    if error.is_connect() && call.is_untouched() {
        Answer::Failed { failure, retry: Retryable::Yes, retry_after: None }
    } else {
        Answer::unknown(failure)
    }
}

/// What `response` means, in the classes of the participant. What `retryOn` and `failOn` say of a status wins over how its class is handled.
async fn answer(participant: &HttpParticipant, call: &Call, url: &Url, response: Response) -> Answer {
    let status = response.status().as_u16();
    let answer = read(participant, call, url, response).await;
    let classes = participant.overrides.classes();
    let judged = if participant.overrides.move_status(call, status) {
        classes.classified(answer)
    } else {
        classes.applied(answer)
    };
    retry_after::where_it_counts(status, judged)
}

async fn read(participant: &HttpParticipant, call: &Call, url: &Url, response: Response) -> Answer {
    let status = response.status().as_u16();
    let (hint, place, kind) = (retry_after::of(&response), Said::by(&response, &LOCATION), body::kind(&response));
    let body = body::read(response, participant.max_answer_bytes, participant.pace.read).await;
    // What cannot be read of it is told with the failure; it decides only when, and the policy has its own rest.
    let (retry_after, unread) = (hint.clone().unwrap_or_default(), hint.err());
    let refusal = |body| refusal(status, body, unread.as_deref());
    match participant.overrides.meaning(call, status) {
        Meaning::Accepted(Accepted::Succeeded) if place == Said::Nothing => succeeded(participant, kind, body),
        Meaning::Accepted(_) => match located(participant, url, place) {
            Ok(Some(location)) => ongoing(call, retry_after, Some(location)),
            Ok(None) => unreadable("answer.accepted", NOWHERE_TO_ASK.to_owned()),
            Err(why) => unreadable("answer.location", format!("accepted, and {why}")),
        },
        // Only a 202 says that the place to ask is another one.
        Meaning::Later if status == 202 && call.location.is_some() => match located(participant, url, place) {
            Ok(moved) => ongoing(call, retry_after, moved.or_else(|| call.location.clone())),
            Err(why) => unreadable("answer.location", format!("ongoing, and {why}")),
        },
        Meaning::Later => ongoing(call, retry_after, call.location.clone()),
        Meaning::Succeeded => succeeded(participant, kind, body),
        Meaning::AlreadyUndone => Answer::Succeeded { result: Value::Null },
        Meaning::Failed(retry) => Answer::Failed { failure: refusal(body), retry, retry_after },
        Meaning::Unknown => Answer::Unknown { failure: refusal(body), retry: Retryable::Yes, retry_after },
    }
}

/// Where to ask; `Ok(None)`: the answer does not say.
fn located(participant: &HttpParticipant, url: &Url, place: Said) -> Result<Option<String>, String> {
    match place {
        Said::Nothing => Ok(None),
        Said::Unreadable(why) => Err(why),
        Said::This(place) if place.len() > LONGEST_LOCATION => {
            Err(format!("`location` has {} bytes, at most {LONGEST_LOCATION} are kept", place.len()))
        }
        Said::This(place) => match participant.endpoints.location(url, &place) {
            Some(location) => Ok(Some(location)),
            None => Err(format!("to be asked at another host, or not at all: {place}")),
        },
    }
}

fn ongoing(call: &Call, retry_after: Option<Duration>, location: Option<String>) -> Answer {
    Answer::Ongoing { ask_after: Some(retry_after.unwrap_or_else(|| rest(call))), location }
}

fn succeeded(
    participant: &HttpParticipant,
    kind: Result<body::Kind, Failure>,
    body: Result<Vec<u8>, Broken>,
) -> Answer {
    match body {
        Ok(body) => match body::result(kind, &body) {
            Ok(result) => Answer::Succeeded { result },
            Err(failure) => Answer::unknown(failure.of_class(ErrorClass::Unknown)),
        },
        Err(Broken::Connection(error)) => {
            Answer::unknown(Failure::new("connection", explain(&error)).of_class(ErrorClass::Network))
        }
        Err(Broken::Late(late)) => late.answer(),
        Err(Broken::TooLong) => {
            unreadable("answer.size", format!("the answer has more than {} bytes", participant.max_answer_bytes))
        }
    }
}

/// How long to rest before asking, if the participant does not say.
fn rest(call: &Call) -> Duration {
    RetryPolicy::standard().delay_before(call.asked.saturating_add(2), None, fastrand::u64(..))
}

fn unreadable(code: &str, message: String) -> Answer {
    Answer::unknown(Failure::new(code, message).of_class(ErrorClass::Unknown))
}

fn refusal(status: u16, body: Result<Vec<u8>, Broken>, unread: Option<&str>) -> Failure {
    let mut message = body.map_or_else(|_| "(its body cannot be read)".to_owned(), |body| body::message(&body));
    if let Some(unread) = unread {
        message = format!("{message} ({unread})").trim_start().to_owned();
    }
    Failure::new(format!("http.{status}"), message).of_class(classify::class(status))
}

/// The error and its causes in one line, without the URL, whose query may hold what is nobody's business.
fn explain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let mut line = if error.is_connect() { "no connection".to_owned() } else { "the connection broke".to_owned() };
    for cause in causes {
        line.push_str(": ");
        line.push_str(&cause.to_string());
    }
    line
}
