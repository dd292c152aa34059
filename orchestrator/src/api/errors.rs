//! One enum for whatever the API can answer instead: a status, a stable code, a message, and what to do.

use crate::readiness;
use axum::{
    Extension, Json,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::sync::Arc;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) enum ApiError {
    NoRoute(String),
    NoSaga(String),
    SeveralSagas(String, Vec<String>),
    WrongMethod {
        method: String,
        path: String,
        allowed: String,
        guess: String,
    },
    TooLarge {
        limit: usize,
    },
    BadPath(String),
    BadParameter(String),
    /// A name in a filter that nothing has.
    Misnamed(String),
    BadBody(RequestBodyKind, String),
    BadValue(String),
    Refused(String),
    RefusedAtEnd(String),
    NoDefinition(String),
    StoreAway(String),
    Unreadable(String),
    TimedOut,
    ForeignHost(String),
    NoParticipant {
        name: String,
        hint: Option<String>,
    },
    TooManyReaders(usize),
    TooManyActs(usize),
    TooManyJobs(usize),
    NoJob(String),
    Busy(usize),
    NotReloaded(String),
    Starting(Option<Arc<str>>),
}

/// What a body is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestBodyKind {
    Act,
    Job,
    GuardAct,
    Reload,
}

impl RequestBodyKind {
    fn hint(self) -> &'static str {
        match self {
            RequestBodyKind::Act => {
                r#"send {"who": "your name", "reason": "why"} as application/json; of skip and retry also "step" and "direction""#
            }
            RequestBodyKind::Job => {
                r#"send {"action": "retry", "who": "your name", "reason": "why", "filter": {"status": "parked"}} as application/json, or "sagas": ["4711"] in place of "filter""#
            }
            RequestBodyKind::GuardAct => {
                r#"send {"who": "your name", "reason": "why"} as application/json; of set also "share": 0.25, "bulkhead": 10 or "rate": "50/s""#
            }
            RequestBodyKind::Reload => "send {} as application/json",
        }
    }
}

/// What an answer with an error says, for whoever shows it otherwise than as JSON.
#[derive(Clone, Debug)]
pub(super) struct ApiErrorDetails {
    pub(super) message: String,
    pub(super) hint: String,
}

impl ApiError {
    /// In seconds, of what passes by itself.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            ApiError::Busy(_) | ApiError::Starting(_) => Some("2"),
            ApiError::StoreAway(_) => Some("5"),
            ApiError::TooManyReaders(_) | ApiError::TooManyActs(_) | ApiError::TooManyJobs(_) => Some("30"),
            ApiError::NoRoute(_)
            | ApiError::NoSaga(_)
            | ApiError::NoJob(_)
            | ApiError::SeveralSagas(..)
            | ApiError::WrongMethod { .. }
            | ApiError::TooLarge { .. }
            | ApiError::BadPath(_)
            | ApiError::BadParameter(_)
            | ApiError::Misnamed(_)
            | ApiError::BadBody(..)
            | ApiError::BadValue(_)
            | ApiError::Refused(_)
            | ApiError::RefusedAtEnd(_)
            | ApiError::NoDefinition(_)
            | ApiError::Unreadable(_)
            | ApiError::TimedOut
            | ApiError::ForeignHost(_)
            | ApiError::NoParticipant { .. }
            | ApiError::NotReloaded(_) => None,
        }
    }

    fn parts(&self) -> (StatusCode, &'static str, String, &str) {
        match self {
            ApiError::NoRoute(path) => {
                (StatusCode::NOT_FOUND, "no_route", format!("there is nothing at {path}"), "see docs/api.md")
            }
            ApiError::NoSaga(id) => (
                StatusCode::NOT_FOUND,
                "no_saga",
                format!("no saga has the id or key `{id}`"),
                "saga list shows what there is",
            ),
            ApiError::SeveralSagas(key, ids) => (
                StatusCode::CONFLICT,
                "several_sagas",
                format!("several sagas have the key `{key}`: {}", ids.join(", ")),
                "name one by its id",
            ),
            ApiError::BadParameter(message) => {
                (StatusCode::BAD_REQUEST, "bad_parameter", message.clone(), "see docs/api.md")
            }
            ApiError::Misnamed(message) => (
                StatusCode::BAD_REQUEST,
                "bad_parameter",
                message.clone(),
                "saga list --count shows what open sagas have, saga definitions list what they are called",
            ),
            ApiError::BadBody(form, message) => (StatusCode::BAD_REQUEST, "bad_body", message.clone(), form.hint()),
            ApiError::WrongMethod { method, path, allowed, guess } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                format!("{path} takes {allowed}, not {method}{guess}"),
                "see docs/api.md",
            ),
            ApiError::TooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the body is larger than the {limit} bytes that are taken here"),
                "nothing has changed",
            ),
            ApiError::BadPath(message) => (
                StatusCode::BAD_REQUEST,
                "bad_path",
                message.clone(),
                "percent-encode an id or a key as UTF-8, as one segment",
            ),
            ApiError::BadValue(message) => {
                (StatusCode::BAD_REQUEST, "bad_body", message.clone(), "nothing has changed")
            }
            ApiError::Refused(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga show tells what the saga waits for")
            }
            ApiError::RefusedAtEnd(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga history tells how it ended")
            }
            ApiError::NoDefinition(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga definitions list shows those of an engine")
            }
            ApiError::StoreAway(message) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_away",
                message.clone(),
                "the engine goes on when the database answers",
            ),
            ApiError::Unreadable(message) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable",
                message.clone(),
                "the saga was written by another build, or its definition is gone",
            ),
            ApiError::NoParticipant { name, hint } => (
                StatusCode::NOT_FOUND,
                "no_participant",
                format!("no participant is called `{name}`"),
                hint.as_deref().unwrap_or("saga guard list shows what there is"),
            ),
            ApiError::TooManyReaders(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_readers",
                format!("{most} readers follow the changes already"),
                "end one of them, or ask another engine",
            ),
            ApiError::TooManyActs(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_acts",
                format!("{most} acts are on their way to shards that do not take them yet"),
                "nothing has changed; /health/ready says which shards, try again later",
            ),
            ApiError::TooManyJobs(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_jobs",
                format!("{most} jobs run on this engine already"),
                "nothing has changed; wait for one of them, or end it with DELETE /api/jobs/{id}",
            ),
            ApiError::NoJob(id) => (
                StatusCode::NOT_FOUND,
                "no_job",
                format!("this engine has no job `{id}`"),
                "a job is in the memory of the engine that began it; GET /api/jobs tells what is on record",
            ),
            ApiError::Busy(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("{most} others look at sagas at this moment, and none of them came to an end in time"),
                "ask again in some seconds, for fewer lines",
            ),
            ApiError::NotReloaded(message) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_reloaded",
                message.clone(),
                "mend participants.yaml; what was in effect stays until then",
            ),
            ApiError::Starting(waiting_for) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                readiness::starting_text(waiting_for.as_deref()),
                "ask again; /health/ready tells how the start goes",
            ),
            ApiError::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, "timed_out", "the request took too long".into(), "try again")
            }
            ApiError::ForeignHost(host) => (
                StatusCode::FORBIDDEN,
                "foreign_host",
                format!("the request names host `{host}`, this server listens for this machine only"),
                "use http://localhost, or set api.listen to an address that others may reach",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, message, hint) = self.parts();
        let body = json!({"error": {"code": code, "message": message, "hint": hint}});
        let told = ApiErrorDetails { message, hint: hint.to_owned() };
        let mut response = (status, Extension(told), Json(body)).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

impl From<saga_engine::journal::JournalError> for ApiError {
    fn from(error: saga_engine::journal::JournalError) -> ApiError {
        if error.is_transient() {
            ApiError::StoreAway(error.to_string())
        } else {
            ApiError::Unreadable(error.to_string())
        }
    }
}

impl From<saga_event_store::StoreError> for ApiError {
    fn from(error: saga_event_store::StoreError) -> ApiError {
        ApiError::StoreAway(error.to_string())
    }
}

pub(super) async fn no_route(uri: Uri) -> ApiError {
    ApiError::NoRoute(uri.path().to_owned())
}
