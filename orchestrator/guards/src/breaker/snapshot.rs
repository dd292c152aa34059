use super::TripReason;
use crate::MonotonicTime;
use serde::Serialize;
use std::time::Duration;

/// Whether a breaker decides by itself, and if not, what it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BreakerMode {
    /// It decides by what it counts.
    #[default]
    Automatic,
    /// An operator decides: it admits no call.
    ForcedOpen,
    /// An operator decides: it admits all calls and counts nothing.
    ForcedClosed,
    /// It admits all calls, counts them, and says when it would have opened.
    MetricsOnly,
}

/// What a breaker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BreakerState {
    /// It admits all calls, or as many as its ramp allows.
    Closed,
    /// It admits no call until its time is over.
    Open,
    /// It admits probes only.
    HalfOpen,
    /// It admits no call until an operator ends that.
    ForcedOpen,
    /// It admits all calls until an operator ends that.
    ForcedClosed,
    /// It admits all calls and counts them.
    MetricsOnly,
}

impl BreakerState {
    /// Every state, in the order of this enum.
    pub const ALL: [BreakerState; 6] = [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
        BreakerState::ForcedOpen,
        BreakerState::ForcedClosed,
        BreakerState::MetricsOnly,
    ];

    /// How it is shown to people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
            BreakerState::ForcedOpen => "forced open",
            BreakerState::ForcedClosed => "forced closed",
            BreakerState::MetricsOnly => "counts only",
        }
    }
}

/// A breaker as it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSnapshot {
    /// What it is doing. An open breaker whose time is over is shown open until a call asks it.
    pub state: BreakerState,
    /// When that state began.
    pub since: MonotonicTime,
    /// Calls in the window; 0 unless closed or only counting.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of them were slow.
    pub slow: u32,
    /// Share of the window's calls that failed; `None` below the minimum of calls.
    pub failure_rate: Option<f64>,
    /// Share of the window's calls that were slow; `None` below the minimum of calls.
    pub slow_call_rate: Option<f64>,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// Probes that are in flight; 0 unless half-open.
    pub probes_out: u32,
    /// How many calls the ramp lets out at once; `None` unless it is under way.
    pub ramp: Option<u32>,
    /// How long an open breaker goes on refusing.
    pub open_for: Option<Duration>,
    /// How long the pause lasts that the participant asked for.
    pub asked_for: Option<Duration>,
    /// How often it opened since it was last closed.
    pub opened_in_a_row: u32,
    /// Why it opened, until it is closed again.
    pub tripped: Option<TripDetails>,
    /// Results that were not counted because they belong to an earlier state, ever.
    pub stale_results: u64,
    /// Slots, of probes and of the ramp, whose holders did not come back in their time, ever.
    pub probes_expired: u64,
}

/// What opened a breaker, as it was counted then. A probe that fails says that it is still so, and not why it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripDetails {
    /// The rule that opened the breaker.
    pub by: TripReason,
    /// Calls in the window.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of them were slow.
    pub slow: u32,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
}

/// How many calls a breaker would admit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerCapacity {
    /// How many calls it would admit; [`u32::MAX`]: any number.
    pub calls: u32,
    /// When there may be more by time alone, from now, more than zero; `None`: time alone makes no more.
    pub check_again_in: Option<Duration>,
}

impl BreakerCapacity {
    /// Any number of calls.
    pub(super) const UNLIMITED: BreakerCapacity = BreakerCapacity { calls: u32::MAX, check_again_in: None };

    pub(super) fn none_for(rest: Duration) -> BreakerCapacity {
        BreakerCapacity { calls: 0, check_again_in: Some(rest) }
    }
}
