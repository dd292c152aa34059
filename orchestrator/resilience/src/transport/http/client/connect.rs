//! Opening connections: look up, TCP, TLS.

use super::{
    ConnectionTimeouts, connection::HttpConnection, in_one_line, received_prefix::PrefixRecordingStream, tls::TlsOpener,
};
use crate::{
    outbound::{GuardedLookup, LookupFailure, ParticipantAddresses, RefusedAddress},
    transport::http::process_timeout,
};
use futures_util::future::poll_fn;
use hyper_util::client::legacy::connect::HttpConnector;
use std::{error::Error, time::Duration};
use tokio::{net::TcpStream, time::Instant};
use tower_service::Service;
use url::{Position, Url};

/// A peer that vanished without a word is noticed after about a minute, also where a call may take longer.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
/// The same for a peer that takes no bytes.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens TCP and TLS connections to endpoints.
pub(super) struct ConnectionOpener {
    tcp: HttpConnector<GuardedLookup>,
    addresses: ParticipantAddresses,
    /// `None`: the client opens no TLS connections.
    tls: Option<TlsOpener>,
    timeout: Duration,
}

/// Why there is no connection. Nothing of a request has left.
#[derive(Debug)]
pub(in crate::transport::http) enum ConnectFailure {
    /// Nobody could be reached; why, as text.
    Unreachable(String),
    /// The address may not be called.
    Refused(RefusedAddress),
}

type ConnectError = Box<dyn Error + Send + Sync>;

impl std::fmt::Debug for ConnectionOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionOpener").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl ConnectionOpener {
    pub(super) fn new(timeout: Duration, tls: Option<TlsOpener>, addresses: ParticipantAddresses) -> ConnectionOpener {
        let mut tcp = HttpConnector::new_with_resolver(GuardedLookup(addresses.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        ConnectionOpener { tcp, addresses, tls, timeout }
    }

    /// A new connection to the host of `url`, whose name is looked up; or why there is none. Nothing of a request has
    /// left then.
    pub(super) async fn connect(&self, url: &Url, lives: ConnectionTimeouts) -> Result<HttpConnection, ConnectFailure> {
        let deadline = Instant::now() + self.timeout;
        // Most calls open no connection, and carry no room for one.
        match process_timeout::within(deadline, self.timeout, Box::pin(self.open(url, lives))).await {
            Some(opened) => opened.map_err(|error| self.explain(&*error)),
            None => Err(ConnectFailure::Unreachable(format!("no connection within {:?}", self.timeout))),
        }
    }

    /// Opens a TCP connection to the host of `url` and closes it.
    pub(super) async fn reach(&self, url: &Url) -> Result<(), ConnectFailure> {
        self.tcp(url).await.map(drop).map_err(|error| self.explain(&*error))
    }

    async fn open(&self, url: &Url, lives: ConnectionTimeouts) -> Result<HttpConnection, ConnectError> {
        let stream = self.tcp(url).await?;
        if url.scheme() != "https" {
            return Ok(HttpConnection::over(PrefixRecordingStream::new(stream), lives).await?);
        }
        let tls = self.tls.as_ref().ok_or("this client has no TLS")?;
        let name = tls.name_of(url)?;
        let stream = tls.connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        Ok(HttpConnection::over(PrefixRecordingStream::new(stream), lives).await?)
    }

    /// A name is judged when it is looked up, an address here, and the peer whatever has led to it.
    async fn tcp(&self, url: &Url) -> Result<TcpStream, ConnectError> {
        self.addresses.check_literal(url)?;
        let mut tcp = self.tcp.clone();
        poll_fn(|context| tcp.poll_ready(context)).await?;
        let stream = tcp.call(url[..Position::BeforePath].parse()?).await?.into_inner();
        self.addresses.check(url.host_str().unwrap_or_default(), stream.peer_addr()?.ip())?;
        Ok(stream)
    }

    fn explain(&self, error: &(dyn Error + 'static)) -> ConnectFailure {
        match std::iter::successors(Some(error), |&error| error.source()).find_map(refused) {
            Some(refused) => {
                self.addresses.count(&refused);
                ConnectFailure::Refused(refused)
            }
            None => ConnectFailure::Unreachable(explained(error)),
        }
    }
}

/// The connector wraps what the look-up says.
fn refused(error: &(dyn Error + 'static)) -> Option<RefusedAddress> {
    match error.downcast_ref::<LookupFailure>() {
        Some(LookupFailure::Refused(refused)) => Some(refused.clone()),
        Some(LookupFailure::Unknown(_)) => None,
        None => error.downcast_ref::<RefusedAddress>().cloned(),
    }
}

fn explained(error: &(dyn Error + 'static)) -> String {
    let mut line = in_one_line("no connection", error);
    if line.contains("InvalidContentType") {
        line.push_str(" (the server does not speak TLS at this port: is the URL http://?)");
    }
    line
}
