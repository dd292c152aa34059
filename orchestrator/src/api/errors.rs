//! Every error of the API in one enum: a status, a stable code, a message and a hint what to do.

use crate::readiness;
use axum::{
    Extension, Json,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use saga_engine::{archiving::left::LeftSaga, journal::shown::LookBackError};
use saga_event_store::FeedError;
use serde_json::json;
use std::sync::Arc;

/// Why a request was not answered as asked; its text is the message of the answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("there is nothing at {0}")]
    NoRoute(String),
    #[error("no saga has the id or key `{0}`")]
    NoSaga(String),
    /// The saga has left the event store.
    #[error("{0}")]
    Archived(Box<LeftSaga>),
    /// An archive that may have the saga cannot be read.
    #[error("{0}")]
    ArchiveUnread(String),
    #[error("several sagas have the key `{0}`: {ids}", ids = .1.join(", "))]
    SeveralSagas(String, Vec<String>),
    #[error("{path} takes {allowed}, not {method}{guess}")]
    WrongMethod { method: String, path: String, allowed: String, guess: String },
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    BadPath(String),
    #[error("{0}")]
    BadParameter(String),
    /// A filter has a name that nothing has.
    #[error("{0}")]
    Misnamed(String),
    /// A filter of dead letters has a name that nothing has.
    #[error("{0}")]
    MisnamedLetter(String),
    #[error("{1}")]
    BadBody(RequestBodyKind, String),
    #[error("{0}")]
    BadValue(String),
    #[error("{0}")]
    Refused(String),
    /// The saga has ended.
    #[error("{0}")]
    RefusedAtEnd(String),
    /// An ended saga cannot be run again as asked.
    #[error("{0}")]
    RerunRefused(String),
    #[error("{0}")]
    NoDefinition(String),
    #[error("{0}")]
    StoreAway(String),
    #[error("{0}")]
    Unreadable(String),
    #[error("the request took too long")]
    TimedOut,
    #[error("the request names host `{0}`, but this server takes requests from this machine only")]
    ForeignHost(String),
    #[error("no participant is called `{name}`")]
    NoParticipant { name: String, hint: Option<String> },
    /// The feed cannot go on after a cursor.
    #[error("{message}")]
    CursorGone { message: String, oldest: String },
    #[error("{0} readers follow these events already")]
    TooManyReaders(usize),
    #[error("{0} acts are on their way to shards that do not take them yet")]
    TooManyActs(usize),
    #[error("{0} jobs run on this engine already")]
    TooManyJobs(usize),
    /// No projection has the name; the text lists them.
    #[error("{0}")]
    NoProjection(String),
    #[error("this engine has no job `{0}`")]
    NoJob(String),
    #[error("{0} other requests read sagas, and none of them ended in time")]
    Busy(usize),
    /// A projection needs archives whose files are missing or damaged.
    #[error("{0}")]
    ArchivesMissing(String),
    /// There is no such dead letter here.
    #[error("{0}")]
    NoLetters(String),
    /// A dead letter does not allow what was asked.
    #[error("{0}")]
    LetterRefused(String),
    #[error("{0}")]
    NotReloaded(String),
    #[error("{0}")]
    BadDefinition(String),
    #[error("{text}", text = readiness::starting_text(.0.as_deref()))]
    Starting(Option<Arc<str>>),
}

/// Which body a route takes: the hint shows an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestBodyKind {
    Act,
    Rerun,
    Job,
    GuardAct,
    Reload,
    Rebuild,
    ListRebuild,
    Definition,
    Documents,
    LetterAct,
    LetterEdit,
    LetterJob,
    LetterPurge,
    LetterImport,
}

impl RequestBodyKind {
    fn hint(self) -> &'static str {
        match self {
            RequestBodyKind::Act => concat!(
                r#"send {"who": "your name", "reason": "why"} as application/json; "#,
                r#""step" and "direction" go with skip and retry"#
            ),
            RequestBodyKind::Rerun => concat!(
                r#"send {"who": "your name", "reason": "why"} as application/json; "#,
                r#""from": "charge" begins at a step, "force": true lets effects stay"#
            ),
            RequestBodyKind::Job => concat!(
                r#"send {"action": "retry", "who": "your name", "reason": "why", "filter": {"status": "parked"}} "#,
                r#"as application/json, or "sagas": ["4711"] instead of "filter""#
            ),
            RequestBodyKind::GuardAct => concat!(
                r#"send {"who": "your name", "reason": "why"} as application/json; "#,
                r#"set also takes "share": 0.25, "bulkhead": 10 or "rate": "50/s""#
            ),
            RequestBodyKind::Definition => {
                r#"send {"who": "your name", "reason": "why", "text": "saga: order\n…"} as application/json"#
            }
            RequestBodyKind::LetterAct => r#"send {"who": "your name", "reason": "why"} as application/json"#,
            RequestBodyKind::LetterEdit => concat!(
                r#"send {"who": "your name", "reason": "why", "record": {"key": "NDcxMQ==", "value": "e30=", "#,
                r#""headers": []}} as application/json, bytes in base64; "json": {} in place of "value" is encoded as the "#,
                r#"original is; "record": null removes an edit"#
            ),
            RequestBodyKind::LetterJob => concat!(
                r#"send {"who": "your name", "reason": "why", "letters": ["0/17"]} as application/json, "#,
                r#"or "filter": {"code": "when"} instead of "letters""#
            ),
            RequestBodyKind::LetterPurge => {
                r#"send {"who": "your name", "reason": "why", "endedBefore": "30d"} as application/json"#
            }
            RequestBodyKind::LetterImport => concat!(
                r#"send {"who": "your name", "reason": "why", "decisions": [{"place": "0/17", "letter": "…", "#,
                r#""status": "discarded", "changedAt": "…", "who": "…", "why": "…"}]} as application/json; "#,
                "`saga dlq import` does"
            ),
            RequestBodyKind::Reload => "send {} as application/json",
            RequestBodyKind::Rebuild => r#"send {} or {"withoutArchives": true} as application/json"#,
            RequestBodyKind::ListRebuild => {
                r#"send {"dryRun": true} as application/json; "after" goes on after the part before"#
            }
            RequestBodyKind::Documents => concat!(
                r#"send {"definition": "the text", "policies": "the text", "who": "your name", "reason": "why"} "#,
                r#"as application/json; `saga definitions restore FILE` does"#
            ),
        }
    }
}

/// The texts of an error, for the page that shows them in place of JSON.
#[derive(Clone, Debug)]
pub(super) struct ApiErrorDetails {
    pub(super) message: String,
    pub(super) hint: String,
}

impl ApiError {
    /// Seconds after which the caller may try again, where the cause passes by itself.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            ApiError::Busy(_) | ApiError::Starting(_) => Some("2"),
            ApiError::StoreAway(_) => Some("5"),
            ApiError::TooManyReaders(_) | ApiError::TooManyActs(_) | ApiError::TooManyJobs(_) => Some("30"),
            ApiError::NoRoute(_)
            | ApiError::NoSaga(_)
            | ApiError::Archived(_)
            | ApiError::ArchiveUnread(_)
            | ApiError::NoJob(_)
            | ApiError::ArchivesMissing(_)
            | ApiError::NoProjection(_)
            | ApiError::SeveralSagas(..)
            | ApiError::WrongMethod { .. }
            | ApiError::TooLarge { .. }
            | ApiError::BadPath(_)
            | ApiError::BadParameter(_)
            | ApiError::Misnamed(_)
            | ApiError::MisnamedLetter(_)
            | ApiError::BadBody(..)
            | ApiError::BadValue(_)
            | ApiError::Refused(_)
            | ApiError::RefusedAtEnd(_)
            | ApiError::RerunRefused(_)
            | ApiError::NoDefinition(_)
            | ApiError::CursorGone { .. }
            | ApiError::Unreadable(_)
            | ApiError::TimedOut
            | ApiError::ForeignHost(_)
            | ApiError::NoParticipant { .. }
            | ApiError::BadDefinition(_)
            | ApiError::NoLetters(_)
            | ApiError::LetterRefused(_)
            | ApiError::NotReloaded(_) => None,
        }
    }

    /// The HTTP status, and the code that programs go by.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            ApiError::NoRoute(_) => (StatusCode::NOT_FOUND, "no_route"),
            ApiError::NoSaga(_) => (StatusCode::NOT_FOUND, "no_saga"),
            ApiError::Archived(_) => (StatusCode::GONE, "saga_archived"),
            ApiError::ArchiveUnread(_) => (StatusCode::CONFLICT, "archive_unread"),
            ApiError::NoParticipant { .. } => (StatusCode::NOT_FOUND, "no_participant"),
            ApiError::NoJob(_) => (StatusCode::NOT_FOUND, "no_job"),
            ApiError::NoLetters(_) => (StatusCode::NOT_FOUND, "no_letter"),
            ApiError::ArchivesMissing(_) => (StatusCode::CONFLICT, "archives_missing"),
            ApiError::NoProjection(_) => (StatusCode::NOT_FOUND, "no_projection"),
            ApiError::SeveralSagas(..) => (StatusCode::CONFLICT, "several_sagas"),
            ApiError::Refused(_)
            | ApiError::RefusedAtEnd(_)
            | ApiError::RerunRefused(_)
            | ApiError::LetterRefused(_)
            | ApiError::NoDefinition(_) => (StatusCode::CONFLICT, "refused"),
            ApiError::WrongMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
            ApiError::CursorGone { .. } => (StatusCode::GONE, "cursor_gone"),
            ApiError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            ApiError::BadPath(_) => (StatusCode::BAD_REQUEST, "bad_path"),
            ApiError::BadParameter(_) | ApiError::Misnamed(_) | ApiError::MisnamedLetter(_) => {
                (StatusCode::BAD_REQUEST, "bad_parameter")
            }
            ApiError::BadBody(..) | ApiError::BadValue(_) => (StatusCode::BAD_REQUEST, "bad_body"),
            ApiError::NotReloaded(_) => (StatusCode::UNPROCESSABLE_ENTITY, "not_reloaded"),
            ApiError::BadDefinition(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_definition"),
            ApiError::ForeignHost(_) => (StatusCode::FORBIDDEN, "foreign_host"),
            ApiError::Unreadable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "unreadable"),
            ApiError::StoreAway(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_away"),
            ApiError::TooManyReaders(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_readers"),
            ApiError::TooManyActs(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_acts"),
            ApiError::TooManyJobs(_) => (StatusCode::SERVICE_UNAVAILABLE, "too_many_jobs"),
            ApiError::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            ApiError::Starting(_) => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            ApiError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
        }
    }

    /// What the caller can do.
    fn hint(&self) -> &str {
        match self {
            ApiError::NoRoute(_) | ApiError::WrongMethod { .. } | ApiError::BadParameter(_) => "see docs/api.md",
            ApiError::NoSaga(_) => "`saga list` shows the sagas",
            ApiError::Archived(_) => {
                "`saga show`, `saga history` and `saga diff` read it there, and `saga erase` erases it; no other act \
                 reaches it"
            }
            ApiError::ArchiveUnread(_) => {
                "nothing has changed; give this engine the folder with the files, or ask one that has it"
            }
            ApiError::NoProjection(_) => "`saga projections` shows the projections",
            ApiError::NoParticipant { hint, .. } => {
                hint.as_deref().unwrap_or("`saga guard list` shows the participants")
            }
            ApiError::NoJob(_) => {
                "`saga dlq job list` (GET /api/dead-letters/jobs) shows jobs on dead letters; a job on sagas (GET /api/jobs) is in the memory of the engine that began it"
            }
            ApiError::ArchivesMissing(_) => r#"nothing has changed; send {"withoutArchives": true} to leave them out"#,
            ApiError::SeveralSagas(..) => "name one by its id",
            ApiError::Refused(_) => "`saga show` says where the saga is, and which acts it takes",
            ApiError::RefusedAtEnd(_) => {
                "`saga show` says how the saga ended; `saga rerun` runs it again, `saga erase` erases it"
            }
            ApiError::RerunRefused(_) => "`saga show` shows what stands; docs/replay.md says what can be run again",
            ApiError::NoDefinition(_) => "`saga definitions list` shows the definitions of an engine",
            ApiError::TooLarge { .. } | ApiError::BadValue(_) => "nothing has changed",
            ApiError::BadPath(_) => "percent-encode an id or a key as UTF-8, as one segment",
            ApiError::Misnamed(_) => {
                "`saga list --count` shows the values of open sagas, `saga definitions list` the names of definitions"
            }
            ApiError::MisnamedLetter(_) => "`saga dlq stats` shows the definitions, topics and causes of dead letters",
            ApiError::BadBody(kind, _) => kind.hint(),
            ApiError::NoLetters(_) => {
                "`saga dlq list` shows the letters. An engine of `saga serve` has a new one in its table within seconds"
            }
            ApiError::LetterRefused(_) => "nothing has changed; `saga dlq show` says how the letter stands",
            ApiError::NotReloaded(_) => {
                "correct participants.yaml; until then the engine keeps the participants it has"
            }
            ApiError::BadDefinition(_) => "nothing has changed; `saga check` finds the same",
            ApiError::ForeignHost(_) => "use http://localhost, or set api.listen to an address that others may reach",
            ApiError::Unreadable(_) => {
                "another build wrote the saga, or its definition is no longer in the event store"
            }
            ApiError::CursorGone { .. } => "docs/feed.md says what a consumer does then",
            ApiError::StoreAway(_) => "the engine goes on when the event store answers again",
            ApiError::TooManyReaders(_) => "end one of them, or ask another engine",
            ApiError::TooManyActs(_) => "nothing has changed; /health/ready names the shards; try again later",
            ApiError::TooManyJobs(_) => {
                "nothing has changed; wait for one of them, or end one with DELETE /api/jobs/{id}"
            }
            ApiError::Busy(_) => "ask again in some seconds, for fewer lines",
            ApiError::Starting(_) => "ask again later; /health/ready shows the progress of the start",
            ApiError::TimedOut => "try again",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let ((status, code), message, hint) = (self.kind(), self.to_string(), self.hint());
        let mut body = json!({"error": {"code": code, "message": message, "hint": hint}});
        if let ApiError::CursorGone { oldest, .. } = &self {
            body["error"]["oldest"] = json!(oldest);
        }
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

impl From<LookBackError> for ApiError {
    fn from(error: LookBackError) -> ApiError {
        match error {
            LookBackError::Journal(error) => error.into(),
            LookBackError::Point(error) => ApiError::BadParameter(error.to_string()),
        }
    }
}

impl From<saga_event_store::StoreError> for ApiError {
    fn from(error: saga_event_store::StoreError) -> ApiError {
        ApiError::StoreAway(error.to_string())
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> ApiError {
        let message = error.to_string();
        match error {
            FeedError::Store(error) => error.into(),
            FeedError::Forgotten { oldest, .. } | FeedError::Unknown { oldest, .. } => {
                ApiError::CursorGone { message, oldest: oldest.to_string() }
            }
        }
    }
}

pub(super) async fn no_route(uri: Uri) -> ApiError {
    ApiError::NoRoute(uri.path().to_owned())
}
