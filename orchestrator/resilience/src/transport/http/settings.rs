//! What is configured about one participant that is called over HTTP.

use super::{client::HttpClientError, io_timeouts::ReadWriteTimeouts};
use crate::transport::ErrorClassifier;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use saga_core::definition::participants::{
    AcceptedMeaning, CONNECT_TIMEOUT, CONNECTION_MAX_AGE, ClientCredentials, EndpointConfig, IDLE_TIMEOUT,
    IdempotencyKeyFormat, StatusPattern, TlsConfig,
};
use saga_guards::balancer::{BalancingStrategy, EjectionConfig};
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// Most bytes of an answer unless configured otherwise: an answer becomes part of the saga's journal.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What is configured about one participant.
#[derive(Clone, PartialEq)]
pub struct HttpSettings {
    /// Its name, for errors.
    pub name: String,
    /// Base URLs and their shares of the calls; at least one.
    pub endpoints: Vec<EndpointConfig>,
    /// How one of them is picked for a call.
    pub balance: BalancingStrategy,
    /// When one of them is left out; `None`: never.
    pub ejection: Option<EjectionConfig>,
    /// For establishing a connection, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is used again.
    pub idle_timeout: Duration,
    /// How old a connection may be and is used again: after it the name is looked up anew.
    pub connection_max_age: Duration,
    /// For each piece of the answer, the first one included; `None`: as long as the attempt.
    pub read_timeout: Option<Duration>,
    /// From the connection until the request is written; `None`: as long as the attempt.
    pub write_timeout: Option<Duration>,
    /// Most bytes of an answer.
    pub max_answer_bytes: usize,
    /// Value of the `Authorization` header.
    pub authorization: Option<String>,
    /// How the engine gets bearer tokens; `None`: it does not.
    pub client_credentials: Option<ClientCredentials>,
    /// How connections are secured; `None`: by the authorities of the machine.
    pub tls: Option<TlsConfig>,
    /// Further headers of every request.
    pub headers: Vec<(String, String)>,
    /// Statuses that are retried although they usually are not.
    pub retry_on: Vec<StatusPattern>,
    /// Statuses that assert that nothing happened and that retrying does not help.
    pub fail_on: Vec<StatusPattern>,
    /// What a 202 says that names no place to ask.
    pub accepted: AcceptedMeaning,
    /// How the idempotency key is written.
    pub idempotency_key: IdempotencyKeyFormat,
    /// Classes of failures, and how each is handled, where that is not the usual.
    pub classes: ErrorClassifier,
}

/// Headers that a request has unless others are configured.
const USUAL: [HeaderName; 3] = [USER_AGENT, ACCEPT, ACCEPT_ENCODING];

/// The headers of a request for which nothing is configured. Who does not say that answers shall come as they are may
/// get them compressed.
pub(super) fn usual_headers() -> HeaderMap {
    let agent = concat!("saga-orchestrator/", env!("CARGO_PKG_VERSION"));
    let usual = [(USER_AGENT, agent), (ACCEPT, "*/*"), (ACCEPT_ENCODING, "identity")];
    usual.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

impl HttpSettings {
    /// The defaults for a participant at one base URL.
    #[must_use]
    pub fn at(name: impl Into<String>, url: impl Into<String>) -> HttpSettings {
        HttpSettings {
            name: name.into(),
            endpoints: vec![EndpointConfig { url: url.into(), weight: NonZeroU32::MIN }],
            balance: BalancingStrategy::default(),
            ejection: Some(EjectionConfig::default()),
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            connection_max_age: CONNECTION_MAX_AGE,
            read_timeout: None,
            write_timeout: None,
            max_answer_bytes: MAX_ANSWER_BYTES,
            authorization: None,
            client_credentials: None,
            tls: None,
            headers: Vec::new(),
            retry_on: Vec::new(),
            fail_on: Vec::new(),
            accepted: AcceptedMeaning::default(),
            idempotency_key: IdempotencyKeyFormat::default(),
            classes: ErrorClassifier::default(),
        }
    }

    pub(super) fn read_write_timeouts(&self) -> ReadWriteTimeouts {
        ReadWriteTimeouts { read: self.read_timeout, write: self.write_timeout }
    }

    /// The configured headers, `Authorization` among them.
    pub(super) fn header_map(&self) -> Result<HeaderMap, HttpSettingsError> {
        let mut map = usual_headers();
        for (name, value) in &self.headers {
            let (name, value) = (self.header_name(name)?, self.header_value(name, value)?);
            // What is configured stands in place of what is usual.
            if USUAL.contains(&name) {
                map.insert(name, value);
            } else {
                map.append(name, value);
            }
        }
        if let Some(authorization) = &self.authorization {
            let name = hyper::header::AUTHORIZATION;
            map.insert(&name, self.header_value(name.as_str(), authorization)?);
        }
        Ok(map)
    }

    fn header_name(&self, name: &str) -> Result<HeaderName, HttpSettingsError> {
        HeaderName::from_str(name).map_err(|_| self.wrong_header(name))
    }

    /// Marked sensitive, because headers are where secrets are configured.
    fn header_value(&self, name: &str, value: &str) -> Result<HeaderValue, HttpSettingsError> {
        let mut value = HeaderValue::from_str(value).map_err(|_| self.wrong_header(name))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn wrong_header(&self, name: &str) -> HttpSettingsError {
        HttpSettingsError::Header { participant: self.name.clone(), header: name.to_owned() }
    }
}

impl fmt::Debug for HttpSettings {
    /// Leaves out values of headers: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpSettings")
            .field("name", &self.name)
            .field("endpoints", &self.endpoints)
            .field("balance", &self.balance)
            .field("ejection", &self.ejection)
            .field("connect_timeout", &self.connect_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("connection_max_age", &self.connection_max_age)
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .field("authorization", &self.authorization.as_ref().map(|_| "…"))
            .field("client_credentials", &self.client_credentials)
            .field("tls", &self.tls)
            .field("headers", &headers)
            .field("retry_on", &self.retry_on)
            .field("fail_on", &self.fail_on)
            .field("accepted", &self.accepted)
            .field("idempotency_key", &self.idempotency_key)
            .field("classes", &self.classes)
            .finish()
    }
}

/// Settings that no participant can be called with.
#[derive(Debug, thiserror::Error)]
pub enum HttpSettingsError {
    /// The participant has no endpoint that can be called.
    #[error("participant `{participant}` has no endpoint")]
    NoEndpoint {
        /// Name of the participant in participants.yaml.
        participant: String,
    },
    /// An endpoint is not a base URL.
    #[error("participant `{participant}`: endpoint `{url}` is not a base URL: {reason}")]
    Endpoint {
        /// Name of the participant in participants.yaml.
        participant: String,
        /// As configured, without what may be secret.
        url: String,
        /// Why the endpoint is no base URL.
        reason: String,
    },
    /// A header's name or value cannot be sent. The value is not shown, because it may be secret.
    #[error("participant `{participant}`: header `{header}` has a name or a value that cannot be sent")]
    Header {
        /// Name of the participant in participants.yaml.
        participant: String,
        /// Name of the header, without its value.
        header: String,
    },
    /// The client cannot be made, for want of certificates of authorities for example.
    #[error("participant `{participant}`: no HTTP client can be made")]
    Client {
        /// Name of the participant in participants.yaml.
        participant: String,
        /// Why the client cannot be made.
        source: HttpClientError,
    },
}
