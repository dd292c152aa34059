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
//! | an address that may not be called, a token that is refused | retried, then parked: nothing left |

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
mod tokens;

pub(crate) use client::HttpClient;
pub use client::HttpClientError;
pub use endpoints::EndpointStateView;
pub(crate) use prober::{EndpointProbeResult, EndpointProber, get_url};
pub use settings::{HttpSettings, HttpSettingsError, MAX_ANSWER_BYTES};

use super::ParticipantCall;
use crate::{
    guard_events::GuardEventBus,
    outbound::{OutboundAddresses, ParticipantAddresses},
};
use client::{ClientEncryption, ConnectionTimeouts};
use connect_retries::ConnectRetries;
use endpoints::{ParticipantEndpoints, PickedEndpoint, TriedEndpoint};
use hyper::header::{AUTHORIZATION, HeaderMap};
use io_timeouts::ReadWriteTimeouts;
use saga_base::secrets;
use saga_core::{
    command::{CommandAnswer, CommandFailure, ErrorClass, FailureOrigin, RetryAdvice},
    definition::participants::{CONNECTION_MAX_AGE, IDLE_TIMEOUT, IdempotencyKeyFormat},
};
use settings::usual_headers;
use status_meaning::StatusOverrides;
use std::{sync::Arc, time::Duration};
use tokens::{IssuedToken, TokenFailure, TokenSource};
use tokio::time::Instant;
use tracing::warn;

/// Code of the failure when no connection could be had. Nothing was sent then.
pub const NOT_CONNECTED: &str = "connect";
/// Code of the failure when the address may not be called. Nothing was sent then.
pub const ADDRESS_REFUSED: &str = "address.refused";
/// Code of the failure when there is no token for the call. Nothing was sent then.
pub const NO_TOKEN: &str = "token";

/// One participant and its connections.
#[derive(Debug)]
pub struct HttpParticipantClient {
    client: HttpClient,
    endpoints: Arc<ParticipantEndpoints>,
    headers: HeaderMap,
    /// `None`: the headers have all that is needed.
    tokens: Option<Arc<TokenSource>>,
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
        HttpParticipantClient::within(settings, &OutboundAddresses::default())
    }

    /// The same, connecting where `outbound` allows it.
    ///
    /// # Errors
    /// As [`HttpParticipantClient::new`].
    pub fn within(
        settings: &HttpSettings,
        outbound: &OutboundAddresses,
    ) -> Result<HttpParticipantClient, HttpSettingsError> {
        HttpParticipantClient::with_events(settings, outbound, GuardEventBus::default())
    }

    /// The same, and publishes in `changes` what happens to its endpoints.
    ///
    /// # Errors
    /// As [`HttpParticipantClient::new`].
    pub(crate) fn with_events(
        settings: &HttpSettings,
        outbound: &OutboundAddresses,
        changes: GuardEventBus,
    ) -> Result<HttpParticipantClient, HttpSettingsError> {
        let endpoints = ParticipantEndpoints::new(settings, changes)?;
        let addresses = outbound.of_participant(&settings.name);
        warn_of_refused(&endpoints, &addresses);
        let headers = settings.header_map()?;
        let lives = ConnectionTimeouts {
            connect: settings.connect_timeout,
            idle: settings.idle_timeout,
            age: settings.connection_max_age,
        };
        let client_error = |source| HttpSettingsError::Client { participant: settings.name.clone(), source };
        let encryption = if endpoints.any_encrypted() {
            ClientEncryption::Tls(settings.tls.as_ref())
        } else {
            ClientEncryption::None
        };
        let client = HttpClient::new(lives, encryption, addresses.clone()).map_err(client_error)?;
        let tokens = match &settings.client_credentials {
            None => None,
            Some(credentials) => {
                let encrypted = credentials.token_url.starts_with("https:");
                let client = plain_client(settings.connect_timeout, encrypted, addresses).map_err(client_error)?;
                Some(TokenSource::new(&settings.name, credentials, client)?)
            }
        };
        let overrides = StatusOverrides::new(settings);
        let (pace, max_answer_bytes) = (settings.read_write_timeouts(), settings.max_answer_bytes);
        let key = settings.idempotency_key;
        Ok(HttpParticipantClient { client, endpoints, headers, tokens, overrides, key, pace, max_answer_bytes })
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
        outbound: &OutboundAddresses,
        changes: GuardEventBus,
    ) -> Result<(HttpParticipantClient, EndpointUpdate), HttpSettingsError> {
        let next = HttpParticipantClient::with_events(settings, outbound, changes)?;
        let relisting = EndpointUpdate { endpoints: Arc::clone(&self.endpoints), next: Arc::clone(&next.endpoints) };
        let same = |tokens: &&Arc<TokenSource>| {
            settings.client_credentials.as_ref().is_some_and(|credentials| tokens.is_of(credentials))
        };
        let tokens = self.tokens.as_ref().filter(same).cloned().or_else(|| next.tokens.clone());
        Ok((HttpParticipantClient { endpoints: Arc::clone(&self.endpoints), tokens, ..next }, relisting))
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
        let mut request = match request_builder::build(self, call, picked) {
            Ok(request) => request,
            Err(failure) => return impossible(call, failure),
        };
        let token = match self.token(call, deadline).await {
            Ok(token) => token,
            Err(failure) => return self.overrides.classes().applied(without_token(call, &failure)),
        };
        request.headers.extend(token.iter().map(|token| (AUTHORIZATION, token.header())));
        match process_timeout::within(deadline, call.attempt_timeout, exchange::exchange(self, call, request)).await {
            Some(answer) => {
                self.drop_if_refused(token.as_ref(), &answer);
                secrets::cover_answer(answer)
            }
            None => self.overrides.classes().applied(out_of_time(call)),
        }
    }

    /// The token for `call`; `None`: it needs none. Nothing of the call has left meanwhile.
    async fn token(&self, call: &ParticipantCall, deadline: Instant) -> Result<Option<Arc<IssuedToken>>, TokenFailure> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        let late = || TokenFailure::Unreachable("no token within the time of the attempt: nothing was sent".to_owned());
        let issued = process_timeout::within(deadline, call.attempt_timeout, Box::pin(tokens.token())).await;
        issued.unwrap_or_else(|| Err(late())).map(Some)
    }

    /// A token may be revoked at any time.
    fn drop_if_refused(&self, token: Option<&Arc<IssuedToken>>, answer: &CommandAnswer) {
        let (CommandAnswer::Failed { failure, .. } | CommandAnswer::Unknown { failure, .. }) = answer else { return };
        if failure.origin.status() == Some(401)
            && let (Some(tokens), Some(token)) = (&self.tokens, token)
        {
            tokens.invalidate(token);
        }
    }
}

/// A client for health checks of participants that take no calls over HTTP.
///
/// # Errors
/// When none can be made, for want of certificates of authorities for example.
pub(crate) fn plain_client(
    connect_timeout: Duration,
    encrypted: bool,
    addresses: ParticipantAddresses,
) -> Result<HttpClient, HttpClientError> {
    let lives = ConnectionTimeouts { connect: connect_timeout, idle: IDLE_TIMEOUT, age: CONNECTION_MAX_AGE };
    HttpClient::new(lives, if encrypted { ClientEncryption::Tls(None) } else { ClientEncryption::None }, addresses)
}

/// Calls to such an endpoint would fail one by one, some time after the start.
fn warn_of_refused(endpoints: &ParticipantEndpoints, addresses: &ParticipantAddresses) {
    for refused in endpoints.bases().iter().filter_map(|base| addresses.check_literal(base).err()) {
        warn!("calls will fail: {refused}");
    }
}

/// The request cannot be made from what is recorded. If nothing left before, it certainly has no effect.
fn impossible(call: &ParticipantCall, failure: CommandFailure) -> CommandAnswer {
    if call.was_never_sent() {
        CommandAnswer::Failed { failure, retry: RetryAdvice::No, retry_after: None }
    } else {
        CommandAnswer::unknown(failure)
    }
}

/// What an issuer refuses must not undo every saga; what it does not answer is like a participant that does not.
fn without_token(call: &ParticipantCall, why: &TokenFailure) -> CommandAnswer {
    let retry = match why {
        TokenFailure::Refused(_) => RetryAdvice::ThenPark,
        TokenFailure::Unreachable(_) => RetryAdvice::Yes,
    };
    let failure = CommandFailure::new(NO_TOKEN, why.to_string()).of_origin(FailureOrigin::Transport);
    let failure = failure.of_class(ErrorClass::Network);
    if call.was_never_sent() {
        CommandAnswer::Failed { failure, retry, retry_after: None }
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
