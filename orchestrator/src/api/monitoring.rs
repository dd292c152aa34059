//! `GET /health/deep` and `/monitoring/…`: how the engine and what it depends on are doing, for people and probes that
//! may wait for an answer.

pub(super) mod breakers;
pub(super) mod deep;
pub(super) mod idempotency;
pub(super) mod letters;
pub(super) mod performance;
pub(super) mod start_profile;

use crate::start_profile::StartupProfile;
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
