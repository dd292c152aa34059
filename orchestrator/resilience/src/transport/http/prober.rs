//! Asking a participant how it is.

use super::{
    HttpParticipantClient,
    client::{HttpClient, OutboundRequest},
    endpoints::{self, ParticipantEndpoints},
    io_timeouts::ReadWriteTimeouts,
    response_body,
    tokens::TokenSource,
};
use futures_util::future::join_all;
use hyper::{
    Method,
    header::{AUTHORIZATION, HeaderMap},
};
use saga_guards::health::HealthCheckOutcome;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use url::Url;

/// Of the answer to a check only the status counts. So much of its body is read that the connection can be kept.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Asks the endpoints of one participant how they are, beside its calls: by its connections and with its headers,
/// without its guards.
#[derive(Clone, Debug)]
pub(crate) struct EndpointProber {
    client: HttpClient,
    headers: HeaderMap,
    tokens: Option<Arc<TokenSource>>,
    endpoints: Arc<ParticipantEndpoints>,
}

/// What one endpoint answered.
#[derive(Clone, Debug)]
pub(crate) struct EndpointProbeResult {
    /// Base URL of the endpoint.
    pub url: Arc<Url>,
    /// Result of the check of this endpoint.
    pub outcome: HealthCheckOutcome,
}

impl EndpointProber {
    pub(super) fn of(participant: &HttpParticipantClient) -> EndpointProber {
        EndpointProber {
            client: participant.client.clone(),
            headers: participant.headers.clone(),
            tokens: participant.tokens.clone(),
            endpoints: Arc::clone(&participant.endpoints),
        }
    }

    /// `GET` on `path` below each endpoint, all at once; 2xx within `timeout` is well.
    pub(crate) async fn get(&self, path: &str, timeout: Duration) -> Vec<EndpointProbeResult> {
        let path = path.trim_start_matches('/');
        let all = self.endpoints.bases().into_iter().map(|url| async move {
            let outcome = match endpoints::below(&url, path) {
                Some(there) => get(&self.client, there, &self.headers, self.tokens.as_ref(), timeout).await,
                None => HealthCheckOutcome::Failed,
            };
            EndpointProbeResult { url, outcome }
        });
        join_all(all).await
    }

    /// A TCP connection to each endpoint, all at once, and closed again; well if there is one within `timeout`.
    pub(crate) async fn connect(&self, timeout: Duration) -> Vec<EndpointProbeResult> {
        let all = self.endpoints.bases().into_iter().map(|url| async move {
            let outcome = connect(&self.client, &url, timeout).await;
            EndpointProbeResult { url, outcome }
        });
        join_all(all).await
    }

    /// Sets what the checks of the endpoint at `url` say, for the balancer, which picks endpoints.
    pub(crate) fn set_health(&self, url: &Url, healthy: bool) {
        self.endpoints.set_health(url, healthy);
    }
}

/// `GET` on `url`, for a participant that takes no calls over HTTP; 2xx within `timeout` is well.
pub(crate) async fn get_url(client: &HttpClient, url: &Url, timeout: Duration) -> HealthCheckOutcome {
    get(client, url.clone(), &super::usual_headers(), None, timeout).await
}

async fn get(
    client: &HttpClient,
    url: Url,
    headers: &HeaderMap,
    tokens: Option<&Arc<TokenSource>>,
    timeout: Duration,
) -> HealthCheckOutcome {
    let asked = Instant::now();
    let mut request = OutboundRequest { headers: headers.clone(), ..OutboundRequest::new(Method::GET, url) };
    let answered = async {
        if let Some(tokens) = tokens {
            request.headers.insert(AUTHORIZATION, tokens.token().await.ok()?.header());
        }
        let answer = client.send(&request, ReadWriteTimeouts::default()).await.ok()?;
        let is_well = answer.status().is_success();
        drop(response_body::read(answer, MAX_BODY_BYTES, None).await);
        Some(is_well)
    };
    match tokio::time::timeout(timeout, answered).await {
        Ok(Some(true)) => HealthCheckOutcome::Passed { took: asked.elapsed() },
        Ok(Some(false) | None) | Err(_) => HealthCheckOutcome::Failed,
    }
}

async fn connect(client: &HttpClient, url: &Url, timeout: Duration) -> HealthCheckOutcome {
    let asked = Instant::now();
    match tokio::time::timeout(timeout, client.reach(url)).await {
        Ok(Ok(())) => HealthCheckOutcome::Passed { took: asked.elapsed() },
        Ok(Err(_)) | Err(_) => HealthCheckOutcome::Failed,
    }
}
