//! `POST /api/sagas/{id}/{retry|skip|cancel|abandon|migrate|erase}`.

use super::{
    super::{
        ApiState,
        auth::ApiCaller,
        errors::{ApiError, RequestBodyKind},
        request, sagas,
    },
    ActStatus, OperatorStatement, to_its_end,
};
use crate::login::LoginRole;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use saga_core::{
    command::CommandDirection,
    definition,
    describe::ActPreview,
    event::OperatorAction,
    id::SagaId,
    input::{ActTarget, OperatorAct},
    state::SagaPlan,
    time::rfc3339,
};
use saga_engine::{
    act_preview::ActPreviewOutcome,
    act_result,
    act_sender::{self, OperatorActOutcome},
    journal::reading::SagaLine,
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tracing::warn;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SagaActBody {
    id: Option<String>,
    who: Option<String>,
    reason: String,
    step: Option<String>,
    direction: Option<CommandDirection>,
    /// For a retry or a migration: `current`, or the beginning of the hash of a definition.
    definition: Option<String>,
    /// Change nothing; only answer what the act would lead to.
    #[serde(default)]
    dry_run: bool,
    /// How long to wait, in milliseconds, until the saga waits, is parked or has ended.
    #[serde(default)]
    wait_ms: u64,
}

/// Longer than the ids that programs make, and short enough to be kept with the saga.
const MAX_ID_BYTES: usize = 128;

/// What the archive of an erased saga has of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum ArchiveStanding {
    /// Nothing of its content.
    Erased,
    /// What is still to be done.
    Pending(String),
}

/// The result of an act or of its dry run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SagaActResponse {
    status: ActStatus,
    id: String,
    saga: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<CommandDirection>,
    /// For a repeated act: when it was applied, RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied_at: Option<String>,
    /// Whether the saga has the status that the act aims at, or is on its way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_wanted: Option<bool>,
    /// For the erasure of a saga in an archive: how far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<ArchiveStanding>,
    /// For an erasure: ids of sagas that run this one again and are not erased.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reruns: Vec<String>,
    /// The saga after the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Box<SagaLine>>,
    /// For a dry run: the saga as it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<Box<ActPreview>>,
}

impl SagaActResponse {
    fn new(status: ActStatus, saga: SagaId, id: &str, about: Option<ActTarget>) -> SagaActResponse {
        let (step, direction) = about.map_or((None, None), |about| (Some(about.step), about.direction));
        SagaActResponse {
            status,
            id: id.to_owned(),
            saga: saga.to_string(),
            step,
            direction,
            applied_at: None,
            as_wanted: None,
            archive: None,
            reruns: Vec::new(),
            now: None,
            leads_to: None,
        }
    }
}

pub(in crate::api) async fn act(
    State(backend): State<ApiState>,
    Path((saga, action)): Path<(String, String)>,
    named: Result<Query<sagas::SagaLookupQuery>, QueryRejection>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let action = parse(&action)?;
    let asked: SagaActBody = request::read(RequestBodyKind::Act, &headers, &body)?;
    allowed(&caller, action)?;
    let wait = waits(asked.wait_ms)?;
    let saga = meant(&backend, request::checked(named)?.of(&saga), action).await?;
    let plan = plan_of(&backend, saga, asked.definition.as_deref(), action).await?;
    let is_dry = asked.dry_run;
    let statement = OperatorStatement::checked(&caller, asked.who.clone(), asked.reason.clone())?;
    let act = checked(asked, action, &statement)?;
    if is_dry {
        return Ok(Json(dry_run(&backend, saga, &act, plan.as_ref()).await?).into_response());
    }
    performed(&backend, &statement, saga, act, plan, wait).await
}

/// What an erasure removes cannot be had again.
pub(in crate::api) fn allowed(caller: &ApiCaller, action: OperatorAction) -> Result<(), ApiError> {
    match action {
        OperatorAction::Erase => caller.require(LoginRole::Admin),
        OperatorAction::Retry
        | OperatorAction::Skip
        | OperatorAction::Cancel
        | OperatorAction::Abandon
        | OperatorAction::Migrate => Ok(()),
    }
}

/// The saga that the path names. An erasure reaches sagas in archives, too.
async fn meant(
    backend: &ApiState,
    whose: sagas::SagaReference<'_>,
    action: OperatorAction,
) -> Result<SagaId, ApiError> {
    match (sagas::resolve(backend, whose).await, action) {
        (Err(ApiError::Archived(left)), OperatorAction::Erase) => Ok(left.id),
        (resolved, _) => resolved,
    }
}

pub(in crate::api) fn waits(wait_ms: u64) -> Result<Duration, ApiError> {
    let (wait, most) = (Duration::from_millis(wait_ms), act_result::MOST_WAIT);
    if wait <= most {
        return Ok(wait);
    }
    Err(ApiError::BadValue(format!("`waitMs` is {wait_ms}: expected 0 to {}", most.as_millis())))
}

async fn dry_run(
    backend: &ApiState,
    saga: SagaId,
    act: &OperatorAct,
    plan: Option<&Arc<SagaPlan>>,
) -> Result<SagaActResponse, ApiError> {
    let Some(found) = backend.operator.preview(saga, act, plan).await? else {
        return Err(sagas::not_in_store(backend, &saga.to_string(), None).await);
    };
    match found {
        ActPreviewOutcome::Applied { about, leads_to } => {
            let as_wanted = Some(leads_to.status.is_wanted_by(act.action));
            let told = SagaActResponse::new(ActStatus::DryRun, saga, &act.id, about);
            let told = SagaActResponse { as_wanted, leads_to: Some(leads_to), ..told };
            Ok(with_reruns(backend, told, saga, act.action).await)
        }
        ActPreviewOutcome::Nothing => Ok(SagaActResponse::new(ActStatus::NoChange, saga, &act.id, None)),
        ActPreviewOutcome::Refused { .. } if is_erased_already(backend, saga, act.action).await => {
            Ok(erased_already(backend, saga, &act.id, ActStatus::NoChange).await)
        }
        ActPreviewOutcome::Refused { reason } => Err(refused(backend, saga, reason).await),
    }
}

async fn performed(
    backend: &ApiState,
    statement: &OperatorStatement,
    saga: SagaId,
    act: OperatorAct,
    plan: Option<Arc<SagaPlan>>,
    wait: Duration,
) -> Result<Response, ApiError> {
    let (id, action, about) = (act.id.clone(), act.action, act.about.clone());
    let operator = backend.operator.clone();
    let operated = to_its_end(async move { operator.act_on_saga(saga, act, plan).await })
        .await
        .unwrap_or(OperatorActOutcome::Accepted { about });
    let told = match operated {
        OperatorActOutcome::Applied { about } => {
            let told = SagaActResponse::new(ActStatus::Applied, saga, &id, about);
            after(backend, told, saga, action, wait).await
        }
        OperatorActOutcome::Repeated { at, about } => {
            let told = SagaActResponse::new(ActStatus::Applied, saga, &id, about);
            let told = SagaActResponse { applied_at: Some(rfc3339(at)), ..told };
            after(backend, told, saga, action, Duration::ZERO).await
        }
        OperatorActOutcome::ErasedFromArchive { left } => {
            let archive = Some(left.map_or(ArchiveStanding::Erased, ArchiveStanding::Pending));
            SagaActResponse { archive, ..SagaActResponse::new(ActStatus::Applied, saga, &id, None) }
        }
        OperatorActOutcome::Accepted { about } => SagaActResponse::new(ActStatus::Accepted, saga, &id, about),
        OperatorActOutcome::Refused { .. } if is_erased_already(backend, saga, action).await => {
            return Ok(Json(erased_already(backend, saga, &id, ActStatus::Done).await).into_response());
        }
        OperatorActOutcome::Refused { reason } => return Err(refused(backend, saga, reason).await),
        OperatorActOutcome::TooMany => return Err(ApiError::TooManyActs(act_sender::MOST_ACTS)),
        OperatorActOutcome::UnknownSaga => return Err(sagas::not_in_store(backend, &saga.to_string(), None).await),
    };
    statement.log(action.as_str(), saga, &id, told.status);
    let told = with_reruns(backend, told, saga, action).await;
    Ok((told.status.code(), Json(told)).into_response())
}

/// Whether the act is an erasure of a saga that another one has erased: then there is nothing to do.
async fn is_erased_already(backend: &ApiState, saga: SagaId, action: OperatorAction) -> bool {
    action == OperatorAction::Erase && backend.operator.is_erased(saga).await.unwrap_or(false)
}

async fn erased_already(backend: &ApiState, saga: SagaId, id: &str, status: ActStatus) -> SagaActResponse {
    let told = SagaActResponse::new(status, saga, id, None);
    with_reruns(backend, told, saga, OperatorAction::Erase).await
}

/// Adds the sagas that have a copy of what was erased.
async fn with_reruns(
    backend: &ApiState,
    told: SagaActResponse,
    saga: SagaId,
    action: OperatorAction,
) -> SagaActResponse {
    if action != OperatorAction::Erase {
        return told;
    }
    match backend.operator.reruns_of(saga).await {
        Ok(reruns) => SagaActResponse { reruns: reruns.iter().map(ToString::to_string).collect(), ..told },
        Err(error) => {
            warn!(%saga, %error, "it is not known which sagas run the erased one again");
            told
        }
    }
}

/// Adds the state of the saga after the act.
async fn after(
    backend: &ApiState,
    told: SagaActResponse,
    saga: SagaId,
    action: OperatorAction,
    wait: Duration,
) -> SagaActResponse {
    let Some(now) = backend.operator.result(saga, wait).await else { return told };
    SagaActResponse { as_wanted: now.is_wanted_by(action), now: Some(Box::new(now)), ..told }
}

/// A saga that has ended waits for nothing, so the hint of its refusal is another one. What has left the store has
/// ended.
async fn refused(backend: &ApiState, saga: SagaId, reason: String) -> ApiError {
    match backend.query.has_ended(saga).await {
        Ok(Some(true) | None) => ApiError::RefusedAtEnd(reason),
        Ok(Some(false)) | Err(_) => ApiError::Refused(reason),
    }
}

pub(in crate::api) fn parse(action: &str) -> Result<OperatorAction, ApiError> {
    OperatorAction::ALL.into_iter().find(|known| known.as_str() == action).ok_or_else(|| {
        let guess = definition::or_did_you_mean(action, OperatorAction::ALL.map(OperatorAction::as_str));
        ApiError::NoRoute(format!("…/{action}: expected retry, skip, cancel, abandon, migrate, erase or rerun{guess}"))
    })
}

fn checked(asked: SagaActBody, action: OperatorAction, by: &OperatorStatement) -> Result<OperatorAct, ApiError> {
    let (who, reason) = (by.who.clone(), by.reason.clone());
    let id = act_id(asked.id)?;
    let about = about(asked.step, asked.direction)?;
    Ok(OperatorAct { id, who, reason, action, about, origin: Box::new(by.origin.clone()) })
}

/// The id that the caller gives the act, or a new one.
pub(in crate::api) fn act_id(given: Option<String>) -> Result<String, ApiError> {
    let id = given.unwrap_or_else(|| Uuid::new_v4().to_string());
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(ApiError::BadValue(format!("`id` must be a text of 1 to {MAX_ID_BYTES} bytes")));
    }
    Ok(id)
}

/// The command that an act is about, if it is about one.
pub(in crate::api) fn about(
    step: Option<String>,
    direction: Option<CommandDirection>,
) -> Result<Option<ActTarget>, ApiError> {
    match (step, direction) {
        (None, Some(_)) => Err(ApiError::BadValue("`direction` needs `step`".to_owned())),
        (step, direction) => Ok(step.map(|step| ActTarget { step, direction })),
    }
}

fn takes_definition(action: OperatorAction) -> Result<(), ApiError> {
    match action {
        OperatorAction::Retry | OperatorAction::Migrate => Ok(()),
        OperatorAction::Skip | OperatorAction::Cancel | OperatorAction::Abandon | OperatorAction::Erase => {
            Err(ApiError::BadValue("`definition` is only for retry and migrate".to_owned()))
        }
    }
}

/// A migration without a definition would go nowhere.
pub(in crate::api) fn needs_definition(action: OperatorAction, definition: Option<&str>) -> Result<(), ApiError> {
    match (action, definition) {
        (OperatorAction::Migrate, None) => Err(ApiError::BadValue(
            "a migration needs `definition`: `current`, or the beginning of the hash to go on with".to_owned(),
        )),
        (_, Some(_)) => takes_definition(action),
        (
            OperatorAction::Retry
            | OperatorAction::Skip
            | OperatorAction::Cancel
            | OperatorAction::Abandon
            | OperatorAction::Erase,
            None,
        ) => Ok(()),
    }
}

/// The definition that a retry or a migration names to go on with, if it names one.
async fn plan_of(
    backend: &ApiState,
    saga: SagaId,
    text: Option<&str>,
    action: OperatorAction,
) -> Result<Option<Arc<SagaPlan>>, ApiError> {
    needs_definition(action, text)?;
    let Some(text) = text else { return Ok(None) };
    let recorded = sagas::recorded(backend, saga).await?;
    let name = &recorded.plan.definition.name;
    match backend.operator.plan_of(name, text).await {
        Ok(plan) => Ok(Some(plan)),
        Err(unknown) => Err(ApiError::NoDefinition(unknown.to_string())),
    }
}
