//! `GET /monitoring/dlq`: how many dead letters wait for a decision, and for how long.

use crate::api::{ApiState, errors::ApiError};
use axum::{Json, extract::State};
use saga_engine::letters::LetterDesk;
use serde_json::{Value, json};

pub(in crate::api) async fn depth(State(backend): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let counted = backend.census.now().await;
    let counted = counted.ok_or_else(|| ApiError::StoreAway("dead letters could not be counted yet".to_owned()))?;
    let open = counted.letters;
    let age_ms = open.oldest_open_ms.map(|since| (backend.query.now().0 - since).max(0));
    let table = backend.letters.as_ref().and_then(LetterDesk::standing);
    let table = table.map(|table| json!({"behind": table.behind, "problem": table.problem}));
    let topics = backend.letters.as_ref().map(LetterDesk::topics).unwrap_or_default();
    let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    Ok(Json(json!({"open": open.open, "oldestOpenMs": age_ms, "topics": topics, "table": table})))
}
