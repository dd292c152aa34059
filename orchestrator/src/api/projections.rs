//! Projections: rows about all sagas, and how far they are.

use super::{
    ApiState,
    errors::{ApiError, RequestBodyKind},
    request,
};
use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use saga_engine::projection::{ProjectionPage, RebuildError};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectionQuery {
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
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
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    request::require_json(RequestBodyKind::Reload, &headers)?;
    match backend.operator.begin_rebuild(&name).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(json!({"status": "building", "projection": name})))),
        Err(RebuildError::Unknown(unknown)) => Err(ApiError::NoProjection(unknown.to_string())),
        Err(error @ (RebuildError::Store(_) | RebuildError::Advance(_) | RebuildError::NotLive(_))) => {
            Err(ApiError::StoreAway(error.to_string()))
        }
    }
}
