//! Live: the process answers. Ready: it takes work.

use super::{Backend, server};
use crate::{guarded::metrics, kafka::consumer::Status, startup::Readiness};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For how long intake may be hindered before this engine is not ready: brokers that restart one after the other, and an election, are over
/// sooner.
const KAFKA: Duration = Duration::from_secs(30);

/// How long the database may take to answer before this engine is not ready.
const PING: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(json!({"status": "live"}))
}

pub(super) async fn ready(State(backend): State<Backend>) -> Response {
    let mut reasons = Vec::new();
    match &*backend.readiness.borrow() {
        Readiness::Ready => {}
        Readiness::Starting { waiting_for } => return starting(waiting_for.as_deref()),
        Readiness::Stopping => reasons.push("the engine is stopping".to_owned()),
    }
    reasons.extend(store_away(&backend).await);
    reasons.extend(kafka_away(&backend.consumers, Instant::now()));
    if reasons.is_empty() {
        return Json(json!({"status": "ready", "shards": backend.parts.router.owned()})).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "not ready", "reasons": reasons}))).into_response()
}

/// Of an engine that does not work yet.
pub(super) fn starting(waiting_for: Option<&str>) -> Response {
    let mut body = json!({"status": "starting", "reasons": [told(waiting_for)]});
    if let Some(what) = waiting_for {
        body["waitingFor"] = what.into();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

/// A start, for people.
pub(super) fn told(waiting_for: Option<&str>) -> String {
    match waiting_for {
        Some(what) => format!("the engine is starting and waits for {what}"),
        None => "the engine is starting".to_owned(),
    }
}

async fn store_away(backend: &Backend) -> Option<String> {
    match tokio::time::timeout(PING, backend.parts.store.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the event store: {error}")),
        Err(_) => Some("the event store does not answer".to_owned()),
    }
}

/// Only after a while: an engine that is unready for every stumble of a broker is of no more use to anybody.
fn kafka_away(consumers: &[watch::Receiver<Status>], now: Instant) -> Option<String> {
    consumers.iter().find_map(|consumer| {
        let status = consumer.borrow();
        let lasts = now.saturating_duration_since(status.troubled_since?);
        let trouble = status.trouble.as_deref().unwrap_or_default();
        (lasts >= KAFKA).then(|| format!("Kafka has not answered as it should for {} s: {trouble}", lasts.as_secs()))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_makes_an_engine_unready() {
        let now = Instant::now();
        let troubled =
            Status { trouble: Some("all brokers are down".into()), troubled_since: Some(now), ..Status::default() };
        let (_well, well) = watch::channel(Status::default());
        let (_ill, ill) = watch::channel(troubled);
        let consumers = [well, ill];
        assert_eq!(kafka_away(&consumers, now + KAFKA - Duration::from_millis(1)), None);
        let said = kafka_away(&consumers, now + KAFKA).expect("it lasts");
        assert!(said.contains("30 s") && said.contains("all brokers are down"), "{said}");
    }
}
