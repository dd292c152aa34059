//! A gate at one moment.

use crate::failed_call::FailedCall;
use saga_guards::{MonotonicTime, breaker, budget};
use std::num::NonZeroU32;

/// A gate at one moment.
#[derive(Clone, Debug)]
pub(crate) struct GateView {
    /// When it was looked at.
    pub(crate) now: MonotonicTime,
    pub(crate) breaker: breaker::BreakerSnapshot,
    /// The last calls that failed, the newest first.
    pub(crate) last_failures: Vec<FailedCall>,
    /// Those before the breaker opened; none while it is closed.
    pub(crate) failures_before_opening: Vec<FailedCall>,
    /// Calls that are admitted and not settled.
    pub(crate) permits: u32,
    /// Calls that were admitted, ever.
    pub(crate) calls_begun: u64,
    /// Permits of the bulkhead at this moment.
    pub(crate) limit: NonZeroU32,
    /// Calls that wait in memory for a permit of the bulkhead.
    pub(crate) waiting: u32,
    /// Calls that wait in memory for the rate limit.
    pub(crate) rate_limit_waiting: u32,
    /// Calls that the rate limit lets pass now.
    pub(crate) rate_limit_capacity: Option<u32>,
    pub(crate) budget: budget::RetryBudgetSnapshot,
    /// Share of the capacity that it works at.
    pub(crate) share: f64,
    /// Number of commands that wait durably in the wait queue.
    pub(crate) queued: u32,
}
