//! The accept loop. It bounds connections and the time for headers and requests, which `axum::serve` does not, and its
//! routes can be replaced.

use super::context::{PeerAddress, in_context};
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
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

/// Connections at once: operators and a scraper, not the public.
const CONNECTIONS: usize = 256;
/// Maximum time for the headers of a request, against clients that send them slowly.
const HEADERS: Duration = Duration::from_secs(10);
/// Maximum time for a whole request; longer than an act of an operator waits.
const REQUEST: Duration = Duration::from_secs(30);
/// Delay after an accept that failed, for example because no file descriptor is free.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A listening API, or other routes under its limits. Dropping it ends the listening.
#[derive(Debug)]
pub(crate) struct ApiServer {
    /// The address on which it listens, with the real port.
    pub address: SocketAddr,
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
        drop(self.routes.send_replace(bounded(self.address, super::work(backend))));
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

pub(super) async fn start(address: SocketAddr, routes: Router) -> anyhow::Result<ApiServer> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: choose another address with --listen, or the key `api.listen`")
    })?;
    on(listener, routes)
}

/// Serves `routes` on a listener that is there, under the limits of the API.
///
/// # Errors
/// The listener has no address.
pub(crate) fn on(listener: TcpListener, routes: Router) -> anyhow::Result<ApiServer> {
    let address = listener.local_addr()?;
    let (routes, answering) = watch::channel(bounded(address, routes));
    let server = ApiServer { address, routes, stop: CancellationToken::new(), connections: TaskTracker::new() };
    server.connections.spawn(accept(listener, answering, server.stop.clone(), server.connections.clone()));
    Ok(server)
}

/// The limits of every request, for all routes.
fn bounded(address: SocketAddr, routes: Router) -> Router {
    routes
        .layer(axum::middleware::from_fn(within_time))
        .layer(axum::middleware::from_fn(move |request: Request, next: Next| only_for(address, request, next)))
        .layer(axum::middleware::from_fn(in_context))
}

async fn accept(
    listener: TcpListener,
    routes: watch::Receiver<Router>,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Some(place) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await else { return };
        let Ok(place) = place else { return };
        match stop.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok((stream, peer))) => {
                let serving = serve(stream, PeerAddress(peer), routes.clone(), stop.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Some(Err(error)) => {
                warn!(%error, "the API cannot accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: PeerAddress, routes: watch::Receiver<Router>, stop: CancellationToken) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let routes = routes.borrow().clone();
        TowerToHyperService::new(routes).call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to the API failed");
    }
}

async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => super::errors::ApiError::TimedOut.into_response(),
    }
}

/// On a loopback address the header Host must name a loopback address: this refuses DNS rebinding by pages of other
/// sites.
async fn only_for(address: SocketAddr, request: Request, next: Next) -> Response {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    if address.ip().is_loopback() && !is_local(host) {
        return super::errors::ApiError::ForeignHost(host.to_owned()).into_response();
    }
    next.run(request).await
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
