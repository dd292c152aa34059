use super::{
    BreakerCapacity, BreakerMode, BreakerPhase, BreakerSnapshot, BreakerState, CircuitBreaker, FORCED_OPEN_DELAY,
    SHED_DELAY, SlowStartRamp,
};
use crate::MonotonicTime;
use std::time::Duration;

impl CircuitBreaker {
    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match (self.mode, self.phase) {
            (BreakerMode::ForcedOpen, _) => BreakerState::ForcedOpen,
            (BreakerMode::ForcedClosed, _) => BreakerState::ForcedClosed,
            (BreakerMode::MetricsOnly, _) => BreakerState::MetricsOnly,
            (BreakerMode::Automatic, BreakerPhase::Closed { .. }) => BreakerState::Closed,
            (BreakerMode::Automatic, BreakerPhase::Open { .. }) => BreakerState::Open,
            (BreakerMode::Automatic, BreakerPhase::HalfOpen { .. }) => BreakerState::HalfOpen,
        }
    }

    /// How many calls it would admit now, without admitting any. Looking changes nothing.
    pub fn room(&mut self, now: MonotonicTime) -> BreakerCapacity {
        let now = now.max(self.since);
        match self.mode {
            BreakerMode::ForcedOpen => return BreakerCapacity::none_for(FORCED_OPEN_DELAY),
            BreakerMode::ForcedClosed | BreakerMode::MetricsOnly => return BreakerCapacity::UNLIMITED,
            BreakerMode::Automatic => {}
        }
        if let Some(pause) = self.pause(now) {
            return BreakerCapacity::none_for(pause);
        }
        match self.phase {
            BreakerPhase::Open { .. } => BreakerCapacity { calls: self.probes_wanted(), check_again_in: None },
            BreakerPhase::HalfOpen { .. } => self.slots_free(self.probes_wanted(), now),
            BreakerPhase::Closed { ramp: Some(ramp), .. } if !ramp.is_over(now) => self.room_on(ramp, now),
            BreakerPhase::Closed { .. } => self.room_before_shedding(now),
        }
    }

    /// The breaker's state, counts and rates at `now`, for metrics and for people.
    pub fn snapshot(&mut self, now: MonotonicTime) -> BreakerSnapshot {
        let counts = self.window.counts(now);
        let enough = counts.calls >= self.config.settings().minimum_calls;
        let rate = |part: u32| enough.then(|| f64::from(part) / f64::from(counts.calls));
        let state = self.state();
        BreakerSnapshot {
            state,
            since: self.since,
            calls: counts.calls,
            failures: counts.failures,
            slow: counts.slow,
            failure_rate: rate(counts.failures),
            slow_call_rate: rate(counts.slow),
            failures_in_a_row: self.failures_in_a_row,
            probes_out: if state == BreakerState::HalfOpen { self.slots.out(now) } else { 0 },
            ramp: self.ramp_now(now),
            open_for: self.open_left(now),
            asked_for: (now < self.asked_until).then(|| self.asked_until.since(now)),
            opened_in_a_row: self.opened_in_a_row,
            tripped: self.tripped,
            stale_results: self.stale_results,
            probes_expired: self.slots.expired(),
        }
    }

    /// How long it refuses everyone; `None` if it does not.
    pub(super) fn pause(&self, now: MonotonicTime) -> Option<Duration> {
        let until = match self.phase {
            BreakerPhase::Open { until, .. } => until.max(self.asked_until),
            BreakerPhase::Closed { .. } | BreakerPhase::HalfOpen { .. } => self.asked_until,
        };
        (now < until).then(|| until.since(now))
    }

    fn open_left(&self, now: MonotonicTime) -> Option<Duration> {
        match (self.mode, self.phase) {
            (BreakerMode::Automatic, BreakerPhase::Open { until, .. }) => Some(until.since(now)),
            (BreakerMode::Automatic, BreakerPhase::Closed { .. } | BreakerPhase::HalfOpen { .. }) => None,
            (BreakerMode::ForcedOpen | BreakerMode::ForcedClosed | BreakerMode::MetricsOnly, _) => None,
        }
    }

    fn ramp_now(&self, now: MonotonicTime) -> Option<u32> {
        match (self.mode, self.phase) {
            (BreakerMode::Automatic, BreakerPhase::Closed { ramp: Some(ramp), .. }) => {
                (!ramp.is_over(now)).then(|| ramp.at_once())
            }
            (
                BreakerMode::Automatic,
                BreakerPhase::Closed { ramp: None, .. } | BreakerPhase::Open { .. } | BreakerPhase::HalfOpen { .. },
            ) => None,
            (BreakerMode::ForcedOpen | BreakerMode::ForcedClosed | BreakerMode::MetricsOnly, _) => None,
        }
    }

    fn slots_free(&self, most: u32, now: MonotonicTime) -> BreakerCapacity {
        BreakerCapacity { calls: most.saturating_sub(self.slots.out(now)), check_again_in: self.slots.next_free(now) }
    }

    fn room_on(&self, ramp: SlowStartRamp, now: MonotonicTime) -> BreakerCapacity {
        let free = self.slots_free(ramp.at_once(), now);
        let over = ramp.left(now);
        BreakerCapacity { check_again_in: Some(free.check_again_in.map_or(over, |next| next.min(over))), ..free }
    }

    fn room_before_shedding(&mut self, now: MonotonicTime) -> BreakerCapacity {
        let settings = self.config.settings();
        let (Some(shed), Some(above)) = (&mut self.shed, settings.shed_above) else {
            return BreakerCapacity::UNLIMITED;
        };
        match shed.room(above, settings.minimum_calls, now) {
            Some(calls) => BreakerCapacity { calls, check_again_in: Some(SHED_DELAY) },
            None => BreakerCapacity::UNLIMITED,
        }
    }
}
