//! `GET /monitoring/performance`: how long operations took in the last minutes, and which took too long.

use axum::Json;
use saga_base::operations::{self, OperationFigures, SlowOperation};
use saga_core::time::rfc3339;
use saga_resilience::json_format::millis;
use serde_json::{Value, json};
use std::time::Duration;

pub(in crate::api) async fn performance() -> Json<Value> {
    let figures: Vec<Value> = operations::figures().iter().map(shown).collect();
    let slow: Vec<Value> = operations::slow().iter().map(slow_one).collect();
    let slow = json!({"thresholdMs": millis(operations::threshold()), "last": slow});
    Json(json!({"windowSeconds": operations::WINDOW.as_secs(), "operations": figures, "slow": slow}))
}

fn shown(one: &OperationFigures) -> Value {
    let [p50, p95, p99] = one.percentiles.map(exact_ms);
    json!({
        "operation": one.kind.as_str(), "on": &*one.subject, "count": one.count,
        "meanMs": exact_ms(one.mean), "p50Ms": p50, "p95Ms": p95, "p99Ms": p99,
    })
}

fn slow_one(one: &SlowOperation) -> Value {
    json!({
        "at": rfc3339(one.at), "operation": one.kind.as_str(), "on": &*one.subject, "tookMs": millis(one.took),
    })
}

/// Milliseconds with their fraction, because a commit may take less than one; at most 71 minutes.
fn exact_ms(span: Duration) -> f64 {
    f64::from(u32::try_from(span.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}
