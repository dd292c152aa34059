//! The stable codes of errors. Each has a status, a title and a text of help, which docs/errors.md has, too.

use axum::http::StatusCode;

/// What programs and runbooks go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum ApiErrorCode {
    NoRoute,
    NoSaga,
    NoDefinition,
    NoParticipant,
    NoJob,
    NoLetter,
    NoProjection,
    SagaArchived,
    CursorGone,
    SeveralSagas,
    KeyTaken,
    DefinitionPaused,
    Refused,
    ArchivesMissing,
    ArchiveUnread,
    BadParameter,
    BadBody,
    BadPath,
    LoginRequired,
    BadLogin,
    Forbidden,
    OtherOperator,
    ForeignPage,
    ForeignHost,
    WrongMethod,
    TooLarge,
    NotReloaded,
    BadDefinition,
    NotWanted,
    PoisonEvent,
    Unreadable,
    StoreAway,
    TooManyReaders,
    TooManyActs,
    TooManyJobs,
    Busy,
    Starting,
    TimedOut,
    NotHttp,
    HeadersTooLarge,
    PathTooLong,
    SlowRequest,
    BrokenBody,
    TooManyConnections,
    TooManyLogins,
}

/// What is the same for every error of a code.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct ApiErrorFacts {
    pub(in crate::api) status: StatusCode,
    pub(in crate::api) code: &'static str,
    pub(in crate::api) title: &'static str,
    /// For the page of the code.
    pub(in crate::api) help: &'static str,
}

impl ApiErrorFacts {
    fn new(status: StatusCode, code: &'static str, title: &'static str, help: &'static str) -> ApiErrorFacts {
        ApiErrorFacts { status, code, title, help }
    }
}

impl ApiErrorCode {
    pub(in crate::api) const ALL: [ApiErrorCode; 45] = [
        ApiErrorCode::NoRoute,
        ApiErrorCode::NoSaga,
        ApiErrorCode::NoDefinition,
        ApiErrorCode::NoParticipant,
        ApiErrorCode::NoJob,
        ApiErrorCode::NoLetter,
        ApiErrorCode::NoProjection,
        ApiErrorCode::SagaArchived,
        ApiErrorCode::CursorGone,
        ApiErrorCode::SeveralSagas,
        ApiErrorCode::KeyTaken,
        ApiErrorCode::DefinitionPaused,
        ApiErrorCode::Refused,
        ApiErrorCode::ArchivesMissing,
        ApiErrorCode::ArchiveUnread,
        ApiErrorCode::BadParameter,
        ApiErrorCode::BadBody,
        ApiErrorCode::BadPath,
        ApiErrorCode::LoginRequired,
        ApiErrorCode::BadLogin,
        ApiErrorCode::Forbidden,
        ApiErrorCode::OtherOperator,
        ApiErrorCode::ForeignPage,
        ApiErrorCode::ForeignHost,
        ApiErrorCode::WrongMethod,
        ApiErrorCode::TooLarge,
        ApiErrorCode::NotReloaded,
        ApiErrorCode::BadDefinition,
        ApiErrorCode::NotWanted,
        ApiErrorCode::PoisonEvent,
        ApiErrorCode::Unreadable,
        ApiErrorCode::StoreAway,
        ApiErrorCode::TooManyReaders,
        ApiErrorCode::TooManyActs,
        ApiErrorCode::TooManyJobs,
        ApiErrorCode::Busy,
        ApiErrorCode::Starting,
        ApiErrorCode::TimedOut,
        ApiErrorCode::NotHttp,
        ApiErrorCode::HeadersTooLarge,
        ApiErrorCode::PathTooLong,
        ApiErrorCode::SlowRequest,
        ApiErrorCode::BrokenBody,
        ApiErrorCode::TooManyConnections,
        ApiErrorCode::TooManyLogins,
    ];

    /// The code that a path names.
    pub(in crate::api) fn named(text: &str) -> Option<ApiErrorCode> {
        ApiErrorCode::ALL.into_iter().find(|code| code.facts().code == text)
    }

    pub(in crate::api) fn facts(self) -> ApiErrorFacts {
        let facts = ApiErrorFacts::new;
        match self {
            ApiErrorCode::NoRoute => facts(
                StatusCode::NOT_FOUND,
                "no_route",
                "Nothing at this path",
                "The path is none of the API. The list of routes is in docs/api.md.",
            ),
            ApiErrorCode::NoSaga => facts(
                StatusCode::NOT_FOUND,
                "no_saga",
                "No such saga",
                "No saga in the event store has this id or key. Ids and keys are compared as they are written. \
                 `saga list` shows the sagas.",
            ),
            ApiErrorCode::NoDefinition => facts(
                StatusCode::NOT_FOUND,
                "no_definition",
                "No such definition",
                "No definition of this name starts sagas on this engine. `saga definitions list` shows those that \
                 do.",
            ),
            ApiErrorCode::NoParticipant => facts(
                StatusCode::NOT_FOUND,
                "no_participant",
                "No such participant",
                "No participant of this engine has this name. `saga guard list` shows them.",
            ),
            ApiErrorCode::NoJob => facts(
                StatusCode::NOT_FOUND,
                "no_job",
                "No such job",
                "This engine has no job with this id. A job on sagas is in the memory of the engine that began \
                 it; ask that one, or GET /api/jobs for what is on record.",
            ),
            ApiErrorCode::NoLetter => facts(
                StatusCode::NOT_FOUND,
                "no_letter",
                "No such dead letter",
                "The table of dead letters has no letter at this place, or this engine follows no topic of dead \
                 letters. `saga dlq list` shows the letters.",
            ),
            ApiErrorCode::NoProjection => facts(
                StatusCode::NOT_FOUND,
                "no_projection",
                "No such projection",
                "No projection has this name; the detail lists those that there are.",
            ),
            ApiErrorCode::SagaArchived => facts(
                StatusCode::GONE,
                "saga_archived",
                "The saga has left the event store",
                "The detail says when it left, and to which archive. `saga show`, `saga history` and `saga diff` \
                 read it there, and an erasure reaches it; no other act does.",
            ),
            ApiErrorCode::CursorGone => facts(
                StatusCode::GONE,
                "cursor_gone",
                "The feed cannot go on after this cursor",
                "The rows after the cursor are no longer in the event store, or the cursor is of another store. \
                 `oldest` is the oldest cursor that the feed takes. docs/feed.md says what a consumer does then.",
            ),
            ApiErrorCode::SeveralSagas => facts(
                StatusCode::CONFLICT,
                "several_sagas",
                "Several sagas have this key",
                "Sagas of several definitions have the key. Name one by its id, or add ?saga=NAME.",
            ),
            ApiErrorCode::KeyTaken => facts(
                StatusCode::CONFLICT,
                "key_taken",
                "The key is taken by another event",
                "A saga that another event has started has the business key, and the same key never starts a saga \
                 twice. `saga` is its id. Nothing has begun. The same event again would be answered with that \
                 saga.",
            ),
            ApiErrorCode::DefinitionPaused => facts(
                StatusCode::CONFLICT,
                "definition_paused",
                "The definition is paused",
                "An operator has paused the definition; the detail says who, when and why. Nothing has begun. \
                 `saga resume definition` ends the pause, and the same event starts the saga then.",
            ),
            ApiErrorCode::Refused => facts(
                StatusCode::CONFLICT,
                "refused",
                "The act is not possible now",
                "The state of the saga, or of the dead letter, does not allow the act. Nothing has changed. \
                 `saga show` and `saga dlq show` say which acts are possible.",
            ),
            ApiErrorCode::ArchivesMissing => facts(
                StatusCode::CONFLICT,
                "archives_missing",
                "Archives are missing or damaged",
                "The projection needs archives whose files are missing or damaged; the detail names them. Bring \
                 the files back, or send `{\"withoutArchives\": true}` to leave them out.",
            ),
            ApiErrorCode::ArchiveUnread => facts(
                StatusCode::CONFLICT,
                "archive_unread",
                "An archive cannot be read",
                "An archive may have the saga, and this engine cannot read it: the detail names the file, or \
                 says that `archive.folder` is not set. Nothing has changed.",
            ),
            ApiErrorCode::BadParameter => facts(
                StatusCode::BAD_REQUEST,
                "bad_parameter",
                "A parameter is wrong",
                "The detail names the parameter of the query and what was expected. A name that no saga, \
                 archive, engine or dead letter has is such an error, too.",
            ),
            ApiErrorCode::BadBody => facts(
                StatusCode::BAD_REQUEST,
                "bad_body",
                "The body is wrong",
                "The detail names the field and what was expected; the hint shows a body that the route takes. \
                 Nothing has changed.",
            ),
            ApiErrorCode::BadPath => facts(
                StatusCode::BAD_REQUEST,
                "bad_path",
                "The path cannot be read",
                "Percent-encode an id or a key as UTF-8, as one segment: `/` is `%2F`, `%` is `%25`.",
            ),
            ApiErrorCode::LoginRequired => facts(
                StatusCode::UNAUTHORIZED,
                "login_required",
                "Log in first",
                "The route needs a login and the request has none. Send `Authorization: Bearer` with an API key \
                 or a token; `saga` takes --token and SAGA_TOKEN; a browser logs in at /login.",
            ),
            ApiErrorCode::BadLogin => facts(
                StatusCode::UNAUTHORIZED,
                "bad_login",
                "The login is not valid",
                "The key, token or session of the request is unknown, has expired, or cannot be verified. The \
                 answer does not say which check failed; the log of the engine says the class. Get a new one.",
            ),
            ApiErrorCode::Forbidden => facts(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Your role does not allow this",
                "The login is valid, and its role is below the one that the route needs; the detail names both. \
                 docs/security.md says what each role may do.",
            ),
            ApiErrorCode::OtherOperator => facts(
                StatusCode::FORBIDDEN,
                "other_operator",
                "The body names somebody else",
                "With a login, the login says who acts. Leave `who` out of the body, or write the name of the \
                 login. Nothing has changed.",
            ),
            ApiErrorCode::ForeignPage => facts(
                StatusCode::FORBIDDEN,
                "foreign_page",
                "The request is from another page",
                "A request with the session of a browser changes something only with the header X-CSRF-Token \
                 that our own pages send. Load the page again, or log in again.",
            ),
            ApiErrorCode::ForeignHost => facts(
                StatusCode::FORBIDDEN,
                "foreign_host",
                "The request names another machine",
                "An API that listens on a loopback address takes only requests whose header Host names this \
                 machine. Use http://localhost, or set `api.listen` to an address that others may reach.",
            ),
            ApiErrorCode::WrongMethod => facts(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                "The path takes other methods",
                "The detail and the header Allow say which methods the path takes.",
            ),
            ApiErrorCode::TooLarge => facts(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is too large",
                "The detail says the limit: 64 KiB, 256 KiB for a job, and more for definitions and dead \
                 letters. Nothing has changed.",
            ),
            ApiErrorCode::NotReloaded => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_reloaded",
                "participants.yaml was not taken over",
                "The engine refused the file as a whole and keeps the participants that it has. The detail has \
                 every finding.",
            ),
            ApiErrorCode::BadDefinition => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad_definition",
                "The definition has errors",
                "The detail has the findings of `saga check`. Nothing has changed.",
            ),
            ApiErrorCode::NotWanted => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_wanted",
                "The definition does not want the event",
                "The trigger's `type` or `when` is for other events, as it would be for a record of the topic. \
                 Nothing has begun.",
            ),
            ApiErrorCode::PoisonEvent => facts(
                StatusCode::UNPROCESSABLE_ENTITY,
                "poison_event",
                "The event cannot be processed",
                "As a record of the topic the event would be a dead letter. `poison` is the code that the letter \
                 would have, and the hint says what mends it. Nothing has begun.",
            ),
            ApiErrorCode::Unreadable => facts(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unreadable",
                "The saga cannot be read",
                "Another build wrote the saga, or its definition is no longer in the event store. The detail \
                 names the row and the remedy.",
            ),
            ApiErrorCode::StoreAway => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_away",
                "The event store does not answer",
                "The database does not answer. The engine goes on by itself when it answers again; try again \
                 after Retry-After.",
            ),
            ApiErrorCode::TooManyReaders => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_readers",
                "Too many readers follow the events",
                "The most readers follow the guard events, or the feed. End one of them, or ask another engine.",
            ),
            ApiErrorCode::TooManyActs => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_acts",
                "Too many acts are on their way",
                "So many acts are on their way to shards that do not take them that this one had no effect. \
                 /health/ready names the shards; try again later.",
            ),
            ApiErrorCode::TooManyJobs => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_jobs",
                "Too many jobs run",
                "Nothing has changed. Wait for one of the jobs of this engine, or end one with DELETE \
                 /api/jobs/{id}.",
            ),
            ApiErrorCode::Busy => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many requests read sagas",
                "None of them ended in time. Ask again in some seconds, for fewer lines.",
            ),
            ApiErrorCode::Starting => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "starting",
                "The engine starts",
                "The engine does not work yet; the detail says what it waits for. /health/ready shows the \
                 progress.",
            ),
            ApiErrorCode::TimedOut => facts(
                StatusCode::GATEWAY_TIMEOUT,
                "timed_out",
                "The request took too long",
                "The request took longer than 30 s. An act may have been done: send it again with the same `id`.",
            ),
            ApiErrorCode::NotHttp => facts(
                StatusCode::BAD_REQUEST,
                "not_http",
                "The request cannot be read",
                "The bytes are no request of HTTP/1.1: a wrong request line, a character that no header takes, a \
                 length that is no number, or two lengths that differ. The connection is closed.",
            ),
            ApiErrorCode::HeadersTooLarge => facts(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "Too many headers",
                "A request has at most 64 headers, whose names and values have at most 24 KiB together.",
            ),
            ApiErrorCode::PathTooLong => facts(
                StatusCode::URI_TOO_LONG,
                "path_too_long",
                "The path is too long",
                "The path and the query have at most 8 KiB together.",
            ),
            ApiErrorCode::SlowRequest => facts(
                StatusCode::REQUEST_TIMEOUT,
                "slow_request",
                "The request came too slowly",
                "The header has to be there within 10 s, and then each part of the body. Nothing has changed.",
            ),
            ApiErrorCode::BrokenBody => facts(
                StatusCode::BAD_REQUEST,
                "broken_body",
                "The body is not as announced",
                "The body ended before the length of its header, or its chunks are none. Nothing has changed.",
            ),
            ApiErrorCode::TooManyLogins => facts(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_logins",
                "Too many logins have failed",
                "More than 30 logins from this address have failed within a minute. A valid key, token, session or \
                 certificate is taken all the same.",
            ),
            ApiErrorCode::TooManyConnections => facts(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_connections",
                "Too many connections",
                "An engine answers 256 requests at once, and at most 224 from one address. Of those that have not \
                 sent a whole header, it keeps the newest 256, and 128 from one address. Try again after Retry-After.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_section_in_the_documentation() {
        let page = include_str!("../../../../docs/errors.md");
        let (_, sections) = page.split_once("## Codes of the API").expect("the page has the codes of the API");
        let sections = sections.split("\n## ").next().unwrap_or_default();
        for facts in ApiErrorCode::ALL.map(ApiErrorCode::facts) {
            let section =
                format!("\n### {}\n\n{}: {}. {}\n", facts.code, facts.status.as_u16(), facts.title, facts.help);
            assert!(sections.contains(&section), "docs/errors.md has not:{section}");
        }
        let written = sections.matches("\n### ").count();
        assert_eq!(written, ApiErrorCode::ALL.len(), "docs/errors.md has a code that the API has not");
    }

    #[test]
    fn a_code_is_found_by_its_name_only() {
        assert_eq!(ApiErrorCode::named("no_saga"), Some(ApiErrorCode::NoSaga));
        assert_eq!(ApiErrorCode::named("no_saga2"), None);
    }
}
