//! The built-in no-op participant of the benchmark: a separate process, so that its CPU time is counted separately.
//!
//! `POST /<anything>` answers `{"ok":true}`; `GET /calls` answers how many calls there were, by path.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::{get, post},
    serve::ListenerExt,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::net::TcpListener;

/// Names of the four steps of the benchmark's saga; a call to any other path is counted under `other`.
pub(super) const STEPS: [&str; 4] = ["one", "two", "three", "four"];

#[derive(Default)]
struct StepCallCounters {
    steps: [AtomicU64; STEPS.len()],
    other: AtomicU64,
}

/// Serves on a free port of the loopback interface until the process is killed; calls `started` with its address first.
///
/// # Errors
/// When no port is free.
pub(crate) async fn run(started: impl FnOnce(std::net::SocketAddr)) -> std::io::Result<()> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    started(listener.local_addr()?);
    let routes = Router::new()
        .route("/calls", get(count))
        .route("/{step}", post(perform))
        .with_state(Arc::new(StepCallCounters::default()));
    axum::serve(listener.tap_io(without_delay), routes).await
}

/// Small answers must not wait for an acknowledgement of the one before.
fn without_delay(stream: &mut tokio::net::TcpStream) {
    drop(stream.set_nodelay(true));
}

async fn perform(State(calls): State<Arc<StepCallCounters>>, Path(step): Path<String>) -> impl IntoResponse {
    let counter = STEPS.iter().position(|name| *name == step).map_or(&calls.other, |index| &calls.steps[index]);
    counter.fetch_add(1, Ordering::Relaxed);
    ([(header::CONTENT_TYPE, "application/json")], r#"{"ok":true}"#)
}

async fn count(State(calls): State<Arc<StepCallCounters>>) -> Json<BTreeMap<&'static str, u64>> {
    let steps = STEPS.iter().zip(&calls.steps).map(|(name, counter)| (*name, counter.load(Ordering::Relaxed)));
    let other = [("other", calls.other.load(Ordering::Relaxed))];
    Json(steps.chain(other).collect())
}
