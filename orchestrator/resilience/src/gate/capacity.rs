//! Leaving through a gate: the rate limit's pace, and a place in the bulkhead, each waited for in memory for a short time.

use super::{CallGate, GuardRefusal};
use crate::registry::BULKHEAD_RETRY_DELAY;
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime, PriorityLane,
    breaker::BreakerGeneration,
    bulkhead::{CallBulkhead, WaiterId},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// The bulkhead with tasks as its waiters.
pub(super) type TaskBulkhead = CallBulkhead<oneshot::Sender<BulkheadSlot>>;

/// A place, passed on when dropped.
#[derive(Debug)]
pub struct BulkheadSlot {
    gate: Arc<CallGate>,
    since: MonotonicTime,
    is_forgotten: bool,
}

impl BulkheadSlot {
    fn new(gate: &Arc<CallGate>) -> BulkheadSlot {
        BulkheadSlot::given(gate, gate.now())
    }

    pub(crate) fn given(gate: &Arc<CallGate>, since: MonotonicTime) -> BulkheadSlot {
        BulkheadSlot { gate: Arc::clone(gate), since, is_forgotten: false }
    }

    /// The place stays taken: whoever keeps it gives it back. Answers since when.
    pub(crate) fn forget(mut self) -> MonotonicTime {
        self.is_forgotten = true;
        self.since
    }

    /// When it was given, by the gate's clock.
    pub(crate) fn since(&self) -> MonotonicTime {
        self.since
    }
}

/// A call that is admitted and has not left yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmittedCall {
    pub(crate) lane: PriorityLane,
    /// The state of the breaker that admitted it.
    pub(crate) generation: BreakerGeneration,
}

/// Neither a place nor, within the patience, a turn in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BulkheadSlotError;

impl CallGate {
    /// Waits for the rate limit and then for a place in the bulkhead, each no longer than `maxWait`. Whoever was admitted before the breaker opened does not leave after it.
    ///
    /// # Errors
    /// Who refuses, and when to ask again. Nothing is taken.
    pub(crate) async fn acquire_within_max_wait(
        self: &Arc<CallGate>,
        leaving: AdmittedCall,
    ) -> Result<BulkheadSlot, GuardRefusal> {
        let paced = self.wait_for_rate_limit().await;
        paced.map_err(|not_before| GuardRefusal { guard: GuardKind::RateLimit, not_before })?;
        let entered = self.acquire_slot(leaving.lane).await;
        let slot = entered.map_err(|BulkheadSlotError| GuardRefusal {
            guard: GuardKind::Bulkhead,
            not_before: BULKHEAD_RETRY_DELAY,
        })?;
        self.check_breaker_again(leaving, slot.since).map(|()| slot)
    }

    fn check_breaker_again(&self, leaving: AdmittedCall, now: MonotonicTime) -> Result<(), GuardRefusal> {
        let mut inner = self.lock_state();
        inner.check_still_admitted(leaving, now).inspect_err(|_| inner.refund_rate_limit())
    }

    /// Takes a place and answers since when, if neither the rate limit nor the bulkhead holds anybody back: the usual case, for one reading
    /// of the clock and one lock. Otherwise nothing is taken.
    ///
    /// # Errors
    /// When the breaker has opened since the call was admitted.
    pub(crate) fn try_acquire(&self, leaving: AdmittedCall) -> Result<Option<MonotonicTime>, GuardRefusal> {
        let now = self.now();
        let mut inner = self.lock_state();
        inner.check_still_admitted(leaving, now)?;
        let has_place = inner.bulkhead.in_flight() < inner.bulkhead.limit().get();
        let passes = has_place && inner.reserve(Duration::ZERO, now).is_ok() && inner.bulkhead.enter();
        Ok(passes.then_some(now))
    }

    /// Waits until the rate limit lets one more pass. Dropping the future gives its turn back.
    ///
    /// # Errors
    /// When it would take longer than the gate's patience: how much.
    pub(crate) async fn wait_for_rate_limit(&self) -> Result<(), Duration> {
        let wait = {
            let (now, mut inner) = (self.now(), self.lock_state());
            let most = inner.max_wait();
            let wait = inner.reserve(most, now)?;
            if wait.is_zero() {
                return Ok(());
            }
            inner.rate_limit_waiting += 1;
            wait
        };
        let mut pacing = RateLimitWaiter { gate: self, has_passed: false };
        tokio::time::sleep(wait).await;
        pacing.has_passed = true;
        self.meters.waited(GuardKind::RateLimit, wait);
        Ok(())
    }

    /// A place, free again when it is dropped. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When the queue is full, or the gate's patience ends.
    pub(crate) async fn acquire_slot(
        self: &Arc<CallGate>,
        lane: PriorityLane,
    ) -> Result<BulkheadSlot, BulkheadSlotError> {
        let (mut turn, queued, most) = match self.try_acquire_slot(lane)? {
            SlotAcquisition::Immediate(slot) => return Ok(slot),
            SlotAcquisition::Queued(turn, waiter, most) => (turn, BulkheadWaiter { gate: self, waiter }, most),
        };
        let began = Instant::now();
        let turn = tokio::time::timeout(most, &mut turn).await;
        drop(queued);
        let Ok(Ok(slot)) = turn else {
            let now = self.now();
            self.lock_state().suspend_bulkhead_queue(now);
            return Err(BulkheadSlotError);
        };
        self.meters.waited(GuardKind::Bulkhead, began.elapsed());
        Ok(slot)
    }

    fn try_acquire_slot(self: &Arc<CallGate>, lane: PriorityLane) -> Result<SlotAcquisition, BulkheadSlotError> {
        let mut inner = self.lock_state();
        if inner.bulkhead.enter() {
            return Ok(SlotAcquisition::Immediate(BulkheadSlot::new(self)));
        }
        let (wake, turn) = oneshot::channel();
        let waiter = inner.bulkhead.queue(lane, wake).map_err(|_| BulkheadSlotError)?;
        Ok(SlotAcquisition::Queued(turn, waiter, inner.max_wait()))
    }
}

enum SlotAcquisition {
    Immediate(BulkheadSlot),
    Queued(oneshot::Receiver<BulkheadSlot>, WaiterId, Duration),
}

impl Drop for BulkheadSlot {
    fn drop(&mut self) {
        if self.is_forgotten {
            return;
        }
        let mut inner = self.gate.lock_state();
        let next = inner.bulkhead.leave();
        let somebody_waits = inner.has_waiters();
        // The lock is released before the next one is woken, who may drop the place at once.
        drop(inner);
        if let Some(wake) = next {
            // Sent to somebody who has given up, the place comes back here and is passed on.
            drop(wake.send(BulkheadSlot::new(&self.gate)));
        } else if somebody_waits {
            self.gate.wakeup.notify_one();
        }
    }
}

/// Waiters of the bulkhead who have a place now.
#[must_use = "whoever has a place has to be woken"]
#[derive(Debug, Default)]
pub(super) struct PendingWakeups(Vec<oneshot::Sender<BulkheadSlot>>);

impl PendingWakeups {
    pub(super) fn all_of(places: &mut TaskBulkhead) -> PendingWakeups {
        PendingWakeups(std::iter::from_fn(|| places.admit_next()).collect())
    }

    /// Outside of the lock: whoever has given up gives the place back at once.
    pub(super) fn wake(self, gate: &Arc<CallGate>) {
        for wake in self.0 {
            drop(wake.send(BulkheadSlot::new(gate)));
        }
    }
}

/// Leaves the queue when dropped. Whoever has been given a place by then finds it in the channel, which drops it.
struct BulkheadWaiter<'a> {
    gate: &'a Arc<CallGate>,
    waiter: WaiterId,
}

impl Drop for BulkheadWaiter<'_> {
    fn drop(&mut self) {
        let _ = self.gate.lock_state().bulkhead.withdraw(self.waiter);
    }
}

/// One who waits for the rate limit.
struct RateLimitWaiter<'a> {
    gate: &'a CallGate,
    has_passed: bool,
}

impl Drop for RateLimitWaiter<'_> {
    fn drop(&mut self) {
        let mut inner = self.gate.lock_state();
        inner.rate_limit_waiting -= 1;
        if !self.has_passed {
            inner.refund_rate_limit();
        }
    }
}
