//! `POST /api/sagas/{id}/{retry|skip|cancel|abandon}`.

use super::{Backend, errors::Error, sagas};
use crate::{
    engine::operate::{self, Operated, OperatorAct},
    guarded::acts::check_texts,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use saga_core::{event::OperatorAction, id::SagaId};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: Option<String>,
    who: String,
    reason: String,
}

pub(super) async fn act(
    State(backend): State<Backend>,
    Path((saga, action)): Path<(String, String)>,
    named: Result<Query<sagas::Named>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    require_json(&headers)?;
    let action = parse(&action)?;
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| Error::BadBody(error.to_string()))?;
    let saga = sagas::resolve(&backend, &saga, sagas::checked(named)?.saga.as_deref()).await?;
    let act = checked(asked, action)?;
    let id = act.id.clone();
    let parts = Arc::clone(&backend.parts);
    // A task of its own: a client that goes away does not take its act back.
    let operated =
        tokio::spawn(async move { operate::operate(&parts, saga, act).await }).await.unwrap_or(Operated::Accepted);
    match operated {
        Operated::Applied => Ok(Json(json!({"status": "applied", "id": id, "saga": saga.to_string()})).into_response()),
        Operated::Accepted => {
            let body = json!({"status": "accepted, not yet applied", "id": id, "saga": saga.to_string()});
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        Operated::Refused { reason } => Err(refused(&backend, saga, reason).await),
        Operated::TooMany => Err(Error::TooManyActs(operate::MOST_ACTS)),
        Operated::UnknownSaga => Err(Error::NoSaga(saga.to_string())),
    }
}

/// What a saga that has ended waits for is nothing.
async fn refused(backend: &Backend, saga: SagaId, reason: String) -> Error {
    match sagas::recorded(backend, &saga.to_string(), None).await {
        Ok(recorded) if recorded.state.status().is_terminal() => Error::RefusedAtEnd(reason),
        Ok(_) | Err(_) => Error::Refused(reason),
    }
}

/// A page elsewhere can make a browser send a form or plain text here, under its user's name; JSON it would have to ask leave for first, which
/// nobody gives.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::BadBody(format!("the header content-type is `{content_type}`, expected application/json")))
}

fn parse(action: &str) -> Result<OperatorAction, Error> {
    match action {
        "retry" => Ok(OperatorAction::Retry),
        "skip" => Ok(OperatorAction::Skip),
        "cancel" => Ok(OperatorAction::Cancel),
        "abandon" => Ok(OperatorAction::Abandon),
        other => Err(Error::NoRoute(format!("…/{other}: expected retry, skip, cancel or abandon"))),
    }
}

fn checked(asked: Asked, action: OperatorAction) -> Result<OperatorAct, Error> {
    check_texts(&asked.who, &asked.reason).map_err(Error::BadValue)?;
    let id = asked.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    Ok(OperatorAct { id, who: asked.who, reason: asked.reason, action })
}
