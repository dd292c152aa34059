//! The HTTP API for operators: health, sagas, acts, metrics, and the web UI. It reads the store; acts go to the owners
//! of shards as inputs.

mod acts;
mod audit;
mod auth;
mod causes;
mod census;
mod content_reads;
mod context;
mod dead_letters;
mod definitions;
mod documents;
mod errors;
mod events;
mod guard_events;
mod guards;
mod health;
mod help;
mod jobs;
mod journal_permits;
pub(crate) mod monitoring;
mod pages;
mod participants;
mod permission;
mod projections;
mod request;
mod routes;
mod saga_events;
mod saga_query;
mod sagas;
mod server;
mod starting;
mod starts;
mod statement;
mod uniform;

pub(crate) use acts::ActStatus;
pub(crate) use auth::ApiDoor;
pub(crate) use dead_letters::LetterLineView;
pub(crate) use definitions::DefinitionLine;
pub(crate) use guards::CriticalPathLine;
pub(crate) use health::scraped;
pub(crate) use server::{ApiServer, ServerTls, on as serve_on};

use crate::readiness::EngineReadiness;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware,
};
use saga_engine::{OperatorHandle, QueryHandle, letters::LetterDesk};
use saga_kafka::{consumer::ConsumerStatus, topics::TopicAnomaly};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::{Semaphore, watch};

/// The largest body of a request to the API: an act is a few lines.
const BODY_BYTES: usize = 64 * 1024;

/// What the routes of the API share.
#[derive(Clone, Debug)]
pub(crate) struct ApiState {
    pub(crate) query: QueryHandle,
    pub(crate) operator: OperatorHandle,
    /// How callers come in.
    pub(crate) door: ApiDoor,
    /// Dead letters; `None`: this engine follows no topic of them.
    pub(crate) letters: Option<LetterDesk>,
    pub(crate) readiness: watch::Receiver<EngineReadiness>,
    pub(crate) consumers: [watch::Receiver<ConsumerStatus>; 2],
    /// Problems of the topics that the engine keeps for itself.
    pub(crate) odd_topics: watch::Receiver<Vec<TopicAnomaly>>,
    pub(crate) metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
    /// Permits for clients that follow the guard events.
    pub(crate) readers: Arc<Semaphore>,
    /// Permits for clients that follow the feed of all events.
    pub(crate) feed_readers: Arc<Semaphore>,
    /// Permits for clients that follow one saga.
    pub(crate) saga_readers: Arc<Semaphore>,
    /// Permits for requests that read journals.
    pub(crate) journal_permits: journal_permits::JournalReadPermits,
    /// Numbers of sagas by status.
    pub(crate) census: census::CountCache<census::SagaCounts>,
    /// Groups of sagas that do not go on, by cause.
    pub(crate) causes: census::CountCache<causes::DelayCauses>,
    /// Projections that do not go on.
    pub(crate) failed_projections: census::CountCache<health::FailedProjections>,
    /// Who saw what sagas carry, as far as the audit has it.
    content_reads: Arc<content_reads::ContentReads>,
    /// For `/health/deep` and `/monitoring`.
    pub(crate) monitoring: monitoring::MonitoringSources,
}

impl ApiState {
    /// For an engine and its two consumers.
    #[must_use]
    pub(crate) fn new(
        (query, operator, letters): (QueryHandle, OperatorHandle, Option<LetterDesk>),
        readiness: watch::Receiver<EngineReadiness>,
        consumers: [watch::Receiver<ConsumerStatus>; 2],
        odd_topics: watch::Receiver<Vec<TopicAnomaly>>,
        (door, monitoring): (ApiDoor, monitoring::MonitoringSources),
    ) -> ApiState {
        let readers = Arc::new(Semaphore::new(guard_events::READERS));
        let feed_readers = Arc::new(Semaphore::new(events::READERS));
        let saga_readers = Arc::new(Semaphore::new(saga_events::READERS));
        let journal_permits = journal_permits::JournalReadPermits::new();
        let census = census::CountCache::of(query.clone());
        let causes = census::CountCache::of(query.clone());
        let failed_projections = census::CountCache::of(query.clone());
        let metrics = crate::telemetry::metrics();
        ApiState {
            query,
            operator,
            door,
            letters,
            readiness,
            consumers,
            odd_topics,
            metrics,
            readers,
            feed_readers,
            saga_readers,
            journal_permits,
            census,
            causes,
            failed_projections,
            content_reads: Arc::default(),
            monitoring,
        }
    }
}

/// Listens on `address` until [`ApiServer::stop`]. Until [`ApiServer::work_on`] every answer says that the engine
/// starts, and what it waits for.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn start(
    address: SocketAddr,
    tls: Option<ServerTls>,
    readiness: watch::Receiver<EngineReadiness>,
) -> anyhow::Result<ApiServer> {
    server::start(address, tls, starting::routes(readiness)).await
}

fn work(backend: ApiState) -> Router {
    let door = backend.door.clone();
    layered(routes::router(routes::all(), &door).with_state(backend), &door)
}

/// The layers around all routes.
fn layered(routes: Router, door: &ApiDoor) -> Router {
    let door = door.clone();
    let identified = move |request, next| auth::identified(door.clone(), request, next);
    // In a router of its own: axum adds the header `allow` to an answer after the layers of the same router have seen
    // it.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::from_fn(uniform::in_one_form))
        .layer(middleware::from_fn(identified))
        .layer(middleware::from_fn(pages::errors_as_pages))
        .layer(middleware::map_response(with_security_headers))
}

/// On every answer: payloads are hostile, so a page runs nothing but our own files, and no other page can frame ours.
/// One function, where tower-http would be a layer for each header.
async fn with_security_headers(mut response: axum::response::Response) -> axum::response::Response {
    const POLICY: &str = "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                          img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
