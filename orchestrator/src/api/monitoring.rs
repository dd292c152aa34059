//! `GET /health/deep` and `/monitoring/…`: how the engine and what it depends on are doing, for people and probes that
//! may wait for an answer.

mod breakers;
mod deep;
mod idempotency;
mod letters;
mod performance;
mod start_profile;

use super::{ApiState, health};
use crate::start_profile::StartupProfile;
use axum::{
    Router,
    routing::{get, post},
};
use deep::DeepHealthCache;
use saga_engine::QueryHandle;
use saga_kafka::EndOffsetReader;
use std::sync::Arc;

/// What the answers below `/monitoring` are made of, beside the handles of the engine.
#[derive(Clone, Debug)]
pub(crate) struct MonitoringSources {
    deep: DeepHealthCache,
    profile: StartupProfile,
}

impl MonitoringSources {
    /// `kafka` asks the broker for `inbox`, the topic that every engine needs.
    pub(crate) fn new(
        query: &QueryHandle,
        (kafka, inbox): (EndOffsetReader, Arc<str>),
        profile: StartupProfile,
    ) -> MonitoringSources {
        MonitoringSources { deep: DeepHealthCache::new(query.clone(), kafka, inbox), profile }
    }
}

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/health/deep", get(deep::deep))
        .route("/monitoring/metrics", get(health::metrics))
        .route("/monitoring/performance", get(performance::performance))
        .route("/monitoring/dlq", get(letters::depth))
        .route("/monitoring/circuit-breakers", get(breakers::list))
        .route("/monitoring/circuit-breakers/{name}/reset", post(breakers::reset))
        .route("/monitoring/idempotency", get(idempotency::counts))
        .route("/monitoring/startup", get(start_profile::stages))
}
