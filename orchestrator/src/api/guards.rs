//! Guards: how they stand, what people did to them and why, who waits on them.

use super::{
    ApiState, asked, bodies,
    errors::{ApiError, RequestBodyKind},
    sagas,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use saga_core::{command::GuardKind, definition::participants::CriticalPath, id::SagaId};
use saga_engine::{
    journal::reading::{GuardFilter, SagaLine, SagaQuery, guard_words},
    overrides::{ActiveOverride, OverrideError, RecordedOverride},
};
use saga_resilience::{
    overrides::{GuardAction, ManualLimits, ManualRate, OverrideRequest},
    snapshot::{ParticipantSnapshot, millis},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use uuid::Uuid;

/// Acts that are shown with one participant.
const LAST_ACTS: usize = 10;

/// A participant's guards, and what people decided about them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GuardLine {
    #[serde(flatten)]
    guard: ParticipantSnapshot,
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    in_force: Option<ActiveOverride>,
}

/// The chain of participants that need each other whose attempts take longest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CriticalPathLine {
    names: Vec<String>,
    total_ms: u64,
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
        return Err(nobody(&backend, name));
    };
    let acts = backend.query.overrides(Some(&name), LAST_ACTS).await?;
    Ok(Json(json!({"guard": GuardLine::of(&backend, guard), "acts": acts})))
}

/// There is no participant of that name.
pub(super) fn nobody(backend: &ApiState, name: String) -> ApiError {
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
    let asked = bodies::checked(query)?;
    let limit = asked::limit(asked.limit)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let acts: Vec<RecordedOverride> = backend.query.overrides(asked.participant.as_deref(), limit).await?;
    // What was done to one that is there no more stays on record under its name.
    if let (Some(name), true) = (asked.participant, acts.is_empty())
        && backend.query.guard_of(&name).is_none()
    {
        return Err(nobody(&backend, name));
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
    let wanted = wanted(bodies::checked(query)?)?;
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
        limit: asked::limit(asked.limit)?,
        ..SagaQuery::default()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardOverrideBody {
    id: Option<Uuid>,
    who: String,
    reason: String,
    share: Option<f64>,
    bulkhead: Option<NonZeroU32>,
    rate: Option<ManualRate>,
}

pub(super) async fn act(
    State(backend): State<ApiState>,
    Path((participant, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: GuardOverrideBody = bodies::read(RequestBodyKind::GuardAct, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let action = action_of(&action, ManualLimits { share: asked.share, bulkhead: asked.bulkhead, rate: asked.rate })?;
    let act = OverrideRequest { participant: participant.clone(), action, who: asked.who, reason: asked.reason };
    let operator = backend.operator.clone();
    // A task of its own: a client that goes away does not take its act back.
    let recording = tokio::spawn(async move { operator.act_on_guards(id, &act).await });
    let recorded = recording.await.map_err(|error| ApiError::StoreAway(format!("the recording broke off: {error}")))?;
    let (number, is_applied) = recorded.map_err(refused)?;
    let (code, status) =
        if is_applied { (StatusCode::OK, "applied") } else { (StatusCode::ACCEPTED, "accepted, not yet applied") };
    let in_force = backend.query.override_in_force(&participant);
    let answer =
        json!({"status": status, "id": id, "number": number, "participant": participant, "override": in_force});
    Ok((code, Json(answer)).into_response())
}

fn action_of(word: &str, given: ManualLimits) -> Result<GuardAction, ApiError> {
    let action = match word {
        "open" => GuardAction::Open,
        "close" => GuardAction::Close,
        "reset" => GuardAction::Reset,
        "metrics-only" => GuardAction::MetricsOnly,
        "set" => return Ok(GuardAction::Set(given)),
        other => {
            return Err(ApiError::NoRoute(format!("…/{other}: expected open, close, reset, metrics-only or set")));
        }
    };
    if given == ManualLimits::default() {
        return Ok(action);
    }
    Err(ApiError::BadValue(format!("`share`, `bulkhead` and `rate` belong to `set`, not to `{word}`")))
}

fn refused(refused: OverrideError) -> ApiError {
    match refused {
        OverrideError::NoParticipant { name, hint } => ApiError::NoParticipant { name, hint },
        OverrideError::Malformed(message) => ApiError::BadValue(message),
        OverrideError::Store(error) => error.into(),
    }
}
