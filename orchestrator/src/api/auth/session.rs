//! Sessions of browsers: a form takes a key or token, and a cookie remembers who it is of.

use super::{
    super::{ApiState, context::RequestContext, errors::ApiError},
    ApiCaller, ApiDoor,
    credentials::{COOKIE, SECURE_COOKIE},
};
use crate::login::{SESSION_LIFE, SessionContent};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use saga_core::act_author::ActAuthor;
use saga_engine::act_log::{ActedPart, PartAct};
use serde_json::{Value, json};
use std::net::SocketAddr;
use subtle::ConstantTimeEq;
use tracing::info;

/// How the cookie travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieKind {
    /// Also without TLS: the API listens on this machine only.
    Local,
    /// By TLS only.
    Secure,
}

impl CookieKind {
    pub(super) fn of(listen: SocketAddr) -> CookieKind {
        if listen.ip().is_loopback() { CookieKind::Local } else { CookieKind::Secure }
    }

    /// The header that sets the cookie, for so many seconds.
    fn header(self, value: &str, seconds: u64) -> HeaderValue {
        let (name, secure) = match self {
            CookieKind::Local => (COOKIE, ""),
            CookieKind::Secure => (SECURE_COOKIE, "; Secure"),
        };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
        HeaderValue::from_str(&text).expect("a cookie has only characters that a header takes")
    }
}

/// Whether a request that changes something has the token that only our own pages can read.
pub(super) fn is_of_our_page(content: &SessionContent, page_token: Option<&str>) -> bool {
    page_token.is_some_and(|given| bool::from(content.page_token.as_bytes().ct_eq(given.as_bytes())))
}

/// `POST /login`: a form with a key or a token.
pub(in crate::api) async fn begin(
    State(backend): State<ApiState>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let ApiDoor::Guarded(door) = &backend.door else { return Ok(to_the_list(None)) };
    // A page of another site must not log a browser in as somebody else.
    let from = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if from.is_some_and(|from| !["same-origin", "none"].contains(&from)) {
        return Err(ApiError::ForeignPage);
    }
    let form = url::form_urlencoded::parse(&body);
    let presented = form.into_iter().find(|(name, _)| name == "token").map(|(_, value)| value.trim().to_owned());
    let identity = match door.gate.bearer(&presented.unwrap_or_default()).await {
        Ok(identity) => identity,
        Err(refused) => {
            door.refusals.note(&refused, &context);
            return Err(ApiError::BadLogin);
        }
    };
    let subject = identity.subject.clone();
    let caller = ApiCaller::known(identity.clone(), context);
    let by = ActAuthor { who: subject.clone(), reason: String::new(), origin: caller.origin() };
    let after = json!({"role": identity.grant.role.as_str()});
    let act = PartAct { after, ..PartAct::new(&by, "log in", ActedPart::Session, "web UI") };
    backend.operator.record_act(&act).await?;
    let cookie = door.gate.begin_session(identity).ok_or(ApiError::BadLogin)?;
    info!(who = subject, "somebody logged in by the form");
    Ok(to_the_list(Some(door.cookie.header(&cookie, SESSION_LIFE.as_secs()))))
}

/// `POST /logout`: the browser forgets its session.
pub(in crate::api) async fn end(State(backend): State<ApiState>) -> Response {
    match &backend.door {
        ApiDoor::Open => to_the_list(None),
        ApiDoor::Guarded(door) => to_the_list(Some(door.cookie.header("", 0))),
    }
}

fn to_the_list(cookie: Option<HeaderValue>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// `GET /api/session`: who the caller is, and what the pages send with an act.
pub(in crate::api) async fn show(State(backend): State<ApiState>, caller: ApiCaller, request: Request) -> Json<Value> {
    let Some(known) = caller.identity() else { return Json(json!({"who": null})) };
    let (role, payloads) = (known.grant.role.as_str(), known.grant.payloads);
    let token = backend.door.page_token(&request);
    Json(json!({"who": known.subject, "role": role, "payloads": payloads, "pageToken": token}))
}

impl ApiDoor {
    fn page_token(&self, request: &Request) -> Option<String> {
        let ApiDoor::Guarded(door) = self else { return None };
        match super::RequestCredentials::of(request) {
            super::RequestCredentials::Session { cookie, .. } => {
                door.gate.session(&cookie).ok().map(|content| content.page_token)
            }
            super::RequestCredentials::None
            | super::RequestCredentials::Malformed
            | super::RequestCredentials::Bearer(_) => None,
        }
    }
}
