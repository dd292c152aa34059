//! A client of the engine's API.

use anyhow::{Context, Result};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Longer than the 10 s for which an operator's act waits for its disposition.
const REQUEST: Duration = Duration::from_secs(20);

/// A client for plain HTTP.
///
/// # Errors
/// When it cannot be built.
pub fn http_client() -> Result<Client> {
    // The client wants a TLS library even where it never speaks TLS; a second installation is refused and harmless.
    drop(rustls::crypto::ring::default_provider().install_default());
    Ok(Client::builder().timeout(REQUEST).no_proxy().build()?)
}

/// The API of one engine.
#[derive(Clone, Debug)]
pub struct EngineApi {
    base: String,
    client: Client,
}

impl EngineApi {
    /// The API at `base`, without a slash at its end.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn new(base: &str) -> Result<EngineApi> {
        Ok(EngineApi { base: base.to_owned(), client: http_client()? })
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether `/health/ready` says so.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn is_ready(&self) -> Result<bool> {
        let answer = self.client.get(format!("{}/health/ready", self.base)).send().await?;
        Ok(answer.status() == StatusCode::OK)
    }

    /// The status and the JSON of an answer to GET.
    ///
    /// # Errors
    /// When nobody answers, or not in JSON.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        self.ask(Method::GET, path, None).await
    }

    /// The status and the JSON of an answer to POST.
    ///
    /// # Errors
    /// When nobody answers, or not in JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        let json = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).context(text)? };
        Ok((status, json))
    }
}
