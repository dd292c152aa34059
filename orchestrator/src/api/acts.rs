//! `POST /api/sagas/{id}/{retry|skip|cancel|abandon}`.

use super::{
    Backend, bodies,
    errors::{Error, Form},
    sagas,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use saga_core::{
    command::Direction,
    definition,
    event::OperatorAction,
    id::SagaId,
    input::{About, OperatorAct},
    state::{Plan, view::ProspectView},
    time::rfc3339,
};
use saga_engine::{
    journal::reading::SagaLine,
    mending,
    operate::{self, Operated},
    prospect::{self, Prospect},
    sequel,
};
use saga_resilience::overrides::check_texts;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asked {
    id: Option<String>,
    who: String,
    reason: String,
    step: Option<String>,
    direction: Option<Direction>,
    /// Of a retry: `current`, or a hash of a definition or its beginning.
    definition: Option<String>,
    /// Only tell what it would lead to.
    #[serde(default)]
    dry_run: bool,
    /// How long to wait for what comes of it, until the saga waits, is parked or has ended.
    #[serde(default)]
    wait_ms: u64,
}

/// More than any id that programs make, and short enough to be kept with the saga.
const MAX_ID_BYTES: usize = 128;

/// What became of an act, or would.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: &'static str,
    id: String,
    saga: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    /// Of a repeat: when it was applied, RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
    /// Whether the saga is where whoever acts wants it, or on its way there.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_wanted: Option<bool>,
    /// Where the saga was when it was looked at after the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Box<SagaLine>>,
    /// Of a dry run: where the saga would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<Box<ProspectView>>,
}

impl Told {
    fn new(status: &'static str, saga: SagaId, id: &str, about: Option<About>) -> Told {
        let (step, direction) = about.map_or((None, None), |about| (Some(about.step), about.direction));
        Told {
            status,
            id: id.to_owned(),
            saga: saga.to_string(),
            step,
            direction,
            applied_at: None,
            as_wanted: None,
            now: None,
            leads_to: None,
        }
    }
}

pub(super) async fn act(
    State(backend): State<Backend>,
    Path((saga, action)): Path<(String, String)>,
    named: Result<Query<sagas::Named>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let action = parse(&action)?;
    let asked: Asked = bodies::read(Form::Act, &headers, &body)?;
    let wait = waits(asked.wait_ms)?;
    let saga = sagas::resolve(&backend, bodies::checked(named)?.of(&saga)).await?;
    let plan = mended(&backend, saga, asked.definition.as_deref(), action).await?;
    let is_dry = asked.dry_run;
    let act = checked(asked, action)?;
    if is_dry {
        return Ok(Json(foretold(&backend, saga, &act, plan.as_ref()).await?).into_response());
    }
    performed(&backend, saga, act, plan, wait).await
}

pub(super) fn waits(wait_ms: u64) -> Result<Duration, Error> {
    let (wait, most) = (Duration::from_millis(wait_ms), sequel::MOST_WAIT);
    if wait <= most {
        return Ok(wait);
    }
    Err(Error::BadValue(format!("`waitMs` is {wait_ms}: expected 0 to {}", most.as_millis())))
}

async fn foretold(backend: &Backend, saga: SagaId, act: &OperatorAct, plan: Option<&Arc<Plan>>) -> Result<Told, Error> {
    let found = prospect::of(&backend.parts, saga, act, plan).await?;
    match found.ok_or_else(|| Error::NoSaga(saga.to_string()))? {
        Prospect::Applied { about, leads_to } => {
            let as_wanted = Some(leads_to.status.is_wanted_by(act.action));
            let told = Told::new("not applied: dry run", saga, &act.id, about);
            Ok(Told { as_wanted, leads_to: Some(leads_to), ..told })
        }
        Prospect::Nothing => Ok(Told::new("would change nothing", saga, &act.id, None)),
        Prospect::Refused { reason } => Err(refused(backend, saga, reason).await),
    }
}

async fn performed(
    backend: &Backend,
    saga: SagaId,
    act: OperatorAct,
    plan: Option<Arc<Plan>>,
    wait: Duration,
) -> Result<Response, Error> {
    let (id, action, about) = (act.id.clone(), act.action, act.about.clone());
    let parts = Arc::clone(&backend.parts);
    // A task of its own: a client that goes away does not take its act back.
    let operated = tokio::spawn(async move { operate::operate(&parts, saga, act, plan).await })
        .await
        .unwrap_or(Operated::Accepted { about });
    match operated {
        Operated::Applied { about } => {
            let told = Told::new("applied", saga, &id, about);
            Ok(Json(after(backend, told, saga, action, wait).await).into_response())
        }
        Operated::Repeated { at, about } => {
            let told = Told { applied_at: Some(rfc3339(at)), ..Told::new("applied", saga, &id, about) };
            Ok(Json(after(backend, told, saga, action, Duration::ZERO).await).into_response())
        }
        Operated::Accepted { about } => {
            let told = Told::new("accepted, not yet applied", saga, &id, about);
            Ok((StatusCode::ACCEPTED, Json(told)).into_response())
        }
        Operated::Refused { reason } => Err(refused(backend, saga, reason).await),
        Operated::TooMany => Err(Error::TooManyActs(operate::MOST_ACTS)),
        Operated::UnknownSaga => Err(Error::NoSaga(saga.to_string())),
    }
}

/// With what came of it.
async fn after(backend: &Backend, told: Told, saga: SagaId, action: OperatorAction, wait: Duration) -> Told {
    let Some(now) = sequel::of(&backend.parts, saga, wait).await else { return told };
    Told { as_wanted: now.is_wanted_by(action), now: Some(Box::new(now)), ..told }
}

/// What a saga that has ended waits for is nothing.
async fn refused(backend: &Backend, saga: SagaId, reason: String) -> Error {
    match sagas::recorded(backend, saga).await {
        Ok(recorded) if recorded.state.status().is_terminal() => Error::RefusedAtEnd(reason),
        Ok(_) | Err(_) => Error::Refused(reason),
    }
}

pub(super) fn parse(action: &str) -> Result<OperatorAction, Error> {
    OperatorAction::ALL.into_iter().find(|known| known.as_str() == action).ok_or_else(|| {
        let guess = definition::or_did_you_mean(action, OperatorAction::ALL.map(OperatorAction::as_str));
        Error::NoRoute(format!("…/{action}: expected retry, skip, cancel or abandon{guess}"))
    })
}

fn checked(asked: Asked, action: OperatorAction) -> Result<OperatorAct, Error> {
    check_texts(&asked.who, &asked.reason).map_err(Error::BadValue)?;
    let id = asked.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(Error::BadValue(format!("`id` must be a text of 1 to {MAX_ID_BYTES} bytes")));
    }
    let about = about(asked.step, asked.direction)?;
    Ok(OperatorAct { id, who: asked.who, reason: asked.reason, action, about })
}

/// Which command an act is about, if it is about one.
pub(super) fn about(step: Option<String>, direction: Option<Direction>) -> Result<Option<About>, Error> {
    match (step, direction) {
        (None, Some(_)) => Err(Error::BadValue("`direction` goes with `step`".to_owned())),
        (step, direction) => Ok(step.map(|step| About { step, direction })),
    }
}

pub(super) fn takes_definition(action: OperatorAction) -> Result<(), Error> {
    match action {
        OperatorAction::Retry => Ok(()),
        OperatorAction::Skip | OperatorAction::Cancel | OperatorAction::Abandon => {
            Err(Error::BadValue("`definition` is of retry only".to_owned()))
        }
    }
}

/// What a retry is to go by, where it says so.
async fn mended(
    backend: &Backend,
    saga: SagaId,
    text: Option<&str>,
    action: OperatorAction,
) -> Result<Option<Arc<Plan>>, Error> {
    let Some(text) = text else { return Ok(None) };
    takes_definition(action)?;
    let recorded = sagas::recorded(backend, saga).await?;
    let name = &recorded.plan.definition.name;
    match mending::plan_of(&backend.parts, name, text).await {
        Ok(plan) => Ok(Some(plan)),
        Err(unknown) => Err(Error::NoDefinition(unknown.to_string())),
    }
}
