//! `GET /monitoring/idempotency`: what this process started, and what it recognised as come again.

use axum::Json;
use saga_engine::idempotency::{self, IdempotencyHit};
use serde_json::{Map, Value, json};

pub(in crate::api) async fn counts() -> Json<Value> {
    let hits = IdempotencyHit::ALL.map(|what| (what.as_str().to_owned(), Value::from(idempotency::hits(what))));
    Json(json!({"started": idempotency::starts(), "recognised": Map::from_iter(hits)}))
}
