//! The rate limit of a participant, and the calls that wait for it in memory.

use saga_guards::{
    MonotonicTime,
    rate::{CallRate, RateLimit},
};
use std::time::Duration;

/// The calls that may be sent in a span.
#[derive(Debug)]
pub(in crate::gate) struct RateLimitState {
    configured: Option<CallRate>,
    /// What operators have set in place of it.
    manual: Option<CallRate>,
    /// `None`: there is no limit.
    limit: Option<RateLimit>,
    /// Calls that wait in memory for their time.
    waiting: u32,
}

impl RateLimitState {
    pub(super) fn new(configured: Option<CallRate>, now: MonotonicTime) -> RateLimitState {
        let limit = configured.map(|rate| RateLimit::new(rate, now));
        RateLimitState { configured, manual: None, limit, waiting: 0 }
    }

    pub(super) fn configure(&mut self, configured: Option<CallRate>) {
        self.configured = configured;
    }

    pub(super) fn set_manual_rate(&mut self, rate: Option<CallRate>) {
        self.manual = rate;
    }

    /// Works at `share` of the rate from now on; the calls that passed still count.
    pub(super) fn resize(&mut self, share: f64, now: MonotonicTime) {
        let whole = self.manual.or(self.configured);
        let wanted = whole.map(|rate| if share < 1.0 { rate.scaled(share) } else { rate });
        match (&mut self.limit, wanted) {
            (Some(limit), Some(rate)) if limit.rate() == rate => {}
            (Some(limit), Some(rate)) => limit.configure(rate, now),
            (none @ None, Some(rate)) => *none = Some(RateLimit::new(rate, now)),
            (limit, None) => *limit = None,
        }
    }

    /// Reserves one call, and answers how long it has to wait for its time.
    ///
    /// # Errors
    /// How long it would have to wait, if that is longer than `max_wait`. Nothing is reserved then.
    pub(super) fn reserve(&mut self, max_wait: Duration, now: MonotonicTime) -> Result<Duration, Duration> {
        self.limit.as_mut().map_or(Ok(Duration::ZERO), |limit| limit.reserve(max_wait, now))
    }

    /// A call that was reserved is not made.
    pub(in crate::gate) fn refund(&mut self) {
        self.limit.iter_mut().for_each(RateLimit::give_back);
    }

    pub(in crate::gate) fn begin_wait(&mut self) {
        self.waiting += 1;
    }

    pub(in crate::gate) fn end_wait(&mut self) {
        self.waiting -= 1;
    }

    pub(in crate::gate) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Calls that may pass now; `None`: as many as there are.
    pub(in crate::gate) fn capacity(&self, now: MonotonicTime) -> Option<u32> {
        self.limit.as_ref().map(|limit| limit.capacity(now))
    }

    /// Calls that may pass until `max_wait` is over; `None`: as many as there are.
    pub(super) fn capacity_within(&self, max_wait: Duration, now: MonotonicTime) -> Option<u32> {
        let limit = self.limit.as_ref()?;
        let left = max_wait.saturating_sub(limit.wait(now));
        let soon = u32::try_from(left.as_nanos() / limit.rate().pace().as_nanos()).unwrap_or(u32::MAX);
        Some(limit.capacity(now).saturating_add(soon))
    }

    /// How long one more call would wait behind `ahead` others that have not reached the limit yet.
    pub(super) fn wait_behind(&self, ahead: u32, now: MonotonicTime) -> Duration {
        let Some(limit) = &self.limit else { return Duration::ZERO };
        let room = limit.capacity(now);
        if ahead < room {
            return Duration::ZERO;
        }
        let first = if room == 0 { limit.wait(now) } else { limit.rate().pace() };
        first.saturating_add(limit.rate().pace().saturating_mul(ahead - room))
    }

    /// When one more call may pass than now.
    pub(super) fn next_in(&self, now: MonotonicTime) -> Option<Duration> {
        self.limit.as_ref().map(|limit| limit.wait(now).max(limit.rate().pace()))
    }
}
