//! `GET /monitoring/startup`: how long each stage of the start took, and what to do about a slow one.

use crate::{
    api::ApiState,
    start_profile::{StageRecord, StartupProfile},
};
use axum::{Json, extract::State};
use saga_resilience::json_format::millis;
use serde_json::{Value, json};

pub(in crate::api) async fn stages(State(backend): State<ApiState>) -> Json<Value> {
    Json(shown(&backend.monitoring.profile))
}

fn shown(profile: &StartupProfile) -> Value {
    let records = profile.records();
    let total = records.iter().map(|record| record.took).sum();
    json!({"tookMs": millis(total), "stages": records.iter().map(stage).collect::<Vec<Value>>()})
}

fn stage(record: &StageRecord) -> Value {
    let mut shown = json!({
        "stage": record.stage.as_str(), "tookMs": millis(record.took), "slow": record.is_slow(),
    });
    if record.is_slow() {
        shown["advice"] = record.stage.advice().into();
    }
    shown
}
