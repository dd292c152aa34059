//! One enum for whatever the API can answer instead: a status, a stable code, a message, and what to do.

use axum::{
    Extension, Json,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::sync::Arc;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(super) enum Error {
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
    BadBody(Form, String),
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
pub(super) enum Form {
    Act,
    Job,
    GuardAct,
    Reload,
}

impl Form {
    fn hint(self) -> &'static str {
        match self {
            Form::Act => {
                r#"send {"who": "your name", "reason": "why"} as application/json; of skip and retry also "step" and "direction""#
            }
            Form::Job => {
                r#"send {"action": "retry", "who": "your name", "reason": "why", "filter": {"status": "parked"}} as application/json, or "sagas": ["4711"] in place of "filter""#
            }
            Form::GuardAct => {
                r#"send {"who": "your name", "reason": "why"} as application/json; of set also "share": 0.25, "bulkhead": 10 or "rate": "50/s""#
            }
            Form::Reload => "send {} as application/json",
        }
    }
}

/// What an answer with an error says, for whoever shows it otherwise than as JSON.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) hint: String,
}

impl Error {
    /// In seconds, of what passes by itself.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Error::Busy(_) | Error::Starting(_) => Some("2"),
            Error::StoreAway(_) => Some("5"),
            Error::TooManyReaders(_) | Error::TooManyActs(_) | Error::TooManyJobs(_) => Some("30"),
            Error::NoRoute(_)
            | Error::NoSaga(_)
            | Error::NoJob(_)
            | Error::SeveralSagas(..)
            | Error::WrongMethod { .. }
            | Error::TooLarge { .. }
            | Error::BadPath(_)
            | Error::BadParameter(_)
            | Error::Misnamed(_)
            | Error::BadBody(..)
            | Error::BadValue(_)
            | Error::Refused(_)
            | Error::RefusedAtEnd(_)
            | Error::NoDefinition(_)
            | Error::Unreadable(_)
            | Error::TimedOut
            | Error::ForeignHost(_)
            | Error::NoParticipant { .. }
            | Error::NotReloaded(_) => None,
        }
    }

    fn parts(&self) -> (StatusCode, &'static str, String, &str) {
        match self {
            Error::NoRoute(path) => {
                (StatusCode::NOT_FOUND, "no_route", format!("there is nothing at {path}"), "see docs/api.md")
            }
            Error::NoSaga(id) => (
                StatusCode::NOT_FOUND,
                "no_saga",
                format!("no saga has the id or key `{id}`"),
                "saga list shows what there is",
            ),
            Error::SeveralSagas(key, ids) => (
                StatusCode::CONFLICT,
                "several_sagas",
                format!("several sagas have the key `{key}`: {}", ids.join(", ")),
                "name one by its id",
            ),
            Error::BadParameter(message) => {
                (StatusCode::BAD_REQUEST, "bad_parameter", message.clone(), "see docs/api.md")
            }
            Error::Misnamed(message) => (
                StatusCode::BAD_REQUEST,
                "bad_parameter",
                message.clone(),
                "saga list --count shows what open sagas have, saga definitions list what they are called",
            ),
            Error::BadBody(form, message) => (StatusCode::BAD_REQUEST, "bad_body", message.clone(), form.hint()),
            Error::WrongMethod { method, path, allowed, guess } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                format!("{path} takes {allowed}, not {method}{guess}"),
                "see docs/api.md",
            ),
            Error::TooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the body is larger than the {limit} bytes that are taken here"),
                "nothing has changed",
            ),
            Error::BadPath(message) => (
                StatusCode::BAD_REQUEST,
                "bad_path",
                message.clone(),
                "percent-encode an id or a key as UTF-8, as one segment",
            ),
            Error::BadValue(message) => (StatusCode::BAD_REQUEST, "bad_body", message.clone(), "nothing has changed"),
            Error::Refused(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga show tells what the saga waits for")
            }
            Error::RefusedAtEnd(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga history tells how it ended")
            }
            Error::NoDefinition(message) => {
                (StatusCode::CONFLICT, "refused", message.clone(), "saga definitions list shows those of an engine")
            }
            Error::StoreAway(message) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store_away",
                message.clone(),
                "the engine goes on when the database answers",
            ),
            Error::Unreadable(message) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable",
                message.clone(),
                "the saga was written by another build, or its definition is gone",
            ),
            Error::NoParticipant { name, hint } => (
                StatusCode::NOT_FOUND,
                "no_participant",
                format!("no participant is called `{name}`"),
                hint.as_deref().unwrap_or("saga guard list shows what there is"),
            ),
            Error::TooManyReaders(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_readers",
                format!("{most} readers follow the changes already"),
                "end one of them, or ask another engine",
            ),
            Error::TooManyActs(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_acts",
                format!("{most} acts are on their way to shards that do not take them yet"),
                "nothing has changed; /health/ready says which shards, try again later",
            ),
            Error::TooManyJobs(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_jobs",
                format!("{most} jobs run on this engine already"),
                "nothing has changed; wait for one of them, or end it with DELETE /api/jobs/{id}",
            ),
            Error::NoJob(id) => (
                StatusCode::NOT_FOUND,
                "no_job",
                format!("this engine has no job `{id}`"),
                "a job is in the memory of the engine that began it; GET /api/jobs tells what is on record",
            ),
            Error::Busy(most) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                format!("{most} others look at sagas at this moment, and none of them came to an end in time"),
                "ask again in some seconds, for fewer lines",
            ),
            Error::NotReloaded(message) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_reloaded",
                message.clone(),
                "mend participants.yaml; what was in effect stays until then",
            ),
            Error::Starting(waiting_for) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                super::health::told(waiting_for.as_deref()),
                "ask again; /health/ready tells how the start goes",
            ),
            Error::TimedOut => {
                (StatusCode::GATEWAY_TIMEOUT, "timed_out", "the request took too long".into(), "try again")
            }
            Error::ForeignHost(host) => (
                StatusCode::FORBIDDEN,
                "foreign_host",
                format!("the request names host `{host}`, this server listens for this machine only"),
                "use http://localhost, or set api.listen to an address that others may reach",
            ),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, message, hint) = self.parts();
        let body = json!({"error": {"code": code, "message": message, "hint": hint}});
        let told = Told { message, hint: hint.to_owned() };
        let mut response = (status, Extension(told), Json(body)).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

impl From<saga_engine::journal::Error> for Error {
    fn from(error: saga_engine::journal::Error) -> Error {
        if error.is_transient() { Error::StoreAway(error.to_string()) } else { Error::Unreadable(error.to_string()) }
    }
}

impl From<saga_event_store::Error> for Error {
    fn from(error: saga_event_store::Error) -> Error {
        Error::StoreAway(error.to_string())
    }
}

pub(super) async fn no_route(uri: Uri) -> Error {
    Error::NoRoute(uri.path().to_owned())
}
