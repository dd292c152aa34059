//! Participants that are called over HTTP: one request, one answer, classified.
//!
//! | answer | means |
//! |---|---|
//! | 2xx | succeeded |
//! | 202 | with `Location`: ongoing, asked there; without: unknown, or succeeded if the settings say so |
//! | 425 | ongoing: the request is repeated |
//! | 408, 429 | failed, retryable |
//! | 401, 403, 407 | retried, then parked |
//! | 409 to what was sent before | failed: a conflict with an earlier sending that still runs, or permanently |
//! | 410 to an undo | succeeded: undone before |
//! | other 4xx | failed |
//! | 5xx, redirect, timeout, broken connection, an answer that cannot be read | unknown |
//! | no connection | failed, retryable: nothing left |

mod charset;
mod client;
mod connect_retries;
mod content_coding;
mod endpoints;
mod error_message;
mod exchange;
mod io_timeouts;
mod not_http;
mod operation_location;
mod prober;
mod process_timeout;
mod request_body;
mod request_builder;
mod response_body;
mod retry_after;
mod settings;
mod single_header;
mod status_meaning;
#[cfg(test)]
mod tests;

pub(crate) use client::HttpClient;
pub use client::HttpClientError;
pub use endpoints::EndpointStateView;
pub(crate) use prober::{EndpointProbeResult, EndpointProber, get_url};
pub use settings::{HttpSettings, HttpSettingsError, MAX_ANSWER_BYTES};

use super::ParticipantCall;
use crate::guard_events::GuardEventBus;
use client::ConnectionTimeouts;
use connect_retries::ConnectRetries;
use endpoints::{ParticipantEndpoints, PickedEndpoint, TriedEndpoint};
use hyper::header::HeaderMap;
use io_timeouts::ReadWriteTimeouts;
use saga_base::secrets;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin, RetryAdvice},
    definition::participants::{CONNECTION_MAX_AGE, IDLE_TIMEOUT, IdempotencyKeyFormat},
};
use settings::usual_headers;
use status_meaning::StatusOverrides;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Code of the failure when no connection could be had. Nothing was sent then.
pub const NOT_CONNECTED: &str = "connect";

/// One participant and its connections.
#[derive(Debug)]
pub struct HttpParticipantClient {
    client: HttpClient,
    endpoints: Arc<ParticipantEndpoints>,
    headers: HeaderMap,
    overrides: StatusOverrides,
    key: IdempotencyKeyFormat,
    pace: ReadWriteTimeouts,
    max_answer_bytes: usize,
}

/// Another list of endpoints that is not in effect yet.
#[derive(Debug)]
pub(crate) struct EndpointUpdate {
    endpoints: Arc<ParticipantEndpoints>,
    next: Arc<ParticipantEndpoints>,
}

impl EndpointUpdate {
    /// Puts it into effect: what is known of endpoints that stay is kept, calls under way included.
    pub(crate) fn apply(self) {
        self.endpoints.replace_with(&self.next);
    }
}

impl HttpParticipantClient {
    /// Checks the settings; connects to nothing yet.
    ///
    /// # Errors
    /// When no participant can be called with these settings.
    pub fn new(settings: &HttpSettings) -> Result<HttpParticipantClient, HttpSettingsError> {
        HttpParticipantClient::with_events(settings, GuardEventBus::default())
    }

    /// The same, and publishes in `changes` what happens to its endpoints.
    ///
    /// # Errors
    /// As [`HttpParticipantClient::new`].
    pub(crate) fn with_events(
        settings: &HttpSettings,
        changes: GuardEventBus,
    ) -> Result<HttpParticipantClient, HttpSettingsError> {
        let endpoints = ParticipantEndpoints::new(settings, changes)?;
        let headers = settings.header_map()?;
        let lives = ConnectionTimeouts {
            connect: settings.connect_timeout,
            idle: settings.idle_timeout,
            age: settings.connection_max_age,
        };
        let client = HttpClient::new(lives, endpoints.any_encrypted())
            .map_err(|source| HttpSettingsError::Client { participant: settings.name.clone(), source })?;
        let overrides = StatusOverrides::new(settings);
        let (pace, max_answer_bytes) = (settings.read_write_timeouts(), settings.max_answer_bytes);
        let key = settings.idempotency_key;
        Ok(HttpParticipantClient { client, endpoints, headers, overrides, key, pace, max_answer_bytes })
    }

    /// One attempt: sends the request, or asks at the location, and waits at most the attempt's timeout for the
    /// complete answer. While nothing left for want of a connection it is tried again at once, twice at most and within
    /// a second, at another endpoint if there is one. Never answers [`CommandAnswer::NotSent`]: that is the guards'
    /// word.
    pub async fn call(&self, call: &ParticipantCall) -> CommandAnswer {
        let deadline = Instant::now() + call.attempt_timeout;
        let (mut tries, mut tried) = (ConnectRetries::until(deadline), None);
        loop {
            let answer = self.once(call, &mut tried, deadline).await;
            let Some(rest) = nothing_left(&answer).then(|| tries.next_delay()).flatten() else { return answer };
            tokio::time::sleep(rest).await;
        }
    }

    /// The same participant under other settings, which goes on with what is known of endpoints that stay. The list of
    /// endpoints is that of `settings` once the relisting is put into effect, for this one and for `self`: dropped,
    /// nothing has changed.
    ///
    /// # Errors
    /// As [`HttpParticipantClient::new`].
    pub(crate) fn reconfigured(
        &self,
        settings: &HttpSettings,
        changes: GuardEventBus,
    ) -> Result<(HttpParticipantClient, EndpointUpdate), HttpSettingsError> {
        let next = HttpParticipantClient::with_events(settings, changes)?;
        let relisting = EndpointUpdate { endpoints: Arc::clone(&self.endpoints), next: Arc::clone(&next.endpoints) };
        Ok((HttpParticipantClient { endpoints: Arc::clone(&self.endpoints), ..next }, relisting))
    }

    /// All endpoints at this moment.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointStateView> {
        self.endpoints.states()
    }

    /// Publishes which endpoints get calls again, since it was last asked to.
    pub(crate) fn publish_returned_endpoints(&self) {
        self.endpoints.tell_who_is_back();
    }

    /// Whom to ask how it is.
    #[must_use]
    pub(crate) fn prober(&self) -> EndpointProber {
        EndpointProber::of(self)
    }

    /// One try, at an endpoint of its own, and not at `tried` if there is another. Where to ask how far it is says the
    /// location, and there is no other.
    async fn once(
        &self,
        call: &ParticipantCall,
        tried: &mut Option<TriedEndpoint>,
        deadline: Instant,
    ) -> CommandAnswer {
        let Some(picked) = call.location.is_none().then(|| self.endpoints.pick(*tried)) else {
            return self.ask(call, None, deadline).await;
        };
        *tried = Some(picked.tried());
        let answer = self.ask(call, Some(&picked), deadline).await;
        picked.settle(&answer);
        answer
    }

    async fn ask(&self, call: &ParticipantCall, picked: Option<&PickedEndpoint>, deadline: Instant) -> CommandAnswer {
        let request = match request_builder::build(self, call, picked) {
            Ok(request) => request,
            Err(failure) => return impossible(call, failure),
        };
        match process_timeout::within(deadline, call.attempt_timeout, exchange::exchange(self, call, request)).await {
            Some(answer) => secrets::cover_answer(answer),
            None => self.overrides.classes().applied(out_of_time(call)),
        }
    }
}

/// A client for health checks of participants that take no calls over HTTP.
///
/// # Errors
/// When none can be made, for want of certificates of authorities for example.
pub(crate) fn plain_client(connect_timeout: Duration, encrypted: bool) -> Result<HttpClient, HttpClientError> {
    HttpClient::new(
        ConnectionTimeouts { connect: connect_timeout, idle: IDLE_TIMEOUT, age: CONNECTION_MAX_AGE },
        encrypted,
    )
}

/// The request cannot be made from what is recorded. If nothing left before, it certainly has no effect.
fn impossible(call: &ParticipantCall, failure: CommandFailure) -> CommandAnswer {
    if call.was_never_sent() {
        CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None }
    } else {
        CommandAnswer::unknown(failure)
    }
}

fn out_of_time(call: &ParticipantCall) -> CommandAnswer {
    let message = format!("no complete answer within {:?}", call.attempt_timeout);
    let failure = CommandFailure::new("timeout", message).of_origin(FailureOrigin::Transport);
    CommandAnswer::unknown(failure.of_class(ErrorClass::Timeout))
}

/// Only of a call of which nothing left before is it said that it failed for want of a connection.
fn nothing_left(answer: &CommandAnswer) -> bool {
    match answer {
        CommandAnswer::Failed { failure, .. } => failure.origin == FailureOrigin::Transport,
        CommandAnswer::Succeeded { .. }
        | CommandAnswer::Unknown { .. }
        | CommandAnswer::Ongoing { .. }
        | CommandAnswer::NotSent { .. } => false,
    }
}
