//! Participants that are called over HTTP: one request, one answer, classified.
//!
//! | answer | means |
//! |---|---|
//! | 2xx | succeeded; 202 with `Location`: ongoing, asked there |
//! | 425 | ongoing: the request is repeated |
//! | 408, 429 | failed, retryable |
//! | 401, 403, 407 | retried, then parked |
//! | 409 to an attempt that is not the first | failed, retryable: the first may still be running |
//! | 410 to an undo | succeeded: undone before |
//! | other 4xx | failed |
//! | 5xx, redirect, timeout, broken connection, an answer that cannot be read | unknown |
//! | no connection | failed, retryable: nothing left |

mod body;
mod classify;
mod endpoints;
mod prober;
mod retry_after;
mod send;
mod settings;
#[cfg(test)]
mod tests;

pub use endpoints::EndpointState;
pub use prober::{Probed, Prober, get_url};
pub use settings::{Error, HttpSettings, MAX_ANSWER_BYTES};

use super::Call;
use body::Broken;
use classify::{Meaning, Overrides};
use endpoints::{Endpoints, Picked};
use reqwest::{
    Client, Response, Url,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use saga_core::command::{Answer, Failure, Retryable};
use saga_guards::retry::RetryPolicy;
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Code of the failure when no connection could be had. Nothing was sent then.
pub const NOT_CONNECTED: &str = "connect";

/// Idle connections kept for each endpoint: as many as the largest bulkheads that one instance drives.
const IDLE_CONNECTIONS: usize = 512;

/// Idle connections are closed before the usual participant does it (60 s and more), because a request that meets a closing
/// connection has an unknown outcome.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// One participant and its connections.
#[derive(Debug)]
pub struct HttpParticipant {
    client: Client,
    endpoints: Arc<Endpoints>,
    headers: HeaderMap,
    overrides: Overrides,
    max_answer_bytes: usize,
}

impl HttpParticipant {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// When no participant can be called with these settings.
    pub fn new(settings: &HttpSettings) -> Result<HttpParticipant, Error> {
        let endpoints = Endpoints::new(settings)?;
        let headers = settings.header_map()?;
        let client = client(settings.connect_timeout, endpoints.any_encrypted())
            .map_err(|source| Error::Client { participant: settings.name.clone(), source })?;
        let overrides = Overrides::new(settings);
        Ok(HttpParticipant { client, endpoints, headers, overrides, max_answer_bytes: settings.max_answer_bytes })
    }

    /// One attempt: sends the request, or asks at the location, and waits at most the attempt's timeout for the complete answer.
    /// Never answers [`Answer::NotSent`]: that is the guards' word.
    pub async fn call(&self, call: &Call) -> Answer {
        // Where to ask how far it is says the location.
        let Some(picked) = call.location.is_none().then(|| self.endpoints.pick()) else {
            return self.attempt(call, None).await;
        };
        let answer = self.attempt(call, Some(&picked)).await;
        picked.settle(&answer);
        answer
    }

    /// The same participant under these settings, which goes on with what `before` knows of endpoints that stay.
    #[must_use]
    pub fn continuing(self, before: &HttpParticipant) -> HttpParticipant {
        before.endpoints.become_as(&self.endpoints);
        HttpParticipant { endpoints: Arc::clone(&before.endpoints), ..self }
    }

    /// All endpoints at this moment.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointState> {
        self.endpoints.states()
    }

    /// Whom to ask how it is.
    #[must_use]
    pub fn prober(&self) -> Prober {
        Prober::of(self)
    }

    async fn attempt(&self, call: &Call, picked: Option<&Picked>) -> Answer {
        let request = match send::build(self, call, picked) {
            Ok(request) => request,
            Err(failure) => return impossible(call, failure),
        };
        let url = request.url().clone();
        match tokio::time::timeout(call.attempt_timeout, self.exchange(call, url, request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => unknown("timeout", format!("no complete answer within {:?}", call.attempt_timeout)),
        }
    }

    async fn exchange(&self, call: &Call, url: Url, request: reqwest::Request) -> Answer {
        match self.client.execute(request).await {
            Ok(response) => self.answer(call, &url, response).await,
            Err(error) if error.is_connect() && call.is_untouched() => Answer::Failed {
                failure: Failure::new(NOT_CONNECTED, explain(&error)),
                retry: Retryable::Yes,
                retry_after: None,
            },
            Err(error) if error.is_connect() => unknown(NOT_CONNECTED, explain(&error)),
            Err(error) => unknown("connection", explain(&error)),
        }
    }

    async fn answer(&self, call: &Call, url: &Url, response: Response) -> Answer {
        let status = response.status().as_u16();
        let retry_after =
            header(&response, &RETRY_AFTER).and_then(|value| retry_after::parse(value, SystemTime::now()));
        let location = header(&response, &LOCATION).map(str::to_owned);
        let kind = body::kind(&response);
        let body = body::read(response, self.max_answer_bytes).await;
        let ongoing =
            |location| Answer::Ongoing { ask_after: Some(retry_after.unwrap_or_else(|| rest(call))), location };
        match (self.overrides.meaning(call, status), location) {
            (Meaning::Accepted, Some(location)) => match self.endpoints.location(url, &location) {
                Some(location) => ongoing(Some(location)),
                None => unknown("answer.location", format!("accepted, to be asked at another host: {location}")),
            },
            (Meaning::Later, location) => {
                let moved = location.and_then(|location| self.endpoints.location(url, &location));
                ongoing(call.location.as_ref().map(|before| moved.unwrap_or_else(|| before.clone())))
            }
            (Meaning::Succeeded | Meaning::Accepted, _) => self.succeeded(kind, body),
            (Meaning::AlreadyUndone, _) => Answer::Succeeded { result: Value::Null },
            (Meaning::Failed(retry), _) => Answer::Failed { failure: refusal(status, body), retry, retry_after },
            (Meaning::Unknown, _) => Answer::Unknown { failure: refusal(status, body) },
        }
    }

    fn succeeded(&self, kind: body::Kind, body: Result<Vec<u8>, Broken>) -> Answer {
        match body {
            Ok(body) => match body::result(kind, &body) {
                Ok(result) => Answer::Succeeded { result },
                Err(failure) => Answer::Unknown { failure },
            },
            Err(Broken::Connection(error)) => unknown("connection", explain(&error)),
            Err(Broken::TooLong) => {
                unknown("answer.size", format!("the answer has more than {} bytes", self.max_answer_bytes))
            }
        }
    }
}

/// A client for health checks of participants that take no calls over HTTP.
///
/// # Errors
/// When none can be made, for want of certificates of authorities for example.
pub fn plain_client(connect_timeout: Duration, encrypted: bool) -> Result<Client, reqwest::Error> {
    client(connect_timeout, encrypted)
}

fn client(connect_timeout: Duration, encrypted: bool) -> Result<Client, reqwest::Error> {
    super::install_tls();
    let builder = Client::builder()
        .user_agent(concat!("saga-orchestrator/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    // Without an encrypted endpoint nothing is verified, and a machine without authorities' certificates will do.
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder.build()
}

/// How long to rest before asking, if the participant does not say.
fn rest(call: &Call) -> Duration {
    RetryPolicy::standard().delay_before(call.asked.saturating_add(2), None, fastrand::u64(..))
}

/// The request cannot be made from what is recorded. If nothing left before, it certainly has no effect.
fn impossible(call: &Call, failure: Failure) -> Answer {
    if call.is_untouched() {
        Answer::Failed { failure, retry: Retryable::No, retry_after: None }
    } else {
        Answer::Unknown { failure }
    }
}

fn unknown(code: &str, message: String) -> Answer {
    Answer::Unknown { failure: Failure::new(code, message) }
}

fn refusal(status: u16, body: Result<Vec<u8>, Broken>) -> Failure {
    Failure::new(format!("http.{status}"), body.map(|body| body::message(&body)).unwrap_or_default())
}

fn header<'a>(response: &'a Response, name: &reqwest::header::HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
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
