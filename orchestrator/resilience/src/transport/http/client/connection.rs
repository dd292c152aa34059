//! One connection, and one exchange over it.

use super::{
    ConnectionTimeouts, OutboundRequest, in_one_line, keep_alive,
    received_prefix::{PrefixRecordingStream, ReceivedPrefix},
};
use crate::transport::http::{
    io_timeouts::{ExchangeTimeout, ReadWriteTimeouts, TimeoutWatch},
    not_http,
    request_body::OutgoingBody,
};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::HeaderMap,
};
use hyper_util::rt::TokioIo;
use rustls::AlertDescription;
use std::{error::Error, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// Most headers of an answer. Gateways add theirs to those of the service; beyond this it is a fault, and the answer
/// cannot be read.
const MAX_HEADERS: usize = 1024;
/// The longest age is shortened by up to so many percent, by lot: connections that were opened together are not opened
/// anew together.
const AGE_SPREAD_PERCENT: u32 = 20;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(super) struct HttpConnection {
    sender: SendRequest<OutgoingBody>,
    heard: ReceivedPrefix,
    /// Not used any more from then on.
    old_at: Instant,
    /// Not used any more from then on, if nothing is sent before.
    stale_at: Instant,
}

/// Why an exchange has no answer.
#[derive(Debug)]
pub(super) enum HttpConnectionError {
    /// The connection had ended: nothing of the request left.
    NotTaken,
    /// The server rejected the handshake of TLS after the client had ended its part: it has read nothing of the
    /// request.
    Rejected(String),
    /// The connection took it and ended before a byte of an answer.
    Nothing(String),
    /// It broke after the answer had begun, or the request could not be made.
    Broken(String),
    /// What came is no HTTP/1.1.
    NotHttp(String),
    /// It took too long.
    Late(ExchangeTimeout),
}

impl HttpConnection {
    pub(super) async fn over<S>(
        stream: PrefixRecordingStream<S>,
        lives: ConnectionTimeouts,
    ) -> Result<HttpConnection, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heard = stream.heard();
        let mut http = http1::Builder::new();
        // Both are old ways to write what can be read in one way only.
        http.allow_obsolete_multiline_headers_in_responses(true).allow_spaces_after_header_name_in_responses(true);
        let (sender, driven) = http.max_headers(MAX_HEADERS).handshake(TokioIo::new(stream)).await?;
        // The task ends with the connection; the caller that waits for an answer receives what broke it.
        tokio::spawn(async move { drop(driven.await) });
        let now = Instant::now();
        Ok(HttpConnection { sender, heard, old_at: now + shortened(lives.age), stale_at: now + lives.idle })
    }

    /// Gives the request to the connection and waits for the head of the answer.
    pub(super) async fn send(
        &mut self,
        request: &OutboundRequest,
        pace: ReadWriteTimeouts,
    ) -> Result<Response<Incoming>, HttpConnectionError> {
        let parts = request.parts().map_err(|error| HttpConnectionError::Broken(error.to_string()))?;
        let (body, watch) = pace.watch(request.body.clone());
        self.heard.begin();
        let sent = self.sender.try_send_request(Request::from_parts(parts, body));
        tokio::select! {
            // What is there counts, also at the last moment.
            biased;
            sent = sent => sent.map_err(|mut error| match error.take_message() {
                Some(_) => HttpConnectionError::NotTaken,
                None => self.unanswered(error.error()),
            }),
            late = TimeoutWatch::late(watch) => Err(HttpConnectionError::Late(late)),
        }
    }

    /// How long it may be kept, by what the server says with its answer.
    pub(super) fn apply_keep_alive(&mut self, headers: &HeaderMap, lives: ConnectionTimeouts, now: Instant) {
        let idle = keep_alive::announced(headers).map_or(lives.idle, |announced| announced.min(lives.idle));
        self.stale_at = now + idle;
    }

    /// Whether it takes a request at this moment.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether it may be used again.
    pub(super) fn is_reusable(&self, now: Instant) -> bool {
        now < self.ends() && !self.sender.is_closed()
    }

    /// When it is not used any more, if nothing is sent before.
    pub(super) fn ends(&self) -> Instant {
        self.old_at.min(self.stale_at)
    }

    /// Waits until it takes a request; false: it has ended.
    pub(super) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// What the error means, and how it is said.
    pub(super) fn unanswered(&self, error: &hyper::Error) -> HttpConnectionError {
        let beginning = self.heard.beginning();
        if beginning.is_empty() {
            let said = explain(error);
            return if rejects_handshake(error) {
                HttpConnectionError::Rejected(said)
            } else {
                HttpConnectionError::Nothing(said)
            };
        }
        if error.is_parse() {
            return HttpConnectionError::NotHttp(not_http::answer(&error.to_string(), &beginning));
        }
        HttpConnectionError::Broken(explain(error))
    }
}

/// Whether the server refused the client's certificate, or that there is none. In TLS 1.3 it says so after the client
/// may send, and before it reads.
fn rejects_handshake(error: &hyper::Error) -> bool {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let tls = |cause: &(dyn Error + 'static)| {
        let inside = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inside.and_then(|inside| inside.downcast_ref::<rustls::Error>()).cloned()
    };
    matches!(causes.filter_map(tls).next(), Some(rustls::Error::AlertReceived(alert)) if is_about_certificates(alert))
}

fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn shortened(age: Duration) -> Duration {
    age - age * fastrand::u32(0..=AGE_SPREAD_PERCENT) / 100
}

pub(super) fn explain(error: &hyper::Error) -> String {
    in_one_line("the connection broke", error)
}
