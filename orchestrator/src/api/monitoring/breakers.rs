//! `/monitoring/circuit-breakers…`: the breakers alone; `/api/guards` has all guards and all acts.

use crate::api::{ApiState, acts, auth::ApiCaller, errors::ApiError};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use serde_json::{Value, json};

pub(in crate::api) async fn list(State(backend): State<ApiState>) -> Json<Value> {
    let shown = |it: saga_resilience::snapshot::ParticipantSnapshot| {
        json!({
            "name": it.name, "state": it.breaker, "calls": it.calls, "failures": it.failures,
            "slowCalls": it.slow_calls, "failureRate": it.failure_rate, "slowCallRate": it.slow_call_rate,
            "opened": it.opened, "override": backend.query.override_in_force(&it.name),
        })
    };
    let breakers: Vec<Value> = backend.query.guards().into_iter().map(shown).collect();
    Json(json!({"circuitBreakers": breakers}))
}

/// The act `reset` on the guards of a participant, under another address.
pub(in crate::api) async fn reset(
    backend: State<ApiState>,
    Path(name): Path<String>,
    caller: ApiCaller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    acts::act_on_guard(backend, Path((name, "reset".to_owned())), caller, headers, body).await
}
