//! Whether a participant is healthy according to its own health checks: they are counted, and their trend is kept.
//!
//! One failed check proves little, so failures are counted in a row, and so are successes on the way back; a
//! participant without a result so far is taken for healthy.

mod config;
mod history;
#[cfg(test)]
mod tests;

pub use config::HealthTrackerConfig;
pub use history::{HealthCheckRecord, HealthSummary, HealthTrend};

use crate::MonotonicTime;
use history::HealthHistory;
use std::time::Duration;

/// What is known of one participant, or of one of its endpoints.
#[derive(Debug)]
pub struct HealthTracker {
    config: HealthTrackerConfig,
    state: HealthState,
    /// Checks in a row that ended as the last one.
    streak: u32,
    last_at: Option<MonotonicTime>,
    history: HealthHistory,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckOutcome {
    /// The check was answered in time, and the answer counts as healthy.
    Passed {
        /// The time from the request to the answer.
        took: Duration,
    },
    /// The answer said otherwise, or did not come in time.
    Failed,
}

/// What the checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthState {
    /// Too few checks so far: taken for healthy.
    #[default]
    Unknown,
    /// The participant is healthy: calls may be made.
    Healthy,
    /// The participant is unhealthy: while the answer holds, calls wait.
    Unhealthy,
}

/// What followed from a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthTransition {
    /// The state is the same as before the check.
    Kept,
    /// The state changed to this one.
    Became(HealthState),
}

/// What is known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthSnapshot {
    /// What the checks say.
    pub state: HealthState,
    /// Checks in a row that ended as the last one.
    pub streak: u32,
    /// Since the last check; `None`: there was none.
    pub checked_ago: Option<Duration>,
    /// Whether the last answer still holds.
    pub is_fresh: bool,
    /// Counts of all checks that are remembered.
    pub overall: HealthSummary,
    /// Counts of the last eight checks.
    pub recent: HealthSummary,
    /// Whether the last checks are better or worse than those before.
    pub trend: HealthTrend,
    /// The checks that are remembered, the latest first.
    pub history: Vec<HealthCheckRecord>,
}

impl HealthTracker {
    /// A tracker without a check, whose state is [`HealthState::Unknown`].
    #[must_use]
    pub fn new(config: HealthTrackerConfig) -> HealthTracker {
        HealthTracker {
            config,
            state: HealthState::Unknown,
            streak: 0,
            last_at: None,
            history: HealthHistory::default(),
        }
    }

    /// Other settings; what is known stays.
    pub fn configure(&mut self, config: HealthTrackerConfig) {
        self.config = config;
    }

    /// A check ended at `now`. The first success suffices while the state is [`HealthState::Unknown`].
    pub fn checked(&mut self, outcome: HealthCheckOutcome, now: MonotonicTime) -> HealthTransition {
        let passed = matches!(outcome, HealthCheckOutcome::Passed { .. });
        let goes_on = self.history.last_passed() == Some(passed);
        self.streak = if goes_on { self.streak.saturating_add(1) } else { 1 };
        self.last_at = Some(now);
        self.history.add(outcome, now);
        let next = self.next(passed);
        if next == self.state {
            return HealthTransition::Kept;
        }
        self.state = next;
        HealthTransition::Became(next)
    }

    /// What the checks say.
    #[must_use]
    pub fn state(&self) -> HealthState {
        self.state
    }

    /// Whether calls may go to the participant: unless it is unhealthy.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self.state {
            HealthState::Unknown | HealthState::Healthy => true,
            HealthState::Unhealthy => false,
        }
    }

    /// Whether the last answer still holds: for one interval.
    #[must_use]
    pub fn is_fresh(&self, now: MonotonicTime) -> bool {
        self.last_at.is_some_and(|last| now.since(last) < self.config.interval)
    }

    /// Whether calls are to wait: for how long at least, until a check may have said something else. An old answer
    /// refuses no call: without checks nothing is known.
    #[must_use]
    pub fn refuses(&self, now: MonotonicTime) -> Option<Duration> {
        let due = self.last_at?.plus(self.config.interval);
        let answered = due.plus(self.config.timeout);
        match self.state {
            HealthState::Unknown | HealthState::Healthy => None,
            HealthState::Unhealthy if now < due => Some(due.since(now)),
            HealthState::Unhealthy if now < answered => Some(answered.since(now)),
            HealthState::Unhealthy => None,
        }
    }

    /// What is known at this moment.
    #[must_use]
    pub fn snapshot(&self, now: MonotonicTime) -> HealthSnapshot {
        HealthSnapshot {
            state: self.state,
            streak: self.streak,
            checked_ago: self.last_at.map(|last| now.since(last)),
            is_fresh: self.is_fresh(now),
            overall: self.history.overall(),
            recent: self.history.recent(),
            trend: self.history.trend(),
            history: self.history.list(now),
        }
    }

    fn next(&self, passed: bool) -> HealthState {
        match (self.state, passed) {
            (HealthState::Unknown | HealthState::Healthy, true) => HealthState::Healthy,
            (HealthState::Unhealthy, true) if self.streak >= self.config.healthy_after.get() => HealthState::Healthy,
            (HealthState::Unknown | HealthState::Healthy, false)
                if self.streak >= self.config.unhealthy_after.get() =>
            {
                HealthState::Unhealthy
            }
            (state @ (HealthState::Unknown | HealthState::Healthy | HealthState::Unhealthy), true | false) => state,
        }
    }
}
