use super::{
    BreakerConfig, BreakerMode, BreakerPhase, CircuitBreaker, LoadShedder, MAX_PAUSE, SlidingWindow, SlowStartRamp,
};
use crate::MonotonicTime;
use std::time::Duration;

impl CircuitBreaker {
    /// Works by `config` from now on. State, mode, generation and what is out stay. The window starts anew if it is
    /// another one; the end of an opening is the one that this configuration would have given it.
    pub fn configure(&mut self, config: BreakerConfig, now: MonotonicTime) {
        let settings = config.settings();
        if settings.window != self.config.settings().window {
            self.window = SlidingWindow::new(settings.window, now);
        }
        self.shed = settings.shed_above.map(|_| self.shed.take().unwrap_or_else(|| LoadShedder::new(now)));
        match &mut self.phase {
            BreakerPhase::Open { until, random } => {
                *until = self.since.plus(config.open_span(self.opened_in_a_row, *random));
            }
            BreakerPhase::Closed { ramp, .. } if settings.ramp.is_zero() => *ramp = None,
            BreakerPhase::Closed { .. } | BreakerPhase::HalfOpen { .. } => {}
        }
        self.config = config;
    }

    /// Whether it decides by itself, and if not, what it does.
    #[must_use]
    pub fn mode(&self) -> BreakerMode {
        self.mode
    }

    /// Leaves it to `mode` from now on; the same mode again changes nothing. Forced open and left to itself again it is
    /// half-open: no call has reached the participant meanwhile. Otherwise it begins closed, with an empty window.
    pub fn set_mode(&mut self, mode: BreakerMode, now: MonotonicTime) {
        if mode == self.mode {
            return;
        }
        let unasked = self.mode == BreakerMode::ForcedOpen && mode == BreakerMode::Automatic;
        self.forget_failures();
        self.mode = mode;
        self.enter(if unasked { BreakerPhase::HalfOpen { succeeded: 0 } } else { BreakerPhase::CLOSED }, now);
    }

    /// Closed, with an empty window and without a ramp; what was asked for or forced is forgotten. The totals stay.
    pub fn reset(&mut self, now: MonotonicTime) {
        self.forget_failures();
        self.mode = BreakerMode::Automatic;
        self.asked_until = MonotonicTime::default();
        self.forget_shedding();
        self.enter(BreakerPhase::CLOSED, now);
    }

    /// Closes as after an outage: with a ramp, for the commands that waited. Does nothing while an operator forces it.
    pub fn close_with_ramp(&mut self, now: MonotonicTime) {
        if self.mode == BreakerMode::Automatic {
            self.close(now);
        }
    }

    /// The participant asked not to be called for `span` (`Retry-After` with 429 or 503): it refuses at least until
    /// then, at the longest for [`super::MAX_PAUSE`]. Never makes it sooner. A closed breaker ramps up afterwards.
    /// Forced closed or only counting it admits all the same. Answers how long it refuses if that is longer than
    /// before.
    pub fn open_for_at_least(&mut self, span: Duration, now: MonotonicTime) -> Option<Duration> {
        let span = span.min(MAX_PAUSE);
        let until = now.plus(span);
        if until <= self.asked_until.max(now) {
            return None;
        }
        self.asked_until = until;
        if let BreakerPhase::Closed { ramp, .. } = &mut self.phase {
            *ramp = SlowStartRamp::from(&self.config, until);
        }
        Some(span)
    }

    pub(super) fn forget_shedding(&mut self) {
        if let Some(shed) = &mut self.shed {
            shed.forget();
        }
    }

    fn forget_failures(&mut self) {
        self.failures_in_a_row = 0;
        self.opened_in_a_row = 0;
        self.tripped = None;
    }
}
