//! How many calls the participant may get: permits, the bulkhead, the rate limit, and the share of both in degraded
//! mode.

mod bulkhead;
mod degradation;
mod rate_limit;

use super::{AttemptKind, GuardRefusal, acquire::PendingWakeups};
use crate::settings::{GateSettings, ManualOverride};
use bulkhead::BulkheadState;
use degradation::DegradedShare;
use rate_limit::RateLimitState;
use saga_core::command::GuardKind;
use saga_guards::{MonotonicTime, breaker::BreakerCapacity, budget::RetryBudget};
use std::time::Duration;

/// The limits of one participant and what is taken of them.
#[derive(Debug)]
pub(super) struct CallCapacity {
    pub(super) bulkhead: BulkheadState,
    pub(super) rate_limit: RateLimitState,
    pub(super) degraded: DegradedShare,
    /// Calls that are admitted and not settled.
    permits: u32,
    /// Calls that were admitted since the gate was made.
    calls_begun: u64,
}

/// How many waiting commands may be notified.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotifyCapacity {
    pub(super) calls: u32,
    /// When that number may grow by time alone; `None`: it does not.
    pub(super) check_again_in: Option<Duration>,
}

impl NotifyCapacity {
    pub(super) fn none_for(span: Duration) -> NotifyCapacity {
        NotifyCapacity { calls: 0, check_again_in: Some(span) }
    }

    /// The further attempts that the retry budget allows now.
    pub(super) fn of_retries(budget: &mut RetryBudget, now: MonotonicTime) -> NotifyCapacity {
        let check_again_in = Some(budget.wait(now)).filter(|wait| !wait.is_zero());
        NotifyCapacity { calls: budget.snapshot(now).balance, check_again_in }
    }
}

impl CallCapacity {
    pub(super) fn new(settings: &GateSettings, now: MonotonicTime) -> CallCapacity {
        CallCapacity {
            bulkhead: BulkheadState::new(settings.bulkhead, now),
            rate_limit: RateLimitState::new(settings.rate, now),
            degraded: DegradedShare::new(settings.degraded),
            permits: 0,
            calls_begun: 0,
        }
    }

    pub(super) fn configure(&mut self, settings: &GateSettings, now: MonotonicTime) {
        self.bulkhead.configure(settings.bulkhead, now);
        self.rate_limit.configure(settings.rate);
        self.degraded.configure(settings.degraded);
    }

    /// What operators have set takes effect with the next [`CallCapacity::resize`].
    pub(super) fn set_override(&mut self, manual: &ManualOverride) {
        self.bulkhead.set_manual_limit(manual.bulkhead);
        self.rate_limit.set_manual_rate(manual.rate);
        self.degraded.set_manual_share(manual.share);
    }

    /// Gives the bulkhead and the rate limit the size that holds at `now`. A larger bulkhead has slots for calls that
    /// wait in its queue.
    pub(super) fn resize(&mut self, now: MonotonicTime) -> PendingWakeups {
        let share = self.degraded.share(now);
        self.rate_limit.resize(share, now);
        self.bulkhead.resize(share)
    }

    pub(super) fn count_admitted(&mut self) {
        self.permits += 1;
        self.calls_begun += 1;
    }

    pub(super) fn count_settled(&mut self) {
        self.permits = self.permits.saturating_sub(1);
    }

    pub(super) fn permits(&self) -> u32 {
        self.permits
    }

    pub(super) fn calls_begun(&self) -> u64 {
        self.calls_begun
    }

    /// Takes a slot and one call of the rate limit if both are free now; otherwise takes nothing.
    pub(super) fn try_acquire(&mut self, now: MonotonicTime) -> bool {
        // The slot is looked for first: without one, nothing of the rate limit has to be given back.
        self.bulkhead.has_free_slot() && self.rate_limit.reserve(Duration::ZERO, now).is_ok() && self.bulkhead.enter()
    }

    /// Reserves one call of the rate limit within `maxWait`.
    ///
    /// # Errors
    /// How long the call would have to wait, if that is longer. Nothing is reserved then.
    pub(super) fn reserve_rate(&mut self, now: MonotonicTime) -> Result<Duration, Duration> {
        self.rate_limit.reserve(self.bulkhead.max_wait(), now)
    }

    /// Whether one more call finds room in memory. Calls that are decided on and not in flight yet count as if they
    /// were.
    pub(super) fn check_memory_limits(&self, now: MonotonicTime) -> Result<(), GuardRefusal> {
        if self.free_slots(now) == 0 && self.permits >= self.bulkhead.max_in_memory(now) {
            return Err(GuardRefusal::by(GuardKind::Bulkhead, Duration::ZERO));
        }
        let wait = self.rate_limit.wait_behind(self.admitted_not_started(), now);
        if wait > self.bulkhead.max_wait() {
            return Err(GuardRefusal::by(GuardKind::RateLimit, wait));
        }
        Ok(())
    }

    /// The guard with the least room, and how many calls that is. `by_breaker` is what the breaker would admit.
    pub(super) fn tightest(&self, by_breaker: u32, now: MonotonicTime) -> (GuardKind, u32) {
        let (slots, by_rate) = (self.free_slots(now), self.rate_limit_capacity(now));
        if by_breaker <= slots.min(by_rate) {
            (GuardKind::Breaker, by_breaker)
        } else if slots <= by_rate {
            (GuardKind::Bulkhead, slots)
        } else {
            (GuardKind::RateLimit, by_rate)
        }
    }

    /// How many calls would be admitted now and find a slot or a short queue.
    pub(super) fn notify_capacity(&self, breaker: BreakerCapacity, now: MonotonicTime) -> NotifyCapacity {
        let changes = [breaker.check_again_in, self.rate_limit.next_in(now), self.degraded.ends_in(now)];
        NotifyCapacity {
            calls: self.tightest(breaker.calls, now).1,
            check_again_in: changes.into_iter().flatten().min(),
        }
    }

    /// Calls that find a slot, or a queue for slots that is no longer than the number of slots.
    fn free_slots(&self, now: MonotonicTime) -> u32 {
        let most = self.bulkhead.limit().get().saturating_mul(2);
        most.min(self.bulkhead.max_in_memory(now)).saturating_sub(self.permits)
    }

    /// Calls that the rate limit lets pass within the short wait in memory.
    fn rate_limit_capacity(&self, now: MonotonicTime) -> u32 {
        let within = self.rate_limit.capacity_within(self.bulkhead.max_wait(), now);
        within.map_or(u32::MAX, |calls| calls.saturating_sub(self.admitted_not_started()))
    }

    /// Calls that are decided on and have not reached the rate limit yet.
    fn admitted_not_started(&self) -> u32 {
        let beyond = self.bulkhead.in_flight() + self.bulkhead.waiting() + self.rate_limit.waiting();
        self.permits.saturating_sub(beyond)
    }
}

/// Takes back what an attempt has paid into or taken from the budget, because its call was not made.
pub(super) fn refund_retry_budget(budget: &mut RetryBudget, attempt: AttemptKind, now: MonotonicTime) {
    match attempt {
        AttemptKind::First => budget.take_back_first(now),
        AttemptKind::Retry => budget.give_back(now),
        AttemptKind::Repeat => {}
    }
}
