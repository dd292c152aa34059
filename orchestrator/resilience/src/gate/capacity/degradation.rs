//! Degraded mode: the share of the permits and of the rate that the engine uses.

use saga_core::definition::participants::DegradationConfig;
use saga_guards::MonotonicTime;
use std::time::Duration;

/// The share of the capacity that is used.
#[derive(Debug)]
pub(in crate::gate) struct DegradedShare {
    config: DegradationConfig,
    /// What operators have set in place of it.
    manual: Option<f64>,
    /// The end of the degraded mode that began when the breaker closed after a trip.
    until: Option<MonotonicTime>,
}

impl DegradedShare {
    pub(super) fn new(config: DegradationConfig) -> DegradedShare {
        DegradedShare { config, manual: None, until: None }
    }

    pub(super) fn configure(&mut self, config: DegradationConfig) {
        self.config = config;
    }

    pub(super) fn set_manual_share(&mut self, share: Option<f64>) {
        self.manual = share;
    }

    /// The share that is used at `now`, above 0 and at most 1.
    pub(in crate::gate) fn share(&self, now: MonotonicTime) -> f64 {
        self.manual.or(self.share_after_trip(now)).unwrap_or(1.0)
    }

    fn share_after_trip(&self, now: MonotonicTime) -> Option<f64> {
        self.until.filter(|until| now < *until).map(|_| self.config.share)
    }

    /// The breaker has closed after a trip. Answers the share that is used by that, if it is less than all.
    pub(in crate::gate) fn begin_after_trip(&mut self, now: MonotonicTime) -> Option<f64> {
        self.until = self.config.after_trip.map(|span| now.plus(span));
        self.share_after_trip(now).filter(|share| self.manual.is_none() && *share < 1.0)
    }

    pub(in crate::gate) fn end(&mut self) {
        self.until = None;
    }

    /// Whether the time after a trip is over since this was last asked, and all of the capacity is used again.
    pub(in crate::gate) fn take_restored(&mut self, now: MonotonicTime) -> bool {
        let over = self.until.take_if(|until| *until <= now).is_some();
        over && self.manual.is_none() && self.config.share < 1.0
    }

    pub(super) fn ends_in(&self, now: MonotonicTime) -> Option<Duration> {
        self.until.map(|until| until.since(now)).filter(|left| !left.is_zero())
    }
}
