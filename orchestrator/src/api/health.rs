//! Live: the process answers. Ready: it takes work.

mod dead_letters;
mod events_topic;
mod projections;
mod reading;
mod schema_registry;
mod shards;
mod standing;

pub(super) use projections::FailedProjections;

use super::{ApiState, server};
use crate::readiness::{EngineReadiness, starting_text};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use saga_kafka::consumer::{self, ConsumerStatus};
use saga_resilience::metrics::scrape;
use saga_resilience::{metrics, overrides::BreakerMode};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(json!({"status": "live"}))
}

pub(super) async fn ready(State(backend): State<ApiState>) -> Response {
    let mut reasons = Vec::new();
    match &*backend.readiness.borrow() {
        EngineReadiness::Ready => {}
        EngineReadiness::Starting { waiting_for } => return starting(waiting_for.as_deref()),
        EngineReadiness::Stopping => reasons.push("the engine is stopping".to_owned()),
    }
    let (now, health) = (Instant::now(), backend.query.health());
    reasons.extend(health.troubles(now));
    let statuses: Vec<ConsumerStatus> = backend.consumers.iter().map(|consumer| consumer.borrow().clone()).collect();
    reasons.extend(consumer::problems(&statuses, now).iter().map(ToString::to_string));
    reasons.extend(backend.odd_topics.borrow().iter().map(ToString::to_string));
    let owned = health.owned_shards();
    let store = json!({"confirmedWriteSecondsAgo": health.write_confirmed_ago(now).map(|ago| ago.as_secs())});
    let kafka: serde_json::Map<String, Value> =
        statuses.iter().map(|status| (status.name.to_owned(), reading::shown(status, now))).collect();
    if reasons.is_empty() {
        let mut body = json!({"status": "ready", "shards": owned, "store": store, "kafka": kafka});
        let left = backend.query.yielded_topics();
        if !left.is_empty() {
            body["leftToOthers"] = json!(left);
        }
        return Json(with_notes(&backend, body).await).into_response();
    }
    let body = json!({"status": "not ready", "reasons": reasons, "shards": owned, "store": store, "kafka": kafka});
    (StatusCode::SERVICE_UNAVAILABLE, Json(with_notes(&backend, body).await)).into_response()
}

/// Maximum wait for the store to name projections: a probe waits for the answer. After it the answer has the last ones.
const NAMING: Duration = Duration::from_millis(200);

/// Adds deadlines that stand still, shards that are behind, how the topic of all events stands, a schema registry that
/// records wait for, what operators have paused, a table of dead letters that does not follow its topic, and
/// projections that do not go on. None of them makes the engine not ready: they wait and lose nothing, and no saga
/// needs a projection or the table.
async fn with_notes(backend: &ApiState, mut body: serde_json::Value) -> serde_json::Value {
    let behind = backend.query.health().lagging_shards();
    if !behind.is_empty() {
        body["shardsBehind"] = shards::shown(&behind).into();
    }
    if let Some(stands_still) = backend.query.health().deadline_pause() {
        body["deadlinesStandStill"] = json!({
            "since": saga_core::time::rfc3339(stands_still.since),
            "reason": &*stands_still.reason,
        });
    }
    if let Some(events) = backend.query.health().events_topic(backend.query.now()) {
        body["eventsTopic"] = events_topic::shown(&events);
    }
    if let Some(outage) = backend.query.health().registry_outage() {
        body["schemaRegistry"] = schema_registry::shown(&outage);
    }
    let paused = backend.query.paused_definitions();
    if !paused.is_empty() {
        body["definitionsPaused"] = json!(paused);
    }
    let stopped = participants_paused(backend);
    if !stopped.is_empty() {
        body["participantsPaused"] = stopped.into();
    }
    let letters = backend.letters.as_ref().and_then(saga_engine::letters::LetterDesk::standing);
    if let Some(stopped) = letters.as_ref().and_then(dead_letters::shown) {
        body["deadLetters"] = stopped;
    }
    let failed = backend.failed_projections.within(NAMING).await;
    if let Some(failed) = failed.and_then(|failed| failed.shown()) {
        body["projectionsFailed"] = failed;
    }
    body
}

/// Participants that get no calls because an operator says so, and who that was.
fn participants_paused(backend: &ApiState) -> serde_json::Map<String, Value> {
    let shown = |name: String| {
        let active = backend.query.override_in_force(&name)?;
        let act = &active.by.act;
        let paused = json!({"since": active.by.at, "until": active.until, "who": act.who, "reason": act.reason});
        (active.given.mode == BreakerMode::ForcedOpen).then_some((name, paused))
    };
    backend.query.participants().into_iter().filter_map(shown).collect()
}

/// The answer of `/health/ready` during the start.
pub(super) fn starting(waiting_for: Option<&str>) -> Response {
    let mut body = json!({"status": "starting", "reasons": [starting_text(waiting_for)]});
    if let Some(what) = waiting_for {
        body["waitingFor"] = what.into();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

pub(super) async fn metrics(State(backend): State<ApiState>) -> Response {
    match scraped(&backend).await {
        Some(text) => server::text("text/plain; version=0.0.4", text),
        None => (StatusCode::NOT_FOUND, "no metrics are recorded in this process\n").into_response(),
    }
}

/// What a scrape shows; `None`: this process records no metrics.
pub(crate) async fn scraped(backend: &ApiState) -> Option<String> {
    let known = show_sagas(backend).await;
    shards::measure(&backend.query.health().lagging_shards());
    events_topic::measure(backend.query.health().events_topic(backend.query.now()).as_ref());
    for consumer in &backend.consumers {
        reading::measure(&consumer.borrow(), Instant::now(), backend.query.now());
    }
    let rendered = backend.metrics.as_ref()?.render();
    Some(scrape::shown(&rendered, &|participant| known.contains(participant)))
}

/// Participants with time series: the configured ones, and removed ones that still hold sagas back. If the event store
/// is unavailable, the numbers of sagas stay as they were.
async fn show_sagas(backend: &ApiState) -> BTreeSet<String> {
    let participants = backend.query.guards();
    metrics::set_gauges(&participants);
    standing::measure_sessions(backend.query.store_sessions());
    standing::measure_shards(backend.query.shards());
    standing::measure_slow_operations();
    let mut known: BTreeSet<String> = participants.iter().map(|it| it.name.clone()).collect();
    if let Some(counted) = backend.census.now().await {
        let held = counted.held.iter().map(|(waits_on, sagas)| metrics::GuardBacklog {
            guard: waits_on.kind(),
            name: waits_on.name(),
            sagas: *sagas,
        });
        metrics::set_waiting_gauges(&participants, &held.collect::<Vec<_>>());
        standing::measure(&counted, &backend.query.config().catalog, backend.query.now());
        known.extend(counted.held.iter().map(|(waits_on, _)| waits_on.name().to_owned()));
    }
    known
}
