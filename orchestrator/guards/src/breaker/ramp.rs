use super::config::BreakerConfig;
use crate::MonotonicTime;
use std::time::Duration;

/// Beyond so many calls at once a ramp is over before its time: what comes then is for the bulkhead to bound. Each is a
/// slot that is kept.
pub(super) const MAX_RAMP: u32 = 256;

/// The time after closing, in which it admits only so many calls at once. Starts with as many as have just succeeded
/// and admits one more per success, which doubles the number per round trip (slow start, RFC 5681, section 3.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowStartRamp {
    at_once: u32,
    until: MonotonicTime,
}

impl SlowStartRamp {
    /// The ramp that begins at `from`; `None` if none is configured.
    pub(super) fn from(config: &BreakerConfig, from: MonotonicTime) -> Option<SlowStartRamp> {
        let settings = config.settings();
        let at_once = settings.probes.max(config.successes()).min(MAX_RAMP);
        (!settings.ramp.is_zero()).then(|| SlowStartRamp { at_once, until: from.plus(settings.ramp) })
    }

    pub(super) fn at_once(&self) -> u32 {
        self.at_once
    }

    pub(super) fn succeeded(&mut self) {
        self.at_once = self.at_once.saturating_add(1);
    }

    pub(super) fn is_over(&self, now: MonotonicTime) -> bool {
        now >= self.until || self.at_once > MAX_RAMP
    }

    pub(super) fn left(&self, now: MonotonicTime) -> Duration {
        self.until.since(now)
    }
}
