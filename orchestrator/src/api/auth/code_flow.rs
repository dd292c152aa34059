//! Login of browsers through the issuer's own page.

use super::{
    super::{ApiState, context::RequestContext, errors::ApiError},
    ApiDoor, GuardedDoor, count,
    credentials::{LOGIN_COOKIE, SECURE_LOGIN_COOKIE, cookies},
    session,
};
use crate::login::{CodeAnswer, EndedLogin, LOGIN_LIFE, LoginRefusal, SESSION_LIFE};
use askama::Template;
use axum::{
    Json,
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

#[derive(Debug, Default, Deserialize)]
pub(in crate::api) struct BeginQuery {
    /// The path to go to after the login.
    next: Option<String>,
}

/// `GET /login/issuer`: sends the browser to the issuer.
pub(in crate::api) async fn begin(
    State(backend): State<ApiState>,
    Query(asked): Query<BeginQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let (door, context) = (guarded(&backend)?, RequestContext::of_request(&request));
    let begun = door.gate.begin_code_flow(asked.next.as_deref()).await;
    let (address, cookie) = begun.map_err(|refused| door.refused(&refused, &context))?;
    let cookie = door.cookie.login_header(&cookie, LOGIN_LIFE.as_secs());
    let location = HeaderValue::from_str(address.as_str()).map_err(|_| ApiError::BadLogin)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}

/// `GET /login/callback`: the browser comes back from the issuer.
pub(in crate::api) async fn end(
    State(backend): State<ApiState>,
    Query(answer): Query<CodeAnswer>,
    request: Request,
) -> Result<Response, ApiError> {
    let (door, context) = (guarded(&backend)?, RequestContext::of_request(&request));
    let mut kept = cookies(request.headers(), [LOGIN_COOKIE, SECURE_LOGIN_COOKIE]).into_iter();
    let (Some(cookie), None) = (kept.next(), kept.next()) else {
        return Err(door.refused(&LoginRefusal { class: "no login begun", kid: None }, &context));
    };
    let ended = door.gate.end_code_flow(&cookie, answer).await;
    let ended = ended.map_err(|refused| door.refused(&refused, &context))?;
    count("accepted", "issuer");
    session::record_login(&backend, &ended.identity, context).await?;
    arrived(door, ended)
}

#[derive(Template)]
#[template(path = "arrived.html")]
struct ArrivedPage<'a> {
    next: &'a str,
}

/// The cookie of the session is for our own pages only, and this request began at the issuer: a redirect would not send
/// it. So a page of ours leads on.
fn arrived(door: &GuardedDoor, EndedLogin { identity, next }: EndedLogin) -> Result<Response, ApiError> {
    let who = identity.subject.clone();
    let cookie = door.gate.begin_session(identity).ok_or(ApiError::BadLogin)?;
    info!(who, "somebody logged in at the issuer");
    let html = ArrivedPage { next: &next }.render().map_err(|error| ApiError::Unreadable(error.to_string()))?;
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, door.cookie.header(&cookie, SESSION_LIFE.as_secs()));
    headers.append(header::SET_COOKIE, door.cookie.login_header("", 0));
    if let Ok(value) = HeaderValue::from_str(&format!("0; url={next}")) {
        headers.insert(header::REFRESH, value);
    }
    Ok(response)
}

fn guarded(backend: &ApiState) -> Result<&GuardedDoor, ApiError> {
    match &backend.door {
        ApiDoor::Guarded(door) if door.gate.ways().has_code_flow => Ok(door),
        ApiDoor::Guarded(_) | ApiDoor::Open => Err(ApiError::NoRoute("/login/issuer".to_owned())),
    }
}

/// `GET /api/login`: how people can log in, for commands.
pub(in crate::api) async fn ways(State(backend): State<ApiState>) -> Json<Value> {
    match &backend.door {
        ApiDoor::Open => Json(json!({"login": false})),
        ApiDoor::Guarded(door) => {
            let ways = door.gate.ways();
            Json(json!({
                "login": true,
                "issuer": ways.issuer,
                "audience": ways.audience,
                "deviceClient": ways.device_client,
            }))
        }
    }
}
