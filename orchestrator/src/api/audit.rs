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
pub(crate) struct AuditQuery {
    /// A time, or how long ago.
    pub(super) since: Option<String>,
    pub(super) who: Option<String>,
    pub(super) on: Option<String>,
    pub(super) after: Option<String>,
    pub(super) limit: Option<u32>,
}

impl AuditQuery {
    /// A form sends its empty fields.
    pub(super) fn without_blanks(self) -> AuditQuery {
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let AuditQuery { since, who, on, after, limit } = self;
        AuditQuery { since: said(since), who: said(who), on: said(on), after: said(after), limit }
    }
}

/// What the query asks for; `since` can be a span that ends at `now`.
pub(super) fn request_of(asked: &AuditQuery, now: Timestamp) -> Result<AuditRequest, ApiError> {
    let place =
        |after: &String| after.parse().map_err(|error: AuditPlaceError| ApiError::BadParameter(error.to_string()));
    Ok(AuditRequest {
        since: asked.since.as_deref().map(|since| time(since, now)).transpose()?,
        who: asked.who.clone(),
        on: asked.on.clone(),
        after: asked.after.as_ref().map(place).transpose()?,
        limit: usize::try_from(request::limit(asked.limit)?).unwrap_or(usize::MAX),
    })
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    asked: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let wanted = request_of(&request::checked(asked)?, backend.query.now())?;
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
