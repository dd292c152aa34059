//! `GET /api/audit`: what operators did, and what deployments changed.

use super::{ApiState, errors::ApiError, request};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use saga_core::{
    definition,
    time::{Timestamp, from_rfc3339},
};
use saga_engine::replay::audit::{AuditPlaceError, AuditRequest};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// A time, or how long ago.
    since: Option<String>,
    who: Option<String>,
    on: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    asked: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let AuditQuery { since, who, on, after, limit } = request::checked(asked)?;
    let wanted = AuditRequest {
        since: since.map(|since| time(&since, backend.query.now())).transpose()?,
        who,
        on,
        after: after
            .map(|after| after.parse().map_err(|error: AuditPlaceError| ApiError::BadParameter(error.to_string())))
            .transpose()?,
        limit: usize::try_from(request::limit(limit)?).unwrap_or(usize::MAX),
    };
    let report = backend.query.audit(&wanted).await?;
    let next = report.next.map(|place| place.to_string());
    Ok(Json(json!({"entries": report.entries, "next": next, "unreadable": report.unreadable})))
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let ago = || definition::span(text).ok().map(|span| now.minus(span));
    from_rfc3339(text).or_else(ago).ok_or_else(|| {
        ApiError::BadParameter(format!("`since` is `{text}`: write 2026-01-31T12:00:00Z, or how long ago, like 7d"))
    })
}
