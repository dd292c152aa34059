use super::{Breaker, FORCED_REST, Mode, Phase, Ramp, Room, SHED_REST, Snapshot, State};
use crate::Monotonic;
use std::time::Duration;

impl Breaker {
    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.mode, self.phase) {
            (Mode::ForcedOpen, _) => State::ForcedOpen,
            (Mode::ForcedClosed, _) => State::ForcedClosed,
            (Mode::MetricsOnly, _) => State::MetricsOnly,
            (Mode::Automatic, Phase::Closed { .. }) => State::Closed,
            (Mode::Automatic, Phase::Open { .. }) => State::Open,
            (Mode::Automatic, Phase::HalfOpen { .. }) => State::HalfOpen,
        }
    }

    /// How many calls it would admit now, without admitting any. Looking changes nothing.
    pub fn room(&mut self, now: Monotonic) -> Room {
        let now = now.max(self.since);
        match self.mode {
            Mode::ForcedOpen => return Room::none_for(FORCED_REST),
            Mode::ForcedClosed | Mode::MetricsOnly => return Room::UNLIMITED,
            Mode::Automatic => {}
        }
        if let Some(pause) = self.pause(now) {
            return Room::none_for(pause);
        }
        match self.phase {
            Phase::Open { .. } => Room { calls: self.probes_wanted(), look_again: None },
            Phase::HalfOpen { .. } => self.slots_free(self.probes_wanted(), now),
            Phase::Closed { ramp: Some(ramp), .. } if !ramp.is_over(now) => self.room_on(ramp, now),
            Phase::Closed { .. } => self.room_before_shedding(now),
        }
    }

    /// How it stands.
    pub fn snapshot(&mut self, now: Monotonic) -> Snapshot {
        let counts = self.window.counts(now);
        let enough = counts.calls >= self.config.settings().minimum_calls;
        let rate = |part: u32| enough.then(|| f64::from(part) / f64::from(counts.calls));
        let state = self.state();
        Snapshot {
            state,
            since: self.since,
            calls: counts.calls,
            failures: counts.failures,
            slow: counts.slow,
            failure_rate: rate(counts.failures),
            slow_call_rate: rate(counts.slow),
            failures_in_a_row: self.failures_in_a_row,
            probes_out: if state == State::HalfOpen { self.slots.out(now) } else { 0 },
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
    pub(super) fn pause(&self, now: Monotonic) -> Option<Duration> {
        let until = match self.phase {
            Phase::Open { until, .. } => until.max(self.asked_until),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => self.asked_until,
        };
        (now < until).then(|| until.since(now))
    }

    fn open_left(&self, now: Monotonic) -> Option<Duration> {
        match (self.mode, self.phase) {
            (Mode::Automatic, Phase::Open { until, .. }) => Some(until.since(now)),
            (Mode::Automatic, Phase::Closed { .. } | Phase::HalfOpen { .. }) => None,
            (Mode::ForcedOpen | Mode::ForcedClosed | Mode::MetricsOnly, _) => None,
        }
    }

    fn ramp_now(&self, now: Monotonic) -> Option<u32> {
        match (self.mode, self.phase) {
            (Mode::Automatic, Phase::Closed { ramp: Some(ramp), .. }) => (!ramp.is_over(now)).then(|| ramp.at_once()),
            (Mode::Automatic, Phase::Closed { ramp: None, .. } | Phase::Open { .. } | Phase::HalfOpen { .. }) => None,
            (Mode::ForcedOpen | Mode::ForcedClosed | Mode::MetricsOnly, _) => None,
        }
    }

    fn slots_free(&self, most: u32, now: Monotonic) -> Room {
        Room { calls: most.saturating_sub(self.slots.out(now)), look_again: self.slots.next_free(now) }
    }

    fn room_on(&self, ramp: Ramp, now: Monotonic) -> Room {
        let free = self.slots_free(ramp.at_once(), now);
        let over = ramp.left(now);
        Room { look_again: Some(free.look_again.map_or(over, |next| next.min(over))), ..free }
    }

    fn room_before_shedding(&mut self, now: Monotonic) -> Room {
        let settings = self.config.settings();
        let (Some(shed), Some(above)) = (&mut self.shed, settings.shed_above) else { return Room::UNLIMITED };
        match shed.room(above, settings.minimum_calls, now) {
            Some(calls) => Room { calls, look_again: Some(SHED_REST) },
            None => Room::UNLIMITED,
        }
    }
}
