//! Live: the process answers. Ready: it takes work.

use super::{Backend, server};
use crate::{guarded::metrics, startup::Readiness};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::time::Duration;

/// How long the database may take to answer before this engine is not ready.
const PING: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(json!({"status": "live"}))
}

pub(super) async fn ready(State(backend): State<Backend>) -> Response {
    let mut reasons = Vec::new();
    match *backend.readiness.borrow() {
        Readiness::Ready => {}
        Readiness::Starting => reasons.push("the engine is starting".to_owned()),
        Readiness::Stopping => reasons.push("the engine is stopping".to_owned()),
    }
    match tokio::time::timeout(PING, backend.parts.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => reasons.push(error.to_string()),
        Err(_) => reasons.push("the event store does not answer".to_owned()),
    }
    if reasons.is_empty() {
        return Json(json!({"status": "ready", "shards": backend.parts.router.owned()})).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not ready", "reasons": reasons}))).into_response()
}

pub(super) async fn metrics(State(backend): State<Backend>) -> Response {
    show_guards(&backend).await;
    match &backend.metrics {
        Some(metrics) => server::text("text/plain; version=0.0.4", metrics.render()),
        None => (StatusCode::NOT_FOUND, "no metrics are recorded in this process\n").into_response(),
    }
}

/// A database that is away leaves the numbers of sagas as they were.
async fn show_guards(backend: &Backend) {
    let participants = backend.parts.guarded.snapshot();
    metrics::show(&participants);
    if let Ok(Ok(held)) = tokio::time::timeout(PING, backend.parts.store.waiting_counts()).await {
        metrics::show_held(&participants, &held);
    }
}
