//! `GET /api/audit`: what operators did, and what deployments changed.

use super::{ApiState, errors::ApiError, request};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use saga_core::{
    definition,
    time::{Timestamp, from_rfc3339},
};
use saga_engine::replay::audit::{AuditChain, AuditPlaceError, AuditReport, AuditRequest};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// A time, or how long ago.
    pub(super) since: Option<String>,
    /// Likewise: acts before it.
    pub(super) until: Option<String>,
    pub(super) who: Option<String>,
    pub(super) on: Option<String>,
    /// The beginning of the text of an act: `retry`, `guard open`.
    pub(super) action: Option<String>,
    pub(super) after: Option<String>,
    pub(super) limit: Option<u32>,
    #[serde(default)]
    pub(super) format: AuditFormat,
}

/// How acts are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuditFormat {
    /// One object with a page of them.
    #[default]
    Json,
    /// A line for each, which has the hash of the line before.
    Jsonl,
}

impl AuditQuery {
    /// A form sends its empty fields.
    pub(super) fn without_blanks(self) -> AuditQuery {
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let AuditQuery { since, until, who, on, action, after, limit, format } = self;
        AuditQuery {
            since: said(since),
            until: said(until),
            who: said(who),
            on: said(on),
            action: said(action),
            after: said(after),
            limit,
            format,
        }
    }
}

/// What the query asks for; `since` can be a span that ends at `now`.
pub(super) fn request_of(asked: &AuditQuery, now: Timestamp) -> Result<AuditRequest, ApiError> {
    let place =
        |after: &String| after.parse().map_err(|error: AuditPlaceError| ApiError::BadParameter(error.to_string()));
    Ok(AuditRequest {
        since: asked.since.as_deref().map(|since| time("since", since, now)).transpose()?,
        until: asked.until.as_deref().map(|until| time("until", until, now)).transpose()?,
        action: asked.action.clone(),
        who: asked.who.clone(),
        on: asked.on.clone(),
        after: asked.after.as_ref().map(place).transpose()?,
        limit: usize::try_from(request::limit(asked.limit)?).unwrap_or(usize::MAX),
    })
}

pub(super) async fn list(
    State(backend): State<ApiState>,
    asked: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = request::checked(asked)?;
    let report = backend.query.audit(&request_of(&asked, backend.query.now())?).await?;
    if asked.format == AuditFormat::Jsonl {
        return Ok(lines(&report));
    }
    let next = report.next.map(|place| place.to_string());
    Ok(Json(json!({"entries": report.entries, "next": next, "unreadable": report.unreadable})).into_response())
}

/// Each page is a chain of its own, whose last line names the next page.
fn lines(report: &AuditReport) -> Response {
    let mut chain = AuditChain::default();
    let acts: String = report.entries.iter().map(|entry| chain.line(entry)).collect();
    let body = acts + &chain.end(report.next.as_ref());
    ([(CONTENT_TYPE, "application/jsonl")], body).into_response()
}

fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let ago = || definition::span(text).ok().map(|span| now.minus(span));
    from_rfc3339(text).or_else(ago).ok_or_else(|| {
        ApiError::BadParameter(format!("`{name}` is `{text}`: write 2026-01-31T12:00:00Z, or how long ago, like 7d"))
    })
}
