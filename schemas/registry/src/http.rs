//! Requests to the addresses of a registry: one after the other until one answers, within bounds of time and size.

use crate::{error::RegistryError, settings::RegistrySettings};
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use serde_json::Value;
use std::{
    error::Error,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
};
use url::Url;

const JSON_OF_REGISTRIES: &str = "application/vnd.schemaregistry.v1+json";
/// Most characters of a registry's message that an error shows.
const SHOWN: usize = 400;

/// The connections to one registry.
pub(crate) struct RegistryHttp {
    client: Client,
    addresses: Vec<Url>,
    /// The address that answered last.
    current: AtomicUsize,
    max_answer_bytes: usize,
}

/// What to ask.
pub(crate) struct RegistryRequest<'a> {
    pub(crate) method: Method,
    /// Segments of the path, not encoded.
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<Value>,
    /// What is asked for, in the words of an error.
    pub(crate) what: &'a str,
}

/// Why an address gave no answer that counts.
enum AddressFailure {
    /// Another one may.
    Next(String),
    Final(RegistryError),
}

impl RegistryHttp {
    pub(crate) fn new(settings: &RegistrySettings) -> Result<RegistryHttp, RegistryError> {
        install_tls();
        let client = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout)
            .default_headers(headers(settings)?)
            // A redirect would take the credentials to another host.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| refused(0, in_one_line(&error.without_url())))?;
        let RegistrySettings { addresses, max_answer_bytes, .. } = settings.clone();
        Ok(RegistryHttp { client, addresses, current: AtomicUsize::new(0), max_answer_bytes })
    }

    /// The answer of the first address that gives one, beginning with the one that answered last.
    pub(crate) async fn ask(&self, request: &RegistryRequest<'_>) -> Result<Value, RegistryError> {
        let begin = self.current.load(Ordering::Relaxed);
        let mut reasons = Vec::new();
        for offset in 0..self.addresses.len() {
            let at = (begin + offset) % self.addresses.len();
            match self.ask_at(&self.addresses[at], request).await {
                Ok(answer) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(AddressFailure::Final(error)) => return Err(error),
                Err(AddressFailure::Next(reason)) => reasons.push(format!("{}: {reason}", self.addresses[at])),
            }
        }
        Err(RegistryError::Unavailable { reason: reasons.join("; ") })
    }

    async fn ask_at(&self, address: &Url, request: &RegistryRequest<'_>) -> Result<Value, AddressFailure> {
        let mut call = self.client.request(request.method.clone(), place(address, request));
        if let Some(body) = &request.body {
            call = call.header(CONTENT_TYPE, JSON_OF_REGISTRIES).body(body.to_string());
        }
        let response = call.send().await.map_err(|error| AddressFailure::Next(in_one_line(&error.without_url())))?;
        let status = response.status();
        let bytes = self.read(response, request.what).await?;
        let answer = serde_json::from_slice::<Value>(&bytes);
        match (status.is_success(), answer) {
            (true, Ok(answer)) => Ok(answer),
            (true, Err(_)) => Err(AddressFailure::Next(format!("it answers {status} without JSON"))),
            (false, answer) => Err(failure(status, &answer.unwrap_or(Value::Null), request.what)),
        }
    }

    async fn read(&self, mut response: Response, what: &str) -> Result<Vec<u8>, AddressFailure> {
        let mut bytes = Vec::new();
        loop {
            let chunk =
                response.chunk().await.map_err(|error| AddressFailure::Next(in_one_line(&error.without_url())))?;
            let Some(chunk) = chunk else { return Ok(bytes) };
            if bytes.len() + chunk.len() > self.max_answer_bytes {
                let reason = format!("the answer has more than {} bytes", self.max_answer_bytes);
                return Err(AddressFailure::Final(RegistryError::Unusable { what: what.to_owned(), reason }));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
}

/// What a status that is no success means. Other addresses are of the same registry, so what it refuses is final.
fn failure(status: StatusCode, answer: &Value, what: &str) -> AddressFailure {
    let code = answer["error_code"].as_u64();
    let message: String = answer["message"].as_str().unwrap_or("no message").chars().take(SHOWN).collect();
    match (status, code) {
        (StatusCode::NOT_FOUND, Some(_)) => AddressFailure::Final(RegistryError::Unknown { what: what.to_owned() }),
        (StatusCode::NOT_FOUND, None) => {
            let told =
                "it answers 404 without the code of a registry: does the address lack a path, as /apis/ccompat/v7?";
            AddressFailure::Final(refused(404, told.to_owned()))
        }
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => {
            AddressFailure::Next(format!("it answers {status}"))
        }
        (status, _) if status.is_server_error() => AddressFailure::Next(format!("it answers {status}: {message}")),
        (StatusCode::UNAUTHORIZED, _) => {
            AddressFailure::Final(refused(401, "it does not accept the credentials".to_owned()))
        }
        (status, Some(code)) => AddressFailure::Final(refused(status.as_u16(), format!("{code}: {message}"))),
        (status, None) => AddressFailure::Final(refused(status.as_u16(), message)),
    }
}

fn refused(status: u16, reason: String) -> RegistryError {
    RegistryError::Refused { status, reason }
}

/// The address, whose path stays, and the path of the request.
fn place(address: &Url, request: &RegistryRequest<'_>) -> Url {
    let mut place = address.clone();
    if let Ok(mut segments) = place.path_segments_mut() {
        segments.pop_if_empty().extend(request.path);
    }
    if !request.query.is_empty() {
        place.query_pairs_mut().extend_pairs(request.query);
    }
    place
}

fn headers(settings: &RegistrySettings) -> Result<HeaderMap, RegistryError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.schemaregistry.v1+json, application/json"));
    if let Some(credentials) = settings.credentials.header() {
        let bad = |_| refused(0, "the credentials hold a character that no header carries".to_owned());
        let mut credentials = HeaderValue::from_str(&credentials).map_err(bad)?;
        credentials.set_sensitive(true);
        headers.insert(AUTHORIZATION, credentials);
    }
    Ok(headers)
}

/// Names the TLS implementation of this process, once. A provider that the program installed before stays.
fn install_tls() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// An error with what caused it.
fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
