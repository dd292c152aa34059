//! `POST /api/sagas/{id}/rerun`: begins a saga that runs an ended one again.

use super::{
    super::{
        ApiState,
        auth::ApiCaller,
        errors::{ApiError, RequestBodyKind},
        request, sagas,
    },
    ActStatus, OperatorStatement,
    saga::{act_id, waits},
    to_its_end,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use saga_core::{describe::ActPreview, id::SagaId, rerun::RerunOrder, state::SagaPlan};
use saga_engine::{
    journal::{JournalError, reading::SagaLine, shown},
    rerun_sender::{self, RerunOutcome, RerunPreview},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RerunBody {
    id: Option<String>,
    who: Option<String>,
    reason: String,
    /// The first step that is performed again; without it all steps are.
    from: Option<String>,
    /// Let effects stay that the rerun does not take over, or begin behind the pivot.
    #[serde(default)]
    force: bool,
    /// `current`, or the beginning of the hash of a definition; without it the one that the ended saga ran by.
    definition: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// How long to wait, in milliseconds, until the new saga waits, is parked or has ended.
    #[serde(default)]
    wait_ms: u64,
}

/// The result of a rerun or of its dry run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RerunResponse {
    status: ActStatus,
    id: String,
    /// The ended saga.
    saga: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The saga that runs it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun: Option<String>,
    /// Whether the same act began that saga before, and nothing was done now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
    /// The new saga after the act.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Box<SagaLine>>,
    /// For a dry run: steps whose outcomes the new saga would take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    takes_over: Option<Vec<String>>,
    /// For a dry run with `force`: steps whose effects would stay beside those of the new saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<Vec<String>>,
    /// For a dry run: the new saga as it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<Box<ActPreview>>,
}

impl RerunResponse {
    fn new(status: ActStatus, saga: SagaId, order: &RerunOrder) -> RerunResponse {
        RerunResponse {
            status,
            id: order.id.clone(),
            saga: saga.to_string(),
            from: order.from.clone(),
            rerun: None,
            repeated: false,
            now: None,
            takes_over: None,
            standing: None,
            leads_to: None,
        }
    }

    fn repeated(status: ActStatus, saga: SagaId, order: &RerunOrder, rerun: SagaId) -> RerunResponse {
        RerunResponse { rerun: Some(rerun.to_string()), repeated: true, ..RerunResponse::new(status, saga, order) }
    }
}

pub(in crate::api) async fn act(
    State(backend): State<ApiState>,
    Path(saga): Path<String>,
    named: Result<Query<sagas::SagaLookupQuery>, QueryRejection>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: RerunBody = request::read(RequestBodyKind::Rerun, &headers, &body)?;
    let wait = waits(asked.wait_ms)?;
    let saga = sagas::resolve(&backend, request::checked(named)?.of(&saga)).await?;
    let plan = plan(&backend, saga, asked.definition.as_deref()).await?;
    let is_dry = asked.dry_run;
    let statement = OperatorStatement::checked(&caller, asked.who.clone(), asked.reason.clone())?;
    let order = checked(asked, &statement)?;
    if is_dry {
        return Ok(Json(dry_run(&backend, saga, &order, plan).await?).into_response());
    }
    performed(&backend, &statement, saga, order, plan, wait).await
}

fn checked(asked: RerunBody, by: &OperatorStatement) -> Result<RerunOrder, ApiError> {
    let (who, reason) = (by.who.clone(), by.reason.clone());
    Ok(RerunOrder {
        id: act_id(asked.id)?,
        who,
        reason,
        from: asked.from,
        force: asked.force,
        origin: by.origin.clone(),
    })
}

/// The definition that the rerun names; `None`: the one that the ended saga ran by.
async fn plan(backend: &ApiState, saga: SagaId, text: Option<&str>) -> Result<Option<Arc<SagaPlan>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let recorded = sagas::recorded(backend, saga).await?;
    let plan = backend.operator.plan_of(&recorded.plan.definition.name, text).await;
    plan.map(Some).map_err(|unknown| ApiError::NoDefinition(unknown.to_string()))
}

async fn dry_run(
    backend: &ApiState,
    saga: SagaId,
    order: &RerunOrder,
    plan: Option<Arc<SagaPlan>>,
) -> Result<RerunResponse, ApiError> {
    let Some(found) = backend.operator.preview_rerun(saga, order, plan).await.map_err(unread)? else {
        return Err(sagas::not_in_store(backend, &saga.to_string(), None).await);
    };
    match found {
        RerunPreview::Begins { takes_over, standing, leads_to } => Ok(RerunResponse {
            takes_over: Some(takes_over),
            standing: Some(standing),
            leads_to: Some(leads_to),
            ..RerunResponse::new(ActStatus::DryRun, saga, order)
        }),
        RerunPreview::Nothing(rerun) => Ok(RerunResponse::repeated(ActStatus::NoChange, saga, order, rerun)),
        RerunPreview::Refused(reason) => Err(ApiError::RerunRefused(reason)),
    }
}

/// Only an ended saga is run again, so there is nothing to abandon.
fn unread(error: JournalError) -> ApiError {
    match error.is_transient() {
        true => error.into(),
        false => ApiError::Unreadable(shown::unreadable_at_end(&error)),
    }
}

async fn performed(
    backend: &ApiState,
    statement: &OperatorStatement,
    saga: SagaId,
    order: RerunOrder,
    plan: Option<Arc<SagaPlan>>,
    wait: Duration,
) -> Result<Response, ApiError> {
    let (operator, asked) = (backend.operator.clone(), order.clone());
    let came = to_its_end(async move { operator.rerun(saga, asked, plan).await }).await;
    let told = match came.unwrap_or(Ok(RerunOutcome::Accepted)).map_err(unread)? {
        RerunOutcome::Started(rerun) => RerunResponse {
            rerun: Some(rerun.to_string()),
            now: backend.operator.result(rerun, wait).await.map(Box::new),
            ..RerunResponse::new(ActStatus::Applied, saga, &order)
        },
        RerunOutcome::Repeated(rerun) => RerunResponse {
            now: backend.operator.result(rerun, Duration::ZERO).await.map(Box::new),
            ..RerunResponse::repeated(ActStatus::Applied, saga, &order, rerun)
        },
        RerunOutcome::Accepted => RerunResponse::new(ActStatus::Accepted, saga, &order),
        RerunOutcome::Refused(reason) => return Err(ApiError::RerunRefused(reason)),
        RerunOutcome::TooMany => return Err(ApiError::TooManyActs(rerun_sender::MOST_RERUNS)),
        RerunOutcome::UnknownSaga => return Err(sagas::not_in_store(backend, &saga.to_string(), None).await),
    };
    statement.log("rerun", saga, &order.id, told.status);
    Ok((told.status.code(), Json(told)).into_response())
}
