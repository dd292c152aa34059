//! `POST /api/sagas/{id}/{retry|skip|cancel|abandon}`.

use super::{Backend, errors::Error, sagas};
use crate::{
    engine::{
        mending,
        operate::{self, Operated},
    },
    guarded::acts::check_texts,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use saga_core::{
    command::Direction,
    event::OperatorAction,
    id::SagaId,
    input::{About, OperatorAct},
    state::Plan,
    time::rfc3339,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: Option<String>,
    who: String,
    reason: String,
    step: Option<String>,
    direction: Option<Direction>,
    /// Of a retry: `current`, or a hash of a definition or its beginning.
    definition: Option<String>,
}

/// More than any id that programs make, and short enough to be kept with the saga.
const MAX_ID_BYTES: usize = 128;

/// What became of an act.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: String,
    id: String,
    saga: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    /// Of a repeat: when it was applied, RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
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
    let saga = sagas::resolve(&backend, sagas::checked(named)?.of(&saga)).await?;
    let plan = mended(&backend, saga, asked.definition.as_deref(), action).await?;
    let act = checked(asked, action)?;
    let (id, about) = (act.id.clone(), act.about.clone());
    let parts = Arc::clone(&backend.parts);
    // A task of its own: a client that goes away does not take its act back.
    let operated = tokio::spawn(async move { operate::operate(&parts, saga, act, plan).await })
        .await
        .unwrap_or(Operated::Accepted { about });
    let told = |status: &str, about: Option<About>| {
        let about = about.map_or((None, None), |about| (Some(about.step), about.direction));
        Told {
            status: status.to_owned(),
            id,
            saga: saga.to_string(),
            step: about.0,
            direction: about.1,
            applied_at: None,
        }
    };
    match operated {
        Operated::Applied { about } => Ok(Json(told("applied", about)).into_response()),
        Operated::Repeated { at, about } => {
            let told = Told { applied_at: Some(rfc3339(at)), ..told("applied", about) };
            Ok(Json(told).into_response())
        }
        Operated::Accepted { about } => {
            Ok((StatusCode::ACCEPTED, Json(told("accepted, not yet applied", about))).into_response())
        }
        Operated::Refused { reason } => Err(refused(&backend, saga, reason).await),
        Operated::TooMany => Err(Error::TooManyActs(operate::MOST_ACTS)),
        Operated::UnknownSaga => Err(Error::NoSaga(saga.to_string())),
    }
}

/// What a saga that has ended waits for is nothing.
async fn refused(backend: &Backend, saga: SagaId, reason: String) -> Error {
    match sagas::recorded(backend, saga).await {
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
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(Error::BadValue(format!("`id` must be a text of 1 to {MAX_ID_BYTES} bytes")));
    }
    let about = match (asked.step, asked.direction) {
        (None, Some(_)) => return Err(Error::BadValue("`direction` goes with `step`".into())),
        (step, direction) => step.map(|step| About { step, direction }),
    };
    Ok(OperatorAct { id, who: asked.who, reason: asked.reason, action, about })
}

/// What a retry is to go by, where it says so.
async fn mended(
    backend: &Backend,
    saga: SagaId,
    definition: Option<&str>,
    action: OperatorAction,
) -> Result<Option<Arc<Plan>>, Error> {
    let Some(definition) = definition else { return Ok(None) };
    if action != OperatorAction::Retry {
        return Err(Error::BadValue("`definition` is of retry only".to_owned()));
    }
    let recorded = sagas::recorded(backend, saga).await?;
    let name = &recorded.plan.definition.name;
    match mending::plan_of(&backend.parts, name, definition).await {
        Ok(plan) => Ok(Some(plan)),
        Err(unknown) => Err(Error::Refused(unknown.to_string())),
    }
}
