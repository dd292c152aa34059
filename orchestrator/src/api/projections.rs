//! Projections: rows about all sagas, and how far they are.

use super::{
    ApiState,
    acts::OperatorStatement,
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use saga_core::id::SagaId;
use saga_engine::{
    act_log::ActedPart,
    projection::{MissingArchives, ProjectionPage, RebuildError, SAGA_LIST},
    replay::repair::RepairMode,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectionQuery {
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

/// What a rebuild takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RebuildBody {
    /// Archives whose files are missing or damaged are left out.
    #[serde(default)]
    without_archives: bool,
    who: Option<String>,
    reason: Option<String>,
}

/// What a rebuild of the list of sagas takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ListRebuildBody {
    /// Rows are told and not written.
    #[serde(default)]
    dry_run: bool,
    /// `next` of the part before.
    after: Option<String>,
    who: Option<String>,
    reason: Option<String>,
}

pub(super) async fn list(State(backend): State<ApiState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({"projections": backend.query.projections().await?})))
}

pub(super) async fn rows(
    State(backend): State<ApiState>,
    Path(name): Path<String>,
    query: Result<Query<ProjectionQuery>, QueryRejection>,
) -> Result<Json<ProjectionPage>, ApiError> {
    let asked = request::checked(query)?;
    let limit = request::limit(asked.limit)?;
    let (prefix, after) = (asked.prefix.unwrap_or_default(), asked.after.unwrap_or_default());
    let page = backend.query.projection_page(&name, (&prefix, &after), limit).await?;
    page.map(Json).map_err(|unknown| ApiError::NoProjection(unknown.to_string()))
}

pub(super) async fn rebuild(
    State(backend): State<ApiState>,
    Path(name): Path<String>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    if name == SAGA_LIST {
        return rebuild_list(&backend, &caller, &headers, &body).await;
    }
    let RebuildBody { without_archives, who, reason } = request::read(RequestBodyKind::Rebuild, &headers, &body)?;
    if backend.query.projections().await?.iter().any(|known| known.projection == name) {
        let on = (ActedPart::Projection, name.as_str());
        let statement = OperatorStatement::short(&caller, who, reason)?;
        statement.record(&backend.operator, "rebuild projection", on, (Value::Null, Value::Null)).await?;
    }
    let missing = if without_archives { MissingArchives::LeftOut } else { MissingArchives::Refused };
    match backend.operator.begin_rebuild(&name, missing).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(json!({"status": "building", "projection": name})))),
        Err(RebuildError::Unknown(unknown)) => Err(ApiError::NoProjection(unknown.to_string())),
        Err(error @ RebuildError::Archives(_)) => Err(ApiError::ArchivesMissing(error.to_string())),
        Err(error @ (RebuildError::Store(_) | RebuildError::Advance(_) | RebuildError::NotLive(_))) => {
            Err(ApiError::StoreAway(error.to_string()))
        }
    }
}

/// A part of the list of sagas; the caller goes on with the next one.
async fn rebuild_list(
    backend: &ApiState,
    caller: &ApiCaller,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let ListRebuildBody { dry_run, after, who, reason } = request::read(RequestBodyKind::ListRebuild, headers, body)?;
    let after = after.map(|after| {
        let wrong = || ApiError::BadValue(format!("`after` is `{after}`: expected `next` of the part before"));
        after.parse::<SagaId>().map_err(|_| wrong())
    });
    let after = after.transpose()?;
    // The parts after the first one are the same act.
    if !dry_run && after.is_none() {
        let statement = OperatorStatement::short(caller, who, reason)?;
        let on = (ActedPart::SagaList, SAGA_LIST);
        statement.record(&backend.operator, "rebuild list of sagas", on, (Value::Null, Value::Null)).await?;
    }
    let mode = if dry_run { RepairMode::DryRun } else { RepairMode::Write };
    let part = backend.operator.repair_read_model(mode, after).await?;
    Ok((StatusCode::OK, Json(json!(part))))
}
