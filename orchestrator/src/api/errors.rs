//! Every error of the API in one enum: a status, a stable code, a message and a hint what to do. The answer is a
//! problem of RFC 9457.

mod code;

pub(super) use code::{ApiErrorCode, ApiErrorFacts};

use crate::{login::LoginRole, readiness};
use axum::{
    Extension,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use saga_engine::{archiving::left::LeftSaga, definition_pauses::DefinitionPause, journal::shown::LookBackError};
use saga_event_store::FeedError;
use saga_wire::poison::PoisonDiagnosis;
use serde::Serialize;
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
    /// No definition of this name starts sagas here.
    #[error("{0}")]
    UnknownDefinition(String),
    /// Another event has started the saga that has the key.
    #[error("the key `{key}` is taken: another event has started the saga {saga}")]
    KeyTaken { key: String, saga: String },
    /// An operator has paused the definition.
    #[error("{definition} starts no sagas: {} paused it at {} ({})", pause.who, pause.since, pause.reason)]
    DefinitionPaused { definition: String, pause: DefinitionPause },
    /// The definition's trigger does not want the event.
    #[error("{0} does not want the event: its `type` or its `when` is for other events")]
    NotWanted(String),
    /// As a record of the topic it would be a dead letter.
    #[error("{code}: {message}; such an event starts nothing: {meaning}", code = .0.code, message = .0.message, meaning = .0.code.meaning())]
    PoisonEvent(PoisonDiagnosis),
    #[error("{0}")]
    StoreAway(String),
    #[error("{0}")]
    Unreadable(String),
    #[error("the request took too long")]
    TimedOut,
    #[error("the request is no HTTP/1.1")]
    NotHttp,
    #[error("the request has more than 64 headers, or more than 24 KiB of them")]
    HeadersTooLarge,
    #[error("the path and the query have more than 8 KiB")]
    PathTooLong,
    #[error("the request came too slowly")]
    SlowRequest,
    #[error("the body of the request is not as its header says: it ends early, or is not in its form")]
    BrokenBody,
    #[error("too many connections to the API are open")]
    TooManyConnections,
    #[error("the request names host `{0}`, but this server takes requests from this machine only")]
    ForeignHost(String),
    #[error("this needs a login")]
    LoginRequired,
    #[error("the key, token or session is not valid")]
    BadLogin,
    #[error("too many logins from this address have failed")]
    TooManyLogins,
    #[error("this needs the role {}, and yours is {}", needs.as_str(), has.as_str())]
    Forbidden { needs: LoginRole, has: LoginRole },
    #[error("`who` is another name than that of the login, `{0}`")]
    OtherOperator(String),
    #[error("the request was not sent by a page of this engine")]
    ForeignPage,
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
    Pause,
    Start,
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
            RequestBodyKind::Start => {
                r#"send {"definition": "order", "event": {"orderId": "4711"}, "who": "your name"} as application/json"#
            }
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
            RequestBodyKind::LetterAct | RequestBodyKind::Pause => {
                r#"send {"who": "your name", "reason": "why"} as application/json"#
            }
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

/// An error as it is answered: a problem of RFC 9457.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ApiProblem {
    /// The page that says what the code means.
    #[serde(rename = "type")]
    page: String,
    title: &'static str,
    status: u16,
    pub(super) detail: String,
    code: &'static str,
    pub(super) hint: String,
    /// Names this very request.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Of a feed: where it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<String>,
    /// Of an event that would be a dead letter: the code of the letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    poison: Option<&'static str>,
    /// Of a taken key: the saga that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    saga: Option<String>,
}

impl ApiProblem {
    fn of(error: &ApiError) -> ApiProblem {
        let facts = error.code().facts();
        ApiProblem {
            page: format!("/help/errors/{}", facts.code),
            title: facts.title,
            status: facts.status.as_u16(),
            detail: error.to_string(),
            code: facts.code,
            hint: error.hint().to_owned(),
            instance: None,
            oldest: error.oldest(),
            poison: error.poison(),
            saga: error.saga(),
        }
    }

    /// The same problem of the request with this id.
    pub(super) fn of_request(self, id: &str) -> ApiProblem {
        ApiProblem { instance: Some(format!("urn:request:{id}")), ..self }
    }

    /// The body of the answer.
    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }
}

impl ApiError {
    /// Seconds after which the caller may try again, where the cause passes by itself.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            ApiError::Busy(_) | ApiError::Starting(_) => Some("2"),
            ApiError::StoreAway(_) | ApiError::TooManyConnections => Some("5"),
            ApiError::TooManyLogins => Some("60"),
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
            | ApiError::UnknownDefinition(_)
            | ApiError::KeyTaken { .. }
            | ApiError::NotWanted(_)
            | ApiError::DefinitionPaused { .. }
            | ApiError::PoisonEvent(_)
            | ApiError::CursorGone { .. }
            | ApiError::Unreadable(_)
            | ApiError::TimedOut
            | ApiError::NotHttp
            | ApiError::HeadersTooLarge
            | ApiError::PathTooLong
            | ApiError::SlowRequest
            | ApiError::BrokenBody
            | ApiError::ForeignHost(_)
            | ApiError::LoginRequired
            | ApiError::BadLogin
            | ApiError::Forbidden { .. }
            | ApiError::OtherOperator(_)
            | ApiError::ForeignPage
            | ApiError::NoParticipant { .. }
            | ApiError::BadDefinition(_)
            | ApiError::NoLetters(_)
            | ApiError::LetterRefused(_)
            | ApiError::NotReloaded(_) => None,
        }
    }

    /// The code that programs go by; it also has the status.
    fn code(&self) -> ApiErrorCode {
        match self {
            ApiError::NoRoute(_) => ApiErrorCode::NoRoute,
            ApiError::NoSaga(_) => ApiErrorCode::NoSaga,
            ApiError::Archived(_) => ApiErrorCode::SagaArchived,
            ApiError::ArchiveUnread(_) => ApiErrorCode::ArchiveUnread,
            ApiError::NoParticipant { .. } => ApiErrorCode::NoParticipant,
            ApiError::NoJob(_) => ApiErrorCode::NoJob,
            ApiError::NoLetters(_) => ApiErrorCode::NoLetter,
            ApiError::ArchivesMissing(_) => ApiErrorCode::ArchivesMissing,
            ApiError::NoProjection(_) => ApiErrorCode::NoProjection,
            ApiError::SeveralSagas(..) => ApiErrorCode::SeveralSagas,
            ApiError::Refused(_)
            | ApiError::RefusedAtEnd(_)
            | ApiError::RerunRefused(_)
            | ApiError::LetterRefused(_)
            | ApiError::NoDefinition(_) => ApiErrorCode::Refused,
            ApiError::UnknownDefinition(_) => ApiErrorCode::NoDefinition,
            ApiError::KeyTaken { .. } => ApiErrorCode::KeyTaken,
            ApiError::NotWanted(_) => ApiErrorCode::NotWanted,
            ApiError::DefinitionPaused { .. } => ApiErrorCode::DefinitionPaused,
            ApiError::PoisonEvent(_) => ApiErrorCode::PoisonEvent,
            ApiError::WrongMethod { .. } => ApiErrorCode::WrongMethod,
            ApiError::CursorGone { .. } => ApiErrorCode::CursorGone,
            ApiError::TooLarge { .. } => ApiErrorCode::TooLarge,
            ApiError::BadPath(_) => ApiErrorCode::BadPath,
            ApiError::BadParameter(_) | ApiError::Misnamed(_) | ApiError::MisnamedLetter(_) => {
                ApiErrorCode::BadParameter
            }
            ApiError::BadBody(..) | ApiError::BadValue(_) => ApiErrorCode::BadBody,
            ApiError::NotReloaded(_) => ApiErrorCode::NotReloaded,
            ApiError::BadDefinition(_) => ApiErrorCode::BadDefinition,
            ApiError::ForeignHost(_) => ApiErrorCode::ForeignHost,
            ApiError::LoginRequired => ApiErrorCode::LoginRequired,
            ApiError::BadLogin => ApiErrorCode::BadLogin,
            ApiError::TooManyLogins => ApiErrorCode::TooManyLogins,
            ApiError::Forbidden { .. } => ApiErrorCode::Forbidden,
            ApiError::OtherOperator(_) => ApiErrorCode::OtherOperator,
            ApiError::ForeignPage => ApiErrorCode::ForeignPage,
            ApiError::Unreadable(_) => ApiErrorCode::Unreadable,
            ApiError::StoreAway(_) => ApiErrorCode::StoreAway,
            ApiError::TooManyReaders(_) => ApiErrorCode::TooManyReaders,
            ApiError::TooManyActs(_) => ApiErrorCode::TooManyActs,
            ApiError::TooManyJobs(_) => ApiErrorCode::TooManyJobs,
            ApiError::Busy(_) => ApiErrorCode::Busy,
            ApiError::Starting(_) => ApiErrorCode::Starting,
            ApiError::TimedOut => ApiErrorCode::TimedOut,
            ApiError::NotHttp => ApiErrorCode::NotHttp,
            ApiError::HeadersTooLarge => ApiErrorCode::HeadersTooLarge,
            ApiError::PathTooLong => ApiErrorCode::PathTooLong,
            ApiError::SlowRequest => ApiErrorCode::SlowRequest,
            ApiError::BrokenBody => ApiErrorCode::BrokenBody,
            ApiError::TooManyConnections => ApiErrorCode::TooManyConnections,
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
            ApiError::KeyTaken { .. } => {
                "nothing has begun; `saga show` shows the saga that has the key, and another transaction needs another key"
            }
            ApiError::DefinitionPaused { .. } => {
                "nothing has begun; `saga resume definition` ends the pause, and the same event starts the saga then"
            }
            ApiError::NotWanted(_) => "nothing has begun; `saga definitions show` shows the trigger",
            ApiError::PoisonEvent(poison) => poison.code.remedy(),
            ApiError::NoDefinition(_) | ApiError::UnknownDefinition(_) => {
                "`saga definitions list` shows the definitions of an engine"
            }
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
            ApiError::LoginRequired => {
                "send `Authorization: Bearer KEY`; `saga` takes --token and SAGA_TOKEN, a browser logs in at /login"
            }
            ApiError::BadLogin => "get a new key or token; the log of the engine says why this one was refused",
            ApiError::TooManyLogins => "correct the key or token; a valid one is taken at once",
            ApiError::Forbidden { .. } => "docs/security.md says what each role may do",
            ApiError::OtherOperator(_) => "leave `who` out: the login says who acts",
            ApiError::ForeignPage => "load the page again, or log in again at /login",
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
            ApiError::NotHttp => "send a request line, headers and a length as RFC 9112 has them",
            ApiError::HeadersTooLarge => "send fewer or shorter headers and cookies",
            ApiError::PathTooLong => "send fewer or shorter parameters, or a body",
            ApiError::SlowRequest => "send the whole header, and each part of the body, within 10 s",
            ApiError::BrokenBody => "send as many bytes as content-length says, or whole chunks; nothing has changed",
            ApiError::TooManyConnections => "end connections that are idle; try again later",
        }
    }

    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        self.code().facts().status
    }

    /// The error as it is answered.
    pub(super) fn problem(&self) -> ApiProblem {
        ApiProblem::of(self)
    }
}

impl ApiError {
    /// For a 401: how to log in (RFC 6750).
    fn challenge(&self) -> Option<&'static str> {
        let code = self.code();
        let invalid = (code == ApiErrorCode::BadLogin).then_some(r#"Bearer realm="saga", error="invalid_token""#);
        invalid.or_else(|| (code == ApiErrorCode::LoginRequired).then_some(r#"Bearer realm="saga""#))
    }

    fn poison(&self) -> Option<&'static str> {
        if let ApiError::PoisonEvent(poison) = self { Some(poison.code.as_str()) } else { None }
    }

    fn saga(&self) -> Option<String> {
        if let ApiError::KeyTaken { saga, .. } = self { Some(saga.clone()) } else { None }
    }

    fn oldest(&self) -> Option<String> {
        if let ApiError::CursorGone { oldest, .. } = self { Some(oldest.clone()) } else { None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let body = problem.to_json();
        let mut response = (self.status(), kind, Extension(problem), body).into_response();
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
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
