//! `POST /api/guards/{participant}/{open|close|reset|metrics-only|set}`.

use super::{
    super::{
        ApiState,
        auth::ApiCaller,
        errors::{ApiError, RequestBodyKind},
        request,
    },
    ActStatus, OperatorStatement, to_its_end,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use saga_core::{
    definition,
    time::{Timestamp, rfc3339},
};
use saga_engine::overrides::{ActiveOverride, OverrideError};
use saga_resilience::overrides::{GuardAction, ManualLimits, ManualRate, OverrideRequest};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardOverrideBody {
    id: Option<Uuid>,
    who: Option<String>,
    reason: String,
    share: Option<f64>,
    bulkhead: Option<NonZeroU32>,
    rate: Option<ManualRate>,
    /// Of `open`: how long, like `15m`.
    lasts: Option<String>,
}

/// What became of an act on guards.
#[derive(Serialize)]
struct GuardActResponse {
    status: ActStatus,
    id: Uuid,
    /// The act's place in the record of all acts on guards: 1, 2, 3, …
    number: i64,
    participant: String,
    /// What operators have set that is in effect after the act; `null`: participants.yaml alone counts.
    #[serde(rename = "override")]
    in_force: Option<ActiveOverride>,
}

pub(in crate::api) async fn act(
    State(backend): State<ApiState>,
    Path((participant, action)): Path<(String, String)>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: GuardOverrideBody = request::read(RequestBodyKind::GuardAct, &headers, &body)?;
    let id = asked.id.unwrap_or_else(Uuid::new_v4);
    let action = action_of(&action, ManualLimits { share: asked.share, bulkhead: asked.bulkhead, rate: asked.rate })?;
    let until = asked.lasts.as_deref().map(|lasts| until(lasts, &action, backend.query.now())).transpose()?;
    let statement = OperatorStatement::checked(&caller, asked.who, asked.reason)?;
    let told = recorded(&backend, id, participant, (action.clone(), until), statement.clone()).await?;
    statement.log(action.as_str(), &told.participant, id, told.status);
    Ok((told.status.code(), Json(told)).into_response())
}

async fn recorded(
    backend: &ApiState,
    id: Uuid,
    participant: String,
    (action, until): (GuardAction, Option<String>),
    OperatorStatement { who, reason, origin, .. }: OperatorStatement,
) -> Result<GuardActResponse, ApiError> {
    let act = OverrideRequest { participant: participant.clone(), action, who, reason, until, origin };
    let operator = backend.operator.clone();
    let recorded = to_its_end(async move { operator.act_on_guards(id, &act).await }).await;
    let recorded = recorded.map_err(|error| ApiError::StoreAway(format!("the act could not be recorded: {error}")))?;
    let (number, is_applied) = recorded.map_err(refused)?;
    let status = if is_applied { ActStatus::Applied } else { ActStatus::Accepted };
    let in_force = backend.query.override_in_force(&participant);
    Ok(GuardActResponse { status, id, number, participant, in_force })
}

/// When a pause that lasts so long ends.
fn until(lasts: &str, action: &GuardAction, now: Timestamp) -> Result<String, ApiError> {
    if *action != GuardAction::Open {
        return Err(ApiError::BadValue(format!("`lasts` belongs to `open`, not to `{}`", action.as_str())));
    }
    let span = definition::span(lasts).map_err(|wrong| ApiError::BadValue(format!("`lasts`: {wrong}")))?;
    Ok(rfc3339(now.plus(span)))
}

fn action_of(word: &str, given: ManualLimits) -> Result<GuardAction, ApiError> {
    let action = match word {
        "open" => GuardAction::Open,
        "close" => GuardAction::Close,
        "reset" => GuardAction::Reset,
        "metrics-only" => GuardAction::MetricsOnly,
        "set" => return Ok(GuardAction::Set(given)),
        other => {
            return Err(ApiError::NoRoute(format!("…/{other}: expected open, close, reset, metrics-only or set")));
        }
    };
    if given == ManualLimits::default() {
        return Ok(action);
    }
    Err(ApiError::BadValue(format!("`share`, `bulkhead` and `rate` belong to `set`, not to `{word}`")))
}

fn refused(refused: OverrideError) -> ApiError {
    match refused {
        OverrideError::NoParticipant { name, hint } => ApiError::NoParticipant { name, hint },
        OverrideError::Malformed(message) => ApiError::BadValue(message),
        OverrideError::Store(error) => error.into(),
    }
}
