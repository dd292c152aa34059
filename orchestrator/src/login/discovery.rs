//! Where an issuer takes logins: its discovery document, and requests to its endpoints.

use anyhow::{Context, bail};
use reqwest::{Client, Response, Url, redirect::Policy};
use saga_base::sync::UnpoisonedMutex;
use serde::Deserialize;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// Age at which the document is fetched again.
const STALE: Duration = Duration::from_secs(3600);
/// Between two requests that failed, whatever callers do.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Maximum time for a request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer.
const MOST_BYTES: usize = 256 * 1024;

/// The endpoints of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuerEndpoints {
    pub(crate) authorization: Option<Url>,
    pub(crate) token: Url,
    pub(crate) device: Option<Url>,
}

#[derive(Deserialize)]
struct DiscoveryText {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
}

/// A client for issuers: no redirects, no proxies of the environment that could read what is sent.
pub(crate) fn issuer_client() -> anyhow::Result<Client> {
    saga_resilience::transport::install_tls();
    Ok(Client::builder().redirect(Policy::none()).timeout(TIMEOUT).connect_timeout(TIMEOUT).build()?)
}

/// Whether a secret may be sent there: by TLS, or on this machine.
pub(crate) fn safe_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_local = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    (is_safe && url.username().is_empty() && url.password().is_none()).then_some(url)
}

/// Asks the issuer for its endpoints.
///
/// # Errors
/// It does not answer, or not as this issuer does.
pub(crate) async fn discover(client: &Client, issuer: &str) -> anyhow::Result<IssuerEndpoints> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let answer = client.get(&address).send().await.with_context(|| format!("{address} does not answer"))?;
    if !answer.status().is_success() {
        bail!("{address} answers {}", answer.status());
    }
    let text: DiscoveryText =
        serde_json::from_value(bounded_json(answer).await?).with_context(|| format!("{address} is no discovery"))?;
    if text.issuer != issuer {
        bail!("{address} is of another issuer: expected `issuer` to be {issuer}");
    }
    let checked = |endpoint: &str| {
        safe_address(endpoint).with_context(|| format!("{address} has an endpoint that is not https: {endpoint}"))
    };
    Ok(IssuerEndpoints {
        authorization: text.authorization_endpoint.as_deref().map(checked).transpose()?,
        token: checked(&text.token_endpoint)?,
        device: text.device_authorization_endpoint.as_deref().map(checked).transpose()?,
    })
}

/// The JSON of an answer, up to a size.
pub(crate) async fn bounded_json(mut answer: Response) -> anyhow::Result<Value> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > MOST_BYTES {
            bail!("the answer has more than {MOST_BYTES} bytes");
        }
        body.extend_from_slice(&part);
    }
    serde_json::from_slice(&body).context("the answer is no JSON")
}

/// The endpoints of one issuer, asked for when they are needed.
#[derive(Debug)]
pub(super) struct EndpointSource {
    issuer: String,
    pub(super) client: Client,
    known: UnpoisonedMutex<Option<(Arc<IssuerEndpoints>, Instant)>>,
    /// When a request failed last; held while the issuer is asked.
    failed: Mutex<Option<Instant>>,
}

impl EndpointSource {
    pub(super) fn new(issuer: &str) -> anyhow::Result<EndpointSource> {
        let (known, failed) = (UnpoisonedMutex::default(), Mutex::new(None));
        Ok(EndpointSource { issuer: issuer.to_owned(), client: issuer_client()?, known, failed })
    }

    /// The endpoints; `None`: the issuer does not say them.
    pub(super) async fn endpoints(&self) -> Option<Arc<IssuerEndpoints>> {
        let fresh = || self.known.lock().clone().filter(|(_, at)| at.elapsed() < STALE).map(|(found, _)| found);
        if let Some(found) = fresh() {
            return Some(found);
        }
        let mut failed = self.failed.lock().await;
        if let Some(found) = fresh() {
            return Some(found);
        }
        if failed.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return None;
        }
        match discover(&self.client, &self.issuer).await {
            Ok(found) => {
                let found = Arc::new(found);
                *self.known.lock() = Some((Arc::clone(&found), Instant::now()));
                Some(found)
            }
            Err(error) => {
                *failed = Some(Instant::now());
                tracing::warn!(error = format!("{error:#}"), "the issuer of logins does not say its endpoints");
                None
            }
        }
    }
}
