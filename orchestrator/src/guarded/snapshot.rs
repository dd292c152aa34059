//! How participants stand, for people.

use saga_guards::breaker;
use serde::Serialize;

/// A participant and its guards at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantSnapshot {
    /// Its name.
    pub name: String,
    /// What its breaker does.
    pub breaker: BreakerState,
    /// Calls that the breaker has counted within its window; 0 unless closed.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// Calls that were admitted and are unanswered, those that wait left out.
    pub in_flight: u32,
    /// Calls that wait for the bulkhead.
    pub waiting: u32,
}

/// What a breaker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BreakerState {
    /// Lets every call through.
    Closed,
    /// Lets none through until its time is over.
    Open,
    /// Lets probes through.
    HalfOpen,
    /// Lets none through until somebody says otherwise.
    ForcedOpen,
    /// Lets every call through until somebody says otherwise.
    ForcedClosed,
    /// Lets every call through and counts.
    MetricsOnly,
}

impl From<breaker::State> for BreakerState {
    fn from(state: breaker::State) -> BreakerState {
        match state {
            breaker::State::Closed => BreakerState::Closed,
            breaker::State::Open => BreakerState::Open,
            breaker::State::HalfOpen => BreakerState::HalfOpen,
            breaker::State::ForcedOpen => BreakerState::ForcedOpen,
            breaker::State::ForcedClosed => BreakerState::ForcedClosed,
            breaker::State::MetricsOnly => BreakerState::MetricsOnly,
        }
    }
}
