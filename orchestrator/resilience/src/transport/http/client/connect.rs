//! Opening connections: look up, TCP, TLS.

use super::{ConnectionTimeouts, connection::HttpConnection, in_one_line, received_prefix::PrefixRecordingStream};
use crate::transport::http::process_timeout;
use futures_util::future::poll_fn;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::{Position, Url};

/// A peer that vanished without a word is noticed after about a minute, also where a call may take longer.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 3;
/// The same for a peer that takes no bytes.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens TCP and TLS connections to endpoints.
pub(super) struct ConnectionOpener {
    tcp: HttpConnector,
    /// `None`: the client opens no TLS connections.
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl std::fmt::Debug for ConnectionOpener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionOpener").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl ConnectionOpener {
    pub(super) fn new(timeout: Duration, encrypted: bool) -> Result<ConnectionOpener, rustls::Error> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        let tls = if encrypted { Some(tls()?) } else { None };
        Ok(ConnectionOpener { tcp, tls, timeout })
    }

    /// A new connection to the host of `url`, whose name is looked up; or why there is none. Nothing of a request has
    /// left then.
    pub(super) async fn connect(&self, url: &Url, lives: ConnectionTimeouts) -> Result<HttpConnection, String> {
        let deadline = Instant::now() + self.timeout;
        match process_timeout::within(deadline, self.timeout, self.open(url, lives)).await {
            Some(opened) => opened.map_err(|error| explain(&*error)),
            None => Err(format!("no connection within {:?}", self.timeout)),
        }
    }

    async fn open(&self, url: &Url, lives: ConnectionTimeouts) -> Result<HttpConnection, Box<dyn Error + Send + Sync>> {
        let stream = self.tcp(url).await?;
        if url.scheme() != "https" {
            return Ok(HttpConnection::over(PrefixRecordingStream::new(stream), lives).await?);
        }
        let tls = self.tls.as_ref().ok_or("this client has no TLS")?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        Ok(HttpConnection::over(PrefixRecordingStream::new(stream), lives).await?)
    }

    async fn tcp(&self, url: &Url) -> Result<TcpStream, Box<dyn Error + Send + Sync>> {
        let mut tcp = self.tcp.clone();
        poll_fn(|context| tcp.poll_ready(context)).await?;
        Ok(tcp.call(url[..Position::BeforePath].parse()?).await?.into_inner())
    }
}

fn tls() -> Result<TlsConnector, rustls::Error> {
    crate::transport::install_tls();
    let mut config = ClientConfig::builder().with_platform_verifier()?.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn explain(error: &(dyn Error + 'static)) -> String {
    let mut line = in_one_line("no connection", error);
    if line.contains("InvalidContentType") {
        line.push_str(" (the server does not speak TLS at this port: is the URL http://?)");
    }
    line
}
