//! `POST /api/participants/reload`: the engine reads participants.yaml again now.

use super::{
    ApiState,
    errors::{ApiError, RequestBodyKind},
    request,
};
use crate::source_files::{lookup, read_source};
use axum::{Json, extract::State, http::HeaderMap};
use saga_engine::reload::{ReloadError, ReloadOutcome};
use serde_json::{Value, json};

pub(super) async fn reload(State(backend): State<ApiState>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    request::require_json(RequestBodyKind::Reload, &headers)?;
    let handle = backend.operator.reload().clone();
    let Some(path) = handle.path() else {
        return Err(ApiError::NotReloaded("this engine reads no participants.yaml file".into()));
    };
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
