//! The keys of an issuer, fetched from its address. Keys rotate: a token with an unknown key asks again, but not often,
//! and a set that cannot be fetched does not end those that are known.

use super::{discovery::issuer_client, issuer_keys::IssuerKeys};
use anyhow::{Context, bail};
use reqwest::{Client, Response, StatusCode, Url};
use saga_base::sync::UnpoisonedMutex;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};
use tracing::{info, warn};

/// Age at which a set is fetched again, so that a key that was withdrawn ends.
const STALE: Duration = Duration::from_secs(600);
/// Between two requests to the issuer, whatever tokens say.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The largest set.
const MOST_BYTES: usize = 256 * 1024;

/// Fetches the keys of one issuer, one request at a time.
#[derive(Debug)]
pub(super) struct IssuerKeySource {
    address: Url,
    client: Client,
    known: UnpoisonedMutex<FetchedKeys>,
    /// When the issuer was asked last; held while it is asked.
    asked: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug, Default)]
struct FetchedKeys {
    keys: Arc<IssuerKeys>,
    at: Option<Instant>,
}

impl IssuerKeySource {
    pub(super) fn new(address: Url) -> anyhow::Result<IssuerKeySource> {
        Ok(IssuerKeySource {
            address,
            client: issuer_client()?,
            known: UnpoisonedMutex::default(),
            asked: Mutex::new(None),
        })
    }

    /// The keys that are known, which may be none.
    pub(super) fn known(&self) -> Arc<IssuerKeys> {
        Arc::clone(&self.known.lock().keys)
    }

    /// Whether the keys are so old that they should be fetched again.
    pub(super) fn is_stale(&self) -> bool {
        self.known.lock().at.is_none_or(|at| at.elapsed() > STALE)
    }

    /// Asks the issuer, unless it was asked a short time ago. Many callers at once wait for one request.
    pub(super) async fn refresh(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return;
        }
        *asked = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                info!(keys = keys.count(), "the keys of the issuer of tokens were fetched");
                *self.known.lock() = FetchedKeys { keys: Arc::new(keys), at: Some(Instant::now()) };
            }
            Err(error) => {
                warn!(
                    error = format!("{error:#}"),
                    "the keys of the issuer of tokens were not fetched; known ones stay"
                );
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<IssuerKeys> {
        let answer = self.client.get(self.address.clone()).send().await.context("the issuer does not answer")?;
        if answer.status() != StatusCode::OK {
            bail!("the address of the keys answers {}", answer.status());
        }
        let body = bounded(answer).await?;
        IssuerKeys::of_json(&body).map_err(|why| anyhow::anyhow!("the answer {why}"))
    }
}

async fn bounded(mut answer: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await? {
        if body.len() + part.len() > MOST_BYTES {
            bail!("the answer has more than {MOST_BYTES} bytes");
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::get};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const ONE_KEY: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    /// An issuer that counts how often it is asked, and answers its first request only.
    async fn issuer() -> (IssuerKeySource, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = move || async move {
            match counted.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(ONE_KEY),
                _ => Err(axum::http::StatusCode::BAD_GATEWAY),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await });
        let url = format!("http://{address}/keys").parse().expect("an address");
        (IssuerKeySource::new(url).expect("a client"), asked)
    }

    #[tokio::test]
    async fn many_callers_ask_once_and_what_is_known_stays() {
        let (source, asked) = issuer().await;
        assert!(source.is_stale() && source.known().count() == 0);
        tokio::join!(source.refresh(), source.refresh(), source.refresh());
        assert_eq!((asked.load(Ordering::SeqCst), source.known().count()), (1, 1));
        assert!(!source.is_stale());
        *source.asked.lock().await = None;
        source.refresh().await;
        assert_eq!((asked.load(Ordering::SeqCst), source.known().count()), (2, 1), "the issuer failed");
    }
}
