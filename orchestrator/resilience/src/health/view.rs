//! How health checks went, for people.

use crate::json_format::millis;
use saga_guards::health::{HealthCheckOutcome, HealthCheckRecord, HealthSnapshot, HealthState, HealthTrend};
use serde::Serialize;

/// The checks of one participant, or of one of its endpoints, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthView {
    /// `unknown`, `healthy` or `unhealthy`.
    pub state: &'static str,
    /// Since the last check; absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_ago_ms: Option<u64>,
    /// Whether the last answer still holds.
    pub fresh: bool,
    /// Share of the checks that passed, 0 to 1; absent: there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_share: Option<f64>,
    /// The same of the recent ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_passed_share: Option<f64>,
    /// `improving`, `steady` or `worsening`.
    pub trend: &'static str,
    /// How long those that passed took on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The same of the recent ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_latency_ms: Option<u64>,
    /// The checks that are remembered, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HealthCheckView>,
}

/// One check that has ended, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckView {
    /// How long ago it ended.
    pub ago_ms: u64,
    /// Whether the check found the participant or endpoint healthy.
    pub passed: bool,
    /// How long it took, if it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

impl From<&HealthSnapshot> for HealthView {
    fn from(snapshot: &HealthSnapshot) -> HealthView {
        let history = snapshot.history.iter().map(HealthCheckView::from).collect();
        HealthView { history, ..HealthView::without_history(snapshot) }
    }
}

impl HealthView {
    /// For lists: how it stands, without the single checks.
    #[must_use]
    pub(crate) fn without_history(snapshot: &HealthSnapshot) -> HealthView {
        HealthView {
            state: match snapshot.state {
                HealthState::Unknown => "unknown",
                HealthState::Healthy => "healthy",
                HealthState::Unhealthy => "unhealthy",
            },
            checked_ago_ms: snapshot.checked_ago.map(millis),
            fresh: snapshot.is_fresh,
            passed_share: snapshot.overall.share(),
            recent_passed_share: snapshot.recent.share(),
            trend: match snapshot.trend {
                HealthTrend::Improving => "improving",
                HealthTrend::Steady => "steady",
                HealthTrend::Worsening => "worsening",
            },
            latency_ms: snapshot.overall.latency.map(millis),
            recent_latency_ms: snapshot.recent.latency.map(millis),
            history: Vec::new(),
        }
    }
}

impl From<&HealthCheckRecord> for HealthCheckView {
    fn from(check: &HealthCheckRecord) -> HealthCheckView {
        let took_ms = match check.outcome {
            HealthCheckOutcome::Passed { took } => Some(millis(took)),
            HealthCheckOutcome::Failed => None,
        };
        HealthCheckView { ago_ms: millis(check.ago), passed: took_ms.is_some(), took_ms }
    }
}
