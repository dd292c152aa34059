//! `GET /api/guards…`: the state of guards, the acts on them, and the sagas that wait for them.

use super::{ApiState, errors::ApiError, request, sagas};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use saga_core::{command::GuardKind, definition::participants::CriticalPath, id::SagaId};
use saga_engine::{
    journal::reading::{GuardFilter, SagaLine, SagaQuery, guard_words},
    overrides::{ActiveOverride, RecordedOverride},
};
use saga_resilience::{json_format::millis, snapshot::ParticipantSnapshot};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Acts that are shown with one participant: the latest.
const LAST_ACTS: usize = 10;

/// The guards of a participant, and the override in effect.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GuardLine {
    #[serde(flatten)]
    guard: ParticipantSnapshot,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    in_force: Option<ActiveOverride>,
}

/// The chain of participants that depend on each other whose attempts take longest.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CriticalPathLine {
    pub(crate) names: Vec<String>,
    /// Milliseconds of all attempts one after the other.
    pub(crate) total_ms: u64,
}

impl From<CriticalPath> for CriticalPathLine {
    fn from(path: CriticalPath) -> CriticalPathLine {
        CriticalPathLine { names: path.names, total_ms: millis(path.total) }
    }
}

impl GuardLine {
    fn of(backend: &ApiState, guard: ParticipantSnapshot) -> GuardLine {
        GuardLine { in_force: backend.query.override_in_force(&guard.name), guard }
    }
}

pub(super) async fn list(State(backend): State<ApiState>) -> Json<Value> {
    let lines: Vec<GuardLine> =
        backend.query.guards().into_iter().map(|guard| GuardLine::of(&backend, guard)).collect();
    let path = backend.query.critical_path().map(CriticalPathLine::from);
    Json(json!({"guards": lines, "criticalPath": path}))
}

pub(super) async fn show(State(backend): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let Some(guard) = backend.query.guard_of(&name) else {
        return Err(no_participant(&backend, name));
    };
    let acts = backend.query.overrides(Some(&name), LAST_ACTS).await?;
    Ok(Json(json!({"guard": GuardLine::of(&backend, guard), "acts": acts})))
}

/// The error for a name that no participant has.
pub(super) fn no_participant(backend: &ApiState, name: String) -> ApiError {
    let names = backend.query.participants();
    let hint = saga_core::definition::did_you_mean(&name, names.iter().map(String::as_str));
    ApiError::NoParticipant { name, hint }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardOverridesQuery {
    participant: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn acts(
    State(backend): State<ApiState>,
    query: Result<Query<GuardOverridesQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = request::checked(query)?;
    let limit = request::limit(asked.limit)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let acts: Vec<RecordedOverride> = backend.query.overrides(asked.participant.as_deref(), limit).await?;
    // The acts on a participant that was removed stay on record under its name.
    if let (Some(name), true) = (asked.participant, acts.is_empty())
        && backend.query.guard_of(&name).is_none()
    {
        return Err(no_participant(&backend, name));
    }
    Ok(Json(json!({"acts": acts})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GuardWaitersQuery {
    participant: Option<String>,
    guard: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn waiting(
    State(backend): State<ApiState>,
    query: Result<Query<GuardWaitersQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let wanted = wanted(request::checked(query)?)?;
    let lines = backend.query.list(&wanted).await?;
    if lines.is_empty() {
        sagas::named_right(&backend, &wanted).await?;
    }
    let next = lines.last().map(|line| line.id.clone());
    let lines: Vec<SagaLine> = lines;
    Ok(Json(json!({"sagas": lines, "next": next})))
}

fn wanted(asked: GuardWaitersQuery) -> Result<SagaQuery, ApiError> {
    let guard = asked.guard.map(|word| {
        let unknown = || ApiError::BadParameter(format!("`{word}` is not a guard, expected one of {}", guard_words()));
        GuardKind::parse(&word).ok_or_else(unknown)
    });
    let before = asked.before.as_deref().map(str::parse::<SagaId>).transpose();
    Ok(SagaQuery {
        waiting_on: Some(GuardFilter { guard: guard.transpose()?, participant: asked.participant }),
        before: before.map_err(|error| ApiError::BadParameter(error.to_string()))?,
        limit: request::limit(asked.limit)?,
        ..SagaQuery::default()
    })
}
