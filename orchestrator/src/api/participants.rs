//! `POST /api/participants/reload`: the engine reads participants.yaml again now.

use super::{
    ApiState,
    acts::{OperatorStatement, ShortActBody},
    auth::ApiCaller,
    errors::{ApiError, RequestBodyKind},
    request,
};
use crate::source_files::{lookup, read_source};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap};
use saga_engine::act_log::ActedPart;
use saga_engine::reload::{ReloadError, ReloadOutcome};
use serde_json::{Value, json};

pub(super) async fn reload(
    State(backend): State<ApiState>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    request::require_json(RequestBodyKind::Reload, &headers)?;
    let ShortActBody { who, reason } = match body.is_empty() {
        true => ShortActBody::default(),
        false => request::read(RequestBodyKind::Reload, &headers, &body)?,
    };
    let handle = backend.operator.reload().clone();
    let Some(path) = handle.path() else {
        return Err(ApiError::NotReloaded("this engine reads no participants.yaml file".into()));
    };
    // What became of the file is on record by the engine's own entry.
    let on = (ActedPart::Participants, "participants.yaml");
    let statement = OperatorStatement::short(&caller, who, reason)?;
    statement.record(&backend.operator, "ask for reload of participants", on, (Value::Null, Value::Null)).await?;
    let file = match read_source(path) {
        Ok(file) => file,
        Err(error) => {
            let why = format!("{error:#}");
            handle.report_unreadable(&why).await;
            return Err(ApiError::NotReloaded(why));
        }
    };
    // A task of its own: a client that closes its connection leaves nothing half done.
    let reloading = tokio::spawn(async move { handle.reload(&file, &lookup).await });
    let reloaded = reloading.await.map_err(|error| ApiError::StoreAway(format!("the reload did not end: {error}")))?;
    match reloaded {
        Ok(ReloadOutcome::Changed { participants }) => {
            Ok(Json(json!({"status": "reloaded", "participants": participants})))
        }
        Ok(ReloadOutcome::Unchanged) => Ok(Json(json!({"status": "unchanged"}))),
        Err(ReloadError::Store(error)) => Err(error.into()),
        Err(refused @ (ReloadError::Findings { .. } | ReloadError::Guards(_))) => {
            Err(ApiError::NotReloaded(refused.to_string()))
        }
    }
}
