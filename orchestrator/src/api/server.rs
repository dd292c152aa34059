//! The accept loop. It bounds connections and the time for headers, bodies and requests, which `axum::serve` does not,
//! and its routes can be replaced.

mod own_answers;
mod paced_body;
mod patient_stream;
mod places;
mod request_limits;
mod tls;

pub(crate) use tls::ServerTls;

use super::{
    context::{PeerAddress, PeerCertificate, in_context},
    errors::ApiError,
};
use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use paced_body::PlacedBody;
use patient_stream::PatientStream;
use places::{ConnectionPlace, ConnectionTable, PlaceLoss};
use request_limits::NoPlace;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::MissedTickBehavior,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

/// What hyper reads of a header at most; it is more than requests may have, so that more than that gets a problem
/// document, too.
const HEADER_BYTES: usize = 64 * 1024;
const HEADERS: usize = 256;
/// How often connections are looked for that send no header.
const SWEEP: Duration = Duration::from_millis(500);
/// For a header that is on its way while its connection loses its place to a crowd.
const LAST_MOMENT: Duration = Duration::from_millis(100);
/// Maximum time to tell a slow peer that it was too slow.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Maximum time for a whole request; longer than an act of an operator waits.
const REQUEST: Duration = Duration::from_secs(30);
/// Delay after an accept that failed, for example because no file descriptor is free.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A listening API, or other routes under its limits. Dropping it ends the listening.
#[derive(Debug)]
pub(crate) struct ApiServer {
    /// The address on which it listens, with the real port.
    pub address: SocketAddr,
    has_tls: bool,
    routes: watch::Sender<Router>,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ApiServer {
    /// Serves all routes from now on, also on open connections.
    pub(crate) fn work_on(&self, backend: super::ApiState) {
        drop(self.routes.send_replace(bounded(self.address, self.has_tls, super::work(backend))));
    }

    /// Accepts no more connections, and waits at most `max_wait` for the requests in progress.
    pub(crate) async fn stop(self, max_wait: Duration) {
        self.stop.cancel();
        self.connections.close();
        if tokio::time::timeout(max_wait, self.connections.wait()).await.is_err() {
            debug!("the API stopped before all requests were answered");
        }
    }
}

pub(super) async fn start(address: SocketAddr, tls: Option<ServerTls>, routes: Router) -> anyhow::Result<ApiServer> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: choose another address with --listen, or the key `api.listen`")
    })?;
    listening(listener, tls, routes)
}

/// Serves `routes` on a listener that is there, under the limits of the API.
///
/// # Errors
/// The listener has no address.
pub(crate) fn on(listener: TcpListener, routes: Router) -> anyhow::Result<ApiServer> {
    listening(listener, None, routes)
}

fn listening(listener: TcpListener, tls: Option<ServerTls>, routes: Router) -> anyhow::Result<ApiServer> {
    let (address, has_tls) = (listener.local_addr()?, tls.is_some());
    let (routes, answering) = watch::channel(bounded(address, has_tls, routes));
    let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
    let accepting =
        AcceptLoop { tls: tls.map(Arc::new), routes: answering, stop: stop.clone(), connections: connections.clone() };
    connections.spawn(accepting.run(listener));
    Ok(ApiServer { address, has_tls, routes, stop, connections })
}

/// The limits of every request, for all routes.
fn bounded(address: SocketAddr, has_tls: bool, routes: Router) -> Router {
    let routes = if has_tls { routes.layer(axum::middleware::map_response(tls_from_now_on)) } else { routes };
    routes
        .layer(axum::middleware::from_fn(within_time))
        .layer(axum::middleware::from_fn(paced_body::paced))
        .layer(axum::middleware::from_fn(request_limits::kept))
        .layer(axum::middleware::from_fn(move |request: Request, next: Next| only_for(address, request, next)))
        .layer(axum::middleware::from_fn(in_context))
}

/// A browser that was here by TLS comes by TLS only, for a year.
async fn tls_from_now_on(mut response: Response) -> Response {
    let value = axum::http::HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(axum::http::header::STRICT_TRANSPORT_SECURITY, value);
    response
}

/// Takes connections until it is stopped.
struct AcceptLoop {
    tls: Option<Arc<ServerTls>>,
    routes: watch::Receiver<Router>,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl AcceptLoop {
    async fn run(self, listener: TcpListener) {
        let table = ConnectionTable::new(places::LIMITS);
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = sweep.tick() => table.end_slow(Instant::now()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer, &table),
                    Err(error) => {
                        warn!(%error, "the API cannot accept a connection");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr, table: &Arc<ConnectionTable>) {
        let place = table.enter(peer.ip());
        let (peer, routes) = (PeerAddress(peer), self.routes.clone());
        let connection = ServedConnection { peer, certificate: None, place, routes };
        let stop = self.stop.clone();
        match &self.tls {
            None => drop(self.connections.spawn(connection.serve(stream, stop))),
            Some(tls) => drop(self.connections.spawn(connection.serve_by_tls(tls.acceptor(), stream, stop))),
        }
    }
}

/// One connection, and what its requests need.
#[derive(Clone, Debug)]
struct ServedConnection {
    peer: PeerAddress,
    certificate: Option<PeerCertificate>,
    place: Arc<ConnectionPlace>,
    routes: watch::Receiver<Router>,
}

impl ServedConnection {
    /// A handshake is part of the time for a header.
    async fn serve_by_tls(mut self, acceptor: TlsAcceptor, stream: TcpStream, stop: CancellationToken) {
        let mut loss = self.place.loss();
        let shaken = tokio::select! {
            shaken = acceptor.accept(stream) => shaken,
            _ = loss.wait_for(Option::is_some) => return debug!("a connection lost its place during its handshake"),
            () = stop.cancelled() => return,
        };
        match shaken {
            Ok(stream) => {
                self.certificate = tls::peer_of(&stream);
                self.serve(stream, stop).await;
            }
            Err(error) => info!(peer = %self.peer.0, %error, "a TLS handshake with the API failed"),
        }
    }

    async fn serve<S>(self, stream: S, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (place, mut loss) = (Arc::clone(&self.place), self.place.loss());
        let stream = PatientStream::new(stream, Arc::clone(&place));
        let service = hyper::service::service_fn(move |request| self.clone().answer(request));
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(None);
        http.max_headers(HEADERS).max_buf_size(HEADER_BYTES);
        let mut connection = http.serve_connection(TokioIo::new(stream), service);
        let mut is_stopping = false;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut connection => break ended,
                lost = last_moment(&mut loss) => {
                    let parts = connection.into_parts();
                    return end(parts.io.into_inner(), !parts.read_buf.is_empty(), lost).await;
                }
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection to the API failed");
        }
    }

    async fn answer(self, mut request: hyper::Request<Incoming>) -> hyper::Result<Response<PlacedBody>> {
        let place = self.place.begin_request();
        request.extensions_mut().insert(self.peer);
        if let Some(certificate) = self.certificate {
            request.extensions_mut().insert(certificate);
        }
        if place.is_none() {
            request.extensions_mut().insert(NoPlace);
        }
        let routes = self.routes.borrow().clone();
        let answered = match TowerToHyperService::new(routes).call(request).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        Ok(answered.map(|body| PlacedBody::new(body, place)))
    }
}

/// Returns when the place is lost, and no header that was on its way brings it back.
async fn last_moment(loss: &mut watch::Receiver<Option<PlaceLoss>>) -> PlaceLoss {
    loop {
        if loss.wait_for(Option::is_some).await.is_err() {
            // The place is dropped after its connection.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LAST_MOMENT).await;
        if let Some(lost) = *loss.borrow_and_update() {
            return lost;
        }
    }
}

/// A peer that has sent part of a request hears why its connection ends; another one has asked nothing.
async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: PatientStream<S>, has_begun: bool, loss: PlaceLoss) {
    let error = match loss {
        PlaceLoss::Slow => ApiError::SlowRequest,
        PlaceLoss::Crowded => ApiError::TooManyConnections,
    };
    let said = async {
        if has_begun {
            stream.write_all(&own_answers::bytes(&error)).await?;
        }
        stream.shutdown().await
    };
    // The peer may be gone, and need not listen.
    let _heard = tokio::time::timeout(LAST_WORD, said).await;
    debug!(?loss, "a connection to the API lost its place");
}

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    }
}

/// On a loopback address the header Host must name a loopback address: this refuses DNS rebinding by pages of other
/// sites.
async fn only_for(address: SocketAddr, request: Request, next: Next) -> Response {
    match foreign_host(&request) {
        Some(host) if address.ip().is_loopback() => ApiError::ForeignHost(host).into_response(),
        Some(_) | None => next.run(request).await,
    }
}

/// The first name that is not local: of all headers, because nobody knows which one others judge, and of the address in
/// the request line.
fn foreign_host(request: &Request) -> Option<String> {
    let headers = request.headers().get_all("host").iter().map(|host| host.to_str().unwrap_or_default());
    let line = request.uri().authority().map(|authority| authority.as_str());
    if request.headers().get("host").is_none() && line.is_none() {
        return Some(String::new());
    }
    headers.chain(line).find(|host| !is_local(host)).map(str::to_owned)
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An answer with this content type.
pub(super) fn text(content_type: &'static str, text: impl Into<Body>) -> Response {
    ([(axum::http::header::CONTENT_TYPE, content_type)], text.into()).into_response()
}
