//! `/api/jobs`: one act on many sagas.

mod chosen;

use super::{
    ApiState,
    acts::{self, ActStatus, OperatorStatement, ShortActBody},
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
    saga_query::SagaListQuery,
    sagas,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use saga_core::{command::CommandDirection, event::OperatorAction};
use saga_engine::act_log::ActedPart;
use saga_engine::bulk::{self, BulkJobRequest, BulkSelection};
use serde::Deserialize;
use serde_json::{Value, json};
use std::num::NonZeroU32;
use uuid::Uuid;

/// The largest body: as many ids as may be named, and keys of usual length.
pub(super) const BODY_BYTES: usize = 256 * 1024;
/// Bytes of the text that says in the record which sagas a job is for.
const TOLD_BYTES: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BulkJobBody {
    id: Option<Uuid>,
    action: String,
    who: Option<String>,
    reason: String,
    /// Ids or business keys.
    #[serde(default)]
    sagas: Vec<String>,
    /// Name of the definition, if sagas of several definitions have a key.
    saga: Option<String>,
    filter: Option<SagaListQuery>,
    step: Option<String>,
    direction: Option<CommandDirection>,
    definition: Option<String>,
    pace: Option<u32>,
    /// The most sagas that the job comes to.
    limit: Option<NonZeroU32>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default = "some_wait")]
    wait_ms: u64,
}

/// Long enough to see a saga that is parked again at once, and short enough to keep few acts in flight.
fn some_wait() -> u64 {
    1_000
}

/// The items of a job to return: those after this position.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkJobItemsQuery {
    after: Option<usize>,
}

pub(super) async fn begin(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let asked: BulkJobBody = request::read(RequestBodyKind::Job, &headers, &body)?;
    let statement = OperatorStatement::checked(&caller, asked.who.clone(), asked.reason.clone())?;
    let beside = archived_beside(&backend, &asked).await?;
    let is_dry = asked.dry_run;
    let order = ordered(&backend, asked, &statement).await?;
    acts::allowed(&caller, order.action)?;
    let job = backend.operator.begin_job(order).map_err(|_| ApiError::TooManyJobs(bulk::MOST_RUNNING))?;
    let status = if is_dry { ActStatus::DryRun } else { ActStatus::Accepted };
    statement.log(job.action.as_str(), format_args!("sagas: {}", job.targets), job.id, status);
    Ok((StatusCode::ACCEPTED, Json(json!({"job": job, "archived": beside}))))
}

/// Of an erasure by a filter: how many sagas are in archives, which a filter does not choose from.
async fn archived_beside(backend: &ApiState, asked: &BulkJobBody) -> Result<Option<u64>, ApiError> {
    let Some(filter) = asked.filter.as_ref().filter(|_| asked.action == OperatorAction::Erase.as_str()) else {
        return Ok(None);
    };
    let archived = backend.operator.archived_sagas(filter.of_saga().as_deref()).await?;
    Ok(Some(archived).filter(|archived| *archived > 0))
}

pub(super) async fn list(State(backend): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let record = backend.query.recorded_jobs().await?;
    Ok(Json(json!({"jobs": backend.operator.jobs(), "record": record})))
}

pub(super) async fn show(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    following: Result<Query<BulkJobItemsQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let after = request::checked(following)?.after.unwrap_or_default();
    let (job, items) = backend.operator.find_job(named(&id)?, after).ok_or(ApiError::NoJob(id))?;
    let next = job.looked_at;
    Ok(Json(json!({"job": job, "items": items, "next": next})))
}

/// Who stops a job, and why, is in the query: a DELETE has no body.
pub(super) async fn cancel(
    State(backend): State<ApiState>,
    Path(id): Path<String>,
    caller: ApiCaller,
    said: Result<Query<ShortActBody>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let (number, ShortActBody { who, reason }) = (named(&id)?, request::checked(said)?);
    let (known, _) = backend.operator.find_job(number, usize::MAX).ok_or_else(|| ApiError::NoJob(id.clone()))?;
    let (before, after) = (json!({"status": known.status}), json!({"status": "cancelled"}));
    let on = (ActedPart::Job, id.as_str());
    let statement = OperatorStatement::short(&caller, who, reason)?;
    statement.record(&backend.operator, "stop job", on, (before, after)).await?;
    let job = backend.operator.cancel_job(number).ok_or(ApiError::NoJob(id))?;
    Ok(Json(json!({"job": job})))
}

fn named(id: &str) -> Result<Uuid, ApiError> {
    id.parse().map_err(|_| ApiError::NoJob(id.to_owned()))
}

async fn ordered(backend: &ApiState, asked: BulkJobBody, by: &OperatorStatement) -> Result<BulkJobRequest, ApiError> {
    let action = acts::parse(&asked.action).map_err(|_| {
        ApiError::BadValue(format!(
            "`action` is `{}`: expected retry, skip, cancel, abandon, migrate or erase",
            asked.action
        ))
    })?;
    acts::needs_definition(action, asked.definition.as_deref())?;
    let about = acts::about(asked.step, asked.direction)?;
    let of_saga = asked.filter.as_ref().and_then(SagaListQuery::of_saga).or_else(|| asked.saga.clone());
    let definition = goes_by(backend, action, of_saga.as_deref(), asked.definition).await?;
    let (targets, targets_told) = targets(backend, action, asked.sagas, asked.saga, asked.filter).await?;
    Ok(BulkJobRequest {
        id: asked.id.unwrap_or_else(Uuid::new_v4),
        action,
        who: by.who.clone(),
        reason: by.reason.clone(),
        origin: by.origin.clone(),
        targets,
        targets_told,
        about,
        definition,
        pace: pace(asked.pace)?,
        limit: asked.limit,
        dry_run: asked.dry_run,
        wait: acts::waits(asked.wait_ms)?,
    })
}

/// The definition that the sagas go on with. A migration of sagas of one definition names it once for all of them, so
/// that what is current cannot change in between.
async fn goes_by(
    backend: &ApiState,
    action: OperatorAction,
    saga: Option<&str>,
    asked: Option<String>,
) -> Result<Option<String>, ApiError> {
    let (OperatorAction::Migrate, Some(saga), Some(wanted)) = (action, saga, &asked) else { return Ok(asked) };
    let found = backend.operator.plan_of(saga, wanted).await;
    let plan = found.map_err(|unknown| ApiError::NoDefinition(unknown.to_string()))?;
    Ok(Some(plan.definition.hash.clone()))
}

fn pace(asked: Option<u32>) -> Result<NonZeroU32, ApiError> {
    let Some(asked) = asked else { return Ok(bulk::PACE) };
    let pace = NonZeroU32::new(asked).filter(|pace| *pace <= bulk::MOST_PACE);
    pace.ok_or_else(|| {
        ApiError::BadValue(format!("`pace` is {asked}: expected 1 to {} sagas a second", bulk::MOST_PACE))
    })
}

async fn targets(
    backend: &ApiState,
    action: OperatorAction,
    names: Vec<String>,
    saga: Option<String>,
    filter: Option<SagaListQuery>,
) -> Result<(BulkSelection, String), ApiError> {
    match (names.is_empty(), filter) {
        (false, None) if names.len() > bulk::MOST_NAMES => Err(ApiError::BadValue(format!(
            "`sagas` names {}: at most {} can be named, use a `filter` for more",
            names.len(),
            bulk::MOST_NAMES
        ))),
        (false, None) => {
            if let Some(saga) = &saga {
                sagas::known_saga(backend, saga).await?;
            }
            let told = shortened(names.join(" "));
            Ok((BulkSelection::Named { names, saga }, told))
        }
        (true, Some(asked)) => {
            let told = shortened(asked.told());
            let wanted = chosen::by(asked, action, backend.query.now())?;
            sagas::named_right_if_none(backend, &wanted).await?;
            Ok((BulkSelection::Matching(Box::new(wanted)), told))
        }
        (true, None) => Err(chosen::nothing()),
        (false, Some(_)) => {
            Err(ApiError::BadValue("name sagas in `sagas`, or choose them by a `filter`, not both".to_owned()))
        }
    }
}

fn shortened(mut told: String) -> String {
    told.truncate(told.floor_char_boundary(TOLD_BYTES));
    told
}
