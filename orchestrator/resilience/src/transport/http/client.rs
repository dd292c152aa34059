//! The HTTP client: HTTP/1.1, one request at a time on a connection, no redirects, no proxies.
//!
//! It is written on hyper's connections because it has to know what others hide: whether anything of an answer was
//! read, how old a connection is, and what the server said of how long it keeps it.

mod connect;
mod connection;
mod keep_alive;
mod pool;
mod received_prefix;
mod response;
#[cfg(test)]
mod tests;
mod tls;

pub(super) use connect::ConnectFailure;
pub(super) use response::HttpResponse;
pub use tls::HttpClientError;

use super::io_timeouts::{ExchangeTimeout, ReadWriteTimeouts};
use crate::outbound::ParticipantAddresses;
use bytes::Bytes;
use connect::ConnectionOpener;
use connection::{HttpConnection, HttpConnectionError};
use hyper::{
    Method,
    header::{HOST, HeaderMap, HeaderValue},
};
use pool::ConnectionPool;
use saga_core::definition::participants::TlsConfig;
use std::{error::Error, sync::Arc, time::Duration};
use tls::TlsOpener;
use tokio::time::Instant;
use url::{Position, Url};

/// How long connections live.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionTimeouts {
    /// For establishing one, TLS included.
    pub(super) connect: Duration,
    /// How long one may be idle and is used again.
    pub(super) idle: Duration,
    /// How old one may be and is used again: after it the name is looked up anew.
    pub(super) age: Duration,
}

/// Makes connections, keeps them, and sends requests over them.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    connector: Arc<ConnectionOpener>,
    pool: Arc<ConnectionPool>,
    lives: ConnectionTimeouts,
}

/// Whether a client opens TLS connections, and how.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientEncryption<'a> {
    /// It opens none: a machine without authorities' certificates will do.
    None,
    /// By these settings; without any, by the authorities of the machine.
    Tls(Option<&'a TlsConfig>),
}

/// One request. What it holds is shared, so that it can be sent again.
#[derive(Clone, Debug)]
pub(super) struct OutboundRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum HttpExchangeError {
    /// There was no connection; why, and whether an earlier one may have taken the request.
    NotConnected {
        /// Why the connection could not be opened.
        why: ConnectFailure,
        /// Whether the request may have left over a connection before.
        may_have_left: bool,
    },
    /// Something took too long.
    Late(ExchangeTimeout),
    /// The connection broke, or ended before an answer.
    Broken(String),
    /// What came is no answer in HTTP/1.1; why, and how it begins.
    NotHttp(String),
}

impl OutboundRequest {
    pub(super) fn new(method: Method, url: Url) -> OutboundRequest {
        OutboundRequest { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Scheme, host and port.
    fn origin(&self) -> &str {
        &self.url[..Position::BeforePath]
    }

    /// As it is sent: with a path in place of a URL, and the host among the headers.
    fn parts(&self) -> Result<hyper::http::request::Parts, hyper::http::Error> {
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let host = HeaderValue::from_str(&self.url[Position::BeforeHost..Position::AfterPort])?;
        let mut request = hyper::Request::builder().method(self.method.clone()).uri(path).body(())?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(self.headers.clone());
        Ok(request.into_parts().0)
    }
}

impl HttpClient {
    /// A client that connects to these addresses.
    ///
    /// # Errors
    /// When connections cannot be secured as `encryption` says.
    pub(super) fn new(
        lives: ConnectionTimeouts,
        encryption: ClientEncryption<'_>,
        addresses: ParticipantAddresses,
    ) -> Result<HttpClient, HttpClientError> {
        let tls = match encryption {
            ClientEncryption::None => None,
            ClientEncryption::Tls(settings) => Some(TlsOpener::new(settings)?),
        };
        let connector = ConnectionOpener::new(lives.connect, tls, addresses);
        Ok(HttpClient { connector: Arc::new(connector), pool: Arc::default(), lives })
    }

    /// Sends `request` and waits for the head of the answer.
    ///
    /// Servers close connections that were idle, and sometimes just when a request comes. What a kept connection did
    /// not take is sent over the next one. If it was taken and the connection ended before a byte of an answer was
    /// read, it is sent once more over a new one: the request carries its idempotency key, and the response says that
    /// it was sent before.
    pub(super) async fn send(
        &self,
        request: &OutboundRequest,
        pace: ReadWriteTimeouts,
    ) -> Result<HttpResponse, HttpExchangeError> {
        let origin = request.origin();
        while let Some(kept) = self.pool.take(origin) {
            match self.over(kept, request, pace).await {
                Ok(response) => return Ok(response),
                Err(HttpConnectionError::NotTaken) => {}
                Err(HttpConnectionError::Nothing(_)) => {
                    return self.over_new(request, pace, true).await.map(HttpResponse::of_second_sending);
                }
                Err(other) => return Err(other.into()),
            }
        }
        self.over_new(request, pace, false).await
    }

    /// Opens a TCP connection to the host of `url` and closes it.
    pub(super) async fn reach(&self, url: &Url) -> Result<(), ConnectFailure> {
        self.connector.reach(url).await
    }

    async fn over_new(
        &self,
        request: &OutboundRequest,
        pace: ReadWriteTimeouts,
        may_have_left: bool,
    ) -> Result<HttpResponse, HttpExchangeError> {
        let connection = self.connector.connect(&request.url, self.lives).await;
        let connection = connection.map_err(|why| HttpExchangeError::NotConnected { why, may_have_left })?;
        self.over(connection, request, pace).await.map_err(|unanswered| match unanswered {
            HttpConnectionError::NotTaken => {
                let why = ConnectFailure::Unreachable("no connection: it ended before it took the request".to_owned());
                HttpExchangeError::NotConnected { why, may_have_left }
            }
            HttpConnectionError::Rejected(why) => {
                HttpExchangeError::NotConnected { why: ConnectFailure::Unreachable(why), may_have_left }
            }
            other @ (HttpConnectionError::Nothing(_)
            | HttpConnectionError::Broken(_)
            | HttpConnectionError::NotHttp(_)
            | HttpConnectionError::Late(_)) => other.into(),
        })
    }

    async fn over(
        &self,
        mut connection: HttpConnection,
        request: &OutboundRequest,
        pace: ReadWriteTimeouts,
    ) -> Result<HttpResponse, HttpConnectionError> {
        let head = connection.send(request, pace).await?;
        connection.apply_keep_alive(head.headers(), self.lives, Instant::now());
        Ok(HttpResponse::new(head, connection, Arc::clone(&self.pool), request.origin()))
    }
}

/// An error and its causes.
fn in_one_line(what: &str, error: &(dyn Error + 'static)) -> String {
    let mut line = format!("{what}: {error}");
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        line.push_str(": ");
        line.push_str(&cause.to_string());
    }
    line
}

impl From<HttpConnectionError> for HttpExchangeError {
    fn from(why: HttpConnectionError) -> HttpExchangeError {
        match why {
            HttpConnectionError::NotTaken => {
                let why = ConnectFailure::Unreachable("no connection took it".to_owned());
                HttpExchangeError::NotConnected { why, may_have_left: false }
            }
            HttpConnectionError::Rejected(why) => {
                HttpExchangeError::NotConnected { why: ConnectFailure::Unreachable(why), may_have_left: false }
            }
            HttpConnectionError::Nothing(why) | HttpConnectionError::Broken(why) => HttpExchangeError::Broken(why),
            HttpConnectionError::NotHttp(why) => HttpExchangeError::NotHttp(why),
            HttpConnectionError::Late(late) => HttpExchangeError::Late(late),
        }
    }
}
