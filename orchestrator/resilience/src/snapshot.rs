//! How participants stand, for people.

use crate::{
    failed_call::FailedCall, gate::GateView, health::HealthView, json_format::millis, lifecycle::LifecyclePhase,
    transport::http::EndpointStateView,
};
use saga_guards::breaker::BreakerState;
use serde::Serialize;

/// A participant and its guards at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantSnapshot {
    /// Name of the participant in participants.yaml.
    pub name: String,
    /// Where it is in its life.
    pub lifecycle: LifecyclePhase,
    /// State of the breaker: whether it lets calls through.
    pub breaker: BreakerState,
    /// While it is open or half-open by itself: why, and when it asks again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<OpenBreakerView>,
    /// How much longer the engine sends no calls because the participant asked for a pause (`Retry-After`), in
    /// milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_for_ms: Option<u64>,
    /// Calls that the breaker has counted within its window; 0 unless closed.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of them were slow.
    pub slow_calls: u32,
    /// Share of them that failed; `None` below the minimum of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// Share of them that were slow; `None` below the minimum of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_call_rate: Option<f64>,
    /// The last calls that failed, the newest first, also those that were not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_failures: Vec<FailedCall>,
    /// Results that were not counted because they belong to an earlier state of the breaker, ever.
    #[serde(skip)]
    pub stale_results: u64,
    /// Probes that did not come back in their time, ever.
    #[serde(skip)]
    pub probes_expired: u64,
    /// Calls that may be under way at once.
    pub limit: u32,
    /// Calls that were admitted and are unanswered, those that wait left out.
    pub in_flight: u32,
    /// Calls that wait in memory for the bulkhead.
    pub waiting: u32,
    /// Calls that wait in memory for the rate limit.
    pub pacing: u32,
    /// Commands of this engine that wait durably until they are called.
    #[serde(rename = "inLine")]
    pub queued: u32,
    /// Calls that the rate limit lets pass now; `None`: there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_room: Option<u32>,
    /// Further attempts that the retry budget allows now.
    pub retry_budget: u32,
    /// Share of the capacity that is used.
    pub share: f64,
    /// Participants that it needs itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// What its health checks found; `None`: it is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
    /// Where it listens; none over Kafka.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointSnapshot>,
}

/// A breaker that has opened by itself and is not closed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenBreakerView {
    /// What opened it: `failureRate`, `slowCallRate`, `consecutiveFailures`, `probe`.
    pub by: &'static str,
    /// Since when it is in its state, in milliseconds from now.
    pub ago_ms: u64,
    /// When it lets the next probe through, in milliseconds from now; `None`: it does now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks_in_ms: Option<u64>,
    /// How often it has opened since it was closed: once by what is counted here, and then whenever a probe failed.
    pub in_a_row: u32,
    /// Calls that it had counted when it opened.
    pub calls: u32,
    /// How many of them had failed.
    pub failures: u32,
    /// How many of them were slow.
    pub slow_calls: u32,
    /// Failures since the last success, then.
    pub failures_in_a_row: u32,
    /// The last calls that had failed then, the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_failures: Vec<FailedCall>,
}

impl OpenBreakerView {
    fn of(view: &GateView) -> Option<OpenBreakerView> {
        let it = &view.breaker;
        let tripped = it.tripped.filter(|_| matches!(it.state, BreakerState::Open | BreakerState::HalfOpen))?;
        Some(OpenBreakerView {
            by: tripped.by.as_str(),
            ago_ms: millis(view.now.since(it.since)),
            asks_in_ms: it.open_for.map(millis),
            in_a_row: it.opened_in_a_row,
            calls: tripped.calls,
            failures: tripped.failures,
            slow_calls: tripped.slow,
            failures_in_a_row: tripped.failures_in_a_row,
            last_failures: view.failures_before_opening.clone(),
        })
    }
}

/// One of a participant's endpoints at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSnapshot {
    /// What calls say of it.
    #[serde(flatten)]
    pub state: EndpointStateView,
    /// What its health checks found; `None`: it is not checked, or checks are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthView>,
}

impl ParticipantSnapshot {
    /// What its gate tells.
    pub(super) fn of(name: &str, view: &GateView) -> ParticipantSnapshot {
        ParticipantSnapshot {
            name: name.to_owned(),
            lifecycle: LifecyclePhase::Registered,
            breaker: view.breaker.state,
            opened: OpenBreakerView::of(view),
            paused_for_ms: view.breaker.asked_for.map(millis),
            calls: view.breaker.calls,
            failures: view.breaker.failures,
            slow_calls: view.breaker.slow,
            failure_rate: view.breaker.failure_rate,
            slow_call_rate: view.breaker.slow_call_rate,
            last_failures: view.last_failures.clone(),
            stale_results: view.breaker.stale_results,
            probes_expired: view.breaker.probes_expired,
            limit: view.limit.get(),
            in_flight: view.permits.saturating_sub(view.waiting + view.rate_limit_waiting),
            waiting: view.waiting,
            pacing: view.rate_limit_waiting,
            queued: view.queued,
            rate_room: view.rate_limit_capacity,
            retry_budget: view.budget.balance,
            share: view.share,
            depends_on: Vec::new(),
            health: None,
            endpoints: Vec::new(),
        }
    }
}
