//! One request and its answer.

use super::{
    HttpParticipant, NOT_CONNECTED,
    body::{self, Broken},
    classify::{self, Meaning},
    retry_after,
};
use crate::participants::Call;
use reqwest::{Request, Response, Url, header::LOCATION};
use saga_core::command::{Answer, ErrorClass, Failure, Retryable};
use saga_guards::retry::RetryPolicy;
use serde_json::Value;
use std::time::Duration;

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
    let retry_after = retry_after::of(&response);
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kind = body::kind(&response);
    let body = body::read(response, participant.max_answer_bytes, participant.pace.read).await;
    let endpoints = &participant.endpoints;
    let ongoing = |location| Answer::Ongoing { ask_after: Some(retry_after.unwrap_or_else(|| rest(call))), location };
    match (participant.overrides.meaning(call, status), location) {
        (Meaning::Accepted, Some(location)) => match endpoints.location(url, &location) {
            Some(location) => ongoing(Some(location)),
            None => unreadable("answer.location", format!("accepted, to be asked at another host: {location}")),
        },
        (Meaning::Later, location) => {
            let moved = location.and_then(|location| endpoints.location(url, &location));
            ongoing(call.location.as_ref().map(|before| moved.unwrap_or_else(|| before.clone())))
        }
        (Meaning::Succeeded | Meaning::Accepted, _) => succeeded(participant, kind, body),
        (Meaning::AlreadyUndone, _) => Answer::Succeeded { result: Value::Null },
        (Meaning::Failed(retry), _) => Answer::Failed { failure: refusal(status, body), retry, retry_after },
        (Meaning::Unknown, _) => Answer::Unknown { failure: refusal(status, body), retry: Retryable::Yes, retry_after },
    }
}

fn succeeded(participant: &HttpParticipant, kind: body::Kind, body: Result<Vec<u8>, Broken>) -> Answer {
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

fn refusal(status: u16, body: Result<Vec<u8>, Broken>) -> Failure {
    let message = body.map(|body| body::message(&body)).unwrap_or_default();
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
