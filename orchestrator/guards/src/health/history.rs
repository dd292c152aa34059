//! Checks that are remembered, and where they lead.

use super::HealthCheckOutcome;
use crate::MonotonicTime;
use std::{collections::VecDeque, time::Duration};

/// Checks that are remembered: half an hour of them at the usual interval.
pub(crate) const HISTORY: usize = 64;

/// Checks that count as recent: four minutes of them at the usual interval.
pub(crate) const RECENT: usize = 8;

/// The recent share of passed checks differs from that before by at least this much where there is a trend: two of
/// eight, because one check may fail for any reason.
const DIFFERENCE: f64 = 0.25;

#[derive(Debug, Default)]
pub(super) struct HealthHistory(VecDeque<(MonotonicTime, HealthCheckOutcome)>);

/// One health check that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheckRecord {
    /// How long ago it ended.
    pub ago: Duration,
    /// Whether the check passed, and how long that took.
    pub outcome: HealthCheckOutcome,
}

/// Counts of the checks within one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HealthSummary {
    /// How many checks ended in the span.
    pub checks: usize,
    /// How many of the checks passed.
    pub passed: usize,
    /// How long those took on average; `None`: none passed.
    pub latency: Option<Duration>,
}

/// Where the checks lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthTrend {
    /// More pass than before.
    Improving,
    /// As before, or not enough checks to say.
    #[default]
    Steady,
    /// Fewer pass than before.
    Worsening,
}

impl HealthSummary {
    /// The share that passed, 0 to 1; `None`: there was no check.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "at most 64 checks")]
        (self.checks > 0).then(|| self.passed as f64 / self.checks as f64)
    }

    fn of(outcomes: impl Iterator<Item = HealthCheckOutcome>) -> HealthSummary {
        let (mut checks, mut passed, mut total) = (0, 0u32, Duration::ZERO);
        for outcome in outcomes {
            checks += 1;
            if let HealthCheckOutcome::Passed { took } = outcome {
                passed += 1;
                total = total.saturating_add(took);
            }
        }
        HealthSummary { checks, passed: passed as usize, latency: total.checked_div(passed) }
    }
}

impl HealthHistory {
    pub(super) fn add(&mut self, outcome: HealthCheckOutcome, now: MonotonicTime) {
        if self.0.len() == HISTORY {
            self.0.pop_back();
        }
        self.0.push_front((now, outcome));
    }

    pub(super) fn last_passed(&self) -> Option<bool> {
        self.0.front().map(|(_, outcome)| matches!(outcome, HealthCheckOutcome::Passed { .. }))
    }

    pub(super) fn overall(&self) -> HealthSummary {
        HealthSummary::of(self.outcomes())
    }

    pub(super) fn recent(&self) -> HealthSummary {
        HealthSummary::of(self.outcomes().take(RECENT))
    }

    /// Steady until there are as many earlier checks as recent ones.
    pub(super) fn trend(&self) -> HealthTrend {
        let before = HealthSummary::of(self.outcomes().skip(RECENT));
        let (Some(recent), Some(earlier)) = (self.recent().share(), before.share()) else { return HealthTrend::Steady };
        let difference = recent - earlier;
        match () {
            () if before.checks < RECENT => HealthTrend::Steady,
            () if difference >= DIFFERENCE => HealthTrend::Improving,
            () if difference <= -DIFFERENCE => HealthTrend::Worsening,
            () => HealthTrend::Steady,
        }
    }

    pub(super) fn list(&self, now: MonotonicTime) -> Vec<HealthCheckRecord> {
        self.0.iter().map(|(at, outcome)| HealthCheckRecord { ago: now.since(*at), outcome: *outcome }).collect()
    }

    fn outcomes(&self) -> impl Iterator<Item = HealthCheckOutcome> + '_ {
        self.0.iter().map(|(_, outcome)| *outcome)
    }
}
