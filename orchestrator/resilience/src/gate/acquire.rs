//! From the permit to the call: the breaker once more, the rate limit, and a slot of the bulkhead, each waited for in
//! memory at most `maxWait`.

use super::{AdmittedCall, CallGate, GuardRefusal};
use saga_core::command::GuardKind;
use saga_guards::{
    MonotonicTime, PriorityLane,
    bulkhead::{CallBulkhead, WaiterId},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// When a command asks again that got no slot within `maxWait`.
const BULKHEAD_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The bulkhead with tasks as its waiters.
pub(super) type TaskBulkhead = CallBulkhead<oneshot::Sender<BulkheadSlot>>;

/// A slot of the bulkhead. Dropped, it passes to the call that waits longest, or is free again.
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

    /// Leaves the slot taken: the permit gives it back. Answers since when it is taken.
    pub(crate) fn forget(mut self) -> MonotonicTime {
        self.is_forgotten = true;
        self.since
    }

    /// Since when it is taken, by the gate's clock.
    pub(crate) fn since(&self) -> MonotonicTime {
        self.since
    }
}

/// There was no slot within `maxWait`, or no room in the queue for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BulkheadSlotError;

impl CallGate {
    /// Waits for the rate limit and then for a slot, each at most `maxWait`, and asks the breaker again.
    ///
    /// # Errors
    /// The guard that refuses. Nothing is taken then.
    pub(crate) async fn acquire_within_max_wait(
        self: &Arc<CallGate>,
        call: AdmittedCall,
    ) -> Result<BulkheadSlot, GuardRefusal> {
        let paced = self.wait_for_rate_limit().await;
        paced.map_err(|not_before| GuardRefusal::by(GuardKind::RateLimit, not_before))?;
        let slot = self.acquire_slot(call.lane).await;
        let slot = slot.map_err(|BulkheadSlotError| GuardRefusal::by(GuardKind::Bulkhead, BULKHEAD_RETRY_DELAY))?;
        self.check_breaker_again(call, slot.since).map(|()| slot)
    }

    /// The breaker may have opened while the call waited: what was admitted before must not be sent after.
    fn check_breaker_again(&self, call: AdmittedCall, now: MonotonicTime) -> Result<(), GuardRefusal> {
        let mut state = self.lock_state();
        state.check_still_admitted(call, now).inspect_err(|_| state.capacity.rate_limit.refund())
    }

    /// Takes a slot and answers since when, if the call has to wait neither for the rate limit nor for the bulkhead:
    /// the usual case, for one reading of the clock and one lock. Otherwise nothing is taken.
    ///
    /// # Errors
    /// When the breaker has opened since the call was admitted.
    pub(crate) fn try_acquire(&self, call: AdmittedCall) -> Result<Option<MonotonicTime>, GuardRefusal> {
        let now = self.now();
        let mut state = self.lock_state();
        state.check_still_admitted(call, now)?;
        Ok(state.capacity.try_acquire(now).then_some(now))
    }

    /// Waits until the rate limit lets one more call pass. Dropping the future gives its turn back.
    ///
    /// # Errors
    /// How long the wait would take, if that is more than `maxWait`.
    pub(crate) async fn wait_for_rate_limit(&self) -> Result<(), Duration> {
        let wait = {
            let (now, mut state) = (self.now(), self.lock_state());
            let wait = state.capacity.reserve_rate(now)?;
            if wait.is_zero() {
                return Ok(());
            }
            state.capacity.rate_limit.begin_wait();
            wait
        };
        let mut waiter = RateLimitWaiter { gate: self, has_passed: false };
        tokio::time::sleep(wait).await;
        waiter.has_passed = true;
        self.meters.waited(GuardKind::RateLimit, wait);
        Ok(())
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When the queue is full, or `maxWait` is over.
    pub(crate) async fn acquire_slot(
        self: &Arc<CallGate>,
        lane: PriorityLane,
    ) -> Result<BulkheadSlot, BulkheadSlotError> {
        let (mut receiver, queued, max_wait) = match self.try_acquire_slot(lane)? {
            SlotAcquisition::Immediate(slot) => return Ok(slot),
            SlotAcquisition::Queued(receiver, waiter, max_wait) => {
                (receiver, BulkheadWaiter { gate: self, waiter }, max_wait)
            }
        };
        let began = Instant::now();
        let received = tokio::time::timeout(max_wait, &mut receiver).await;
        drop(queued);
        let Ok(Ok(slot)) = received else {
            let now = self.now();
            self.lock_state().capacity.bulkhead.suspend_queue(now);
            return Err(BulkheadSlotError);
        };
        self.meters.waited(GuardKind::Bulkhead, began.elapsed());
        Ok(slot)
    }

    fn try_acquire_slot(self: &Arc<CallGate>, lane: PriorityLane) -> Result<SlotAcquisition, BulkheadSlotError> {
        let mut state = self.lock_state();
        let bulkhead = &mut state.capacity.bulkhead;
        if bulkhead.slots().try_acquire() {
            return Ok(SlotAcquisition::Immediate(BulkheadSlot::new(self)));
        }
        let (sender, receiver) = oneshot::channel();
        let waiter = bulkhead.slots().enqueue(lane, sender).map_err(|_| BulkheadSlotError)?;
        Ok(SlotAcquisition::Queued(receiver, waiter, bulkhead.max_wait()))
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
        let mut state = self.gate.lock_state();
        let next = state.capacity.bulkhead.slots().leave();
        let has_waiters = state.has_waiters();
        // The lock is released before the next call is woken, which may drop the slot at once.
        drop(state);
        if let Some(sender) = next {
            // Sent to a call that has given up, the slot comes back here and passes on.
            drop(sender.send(BulkheadSlot::new(&self.gate)));
        } else if has_waiters {
            self.gate.wakeup.notify_one();
        }
    }
}

/// Calls that waited for a slot and have one now.
#[must_use = "a call that has a slot has to be woken"]
#[derive(Debug, Default)]
pub(super) struct PendingWakeups(Vec<oneshot::Sender<BulkheadSlot>>);

impl PendingWakeups {
    pub(super) fn all_of(slots: &mut TaskBulkhead) -> PendingWakeups {
        PendingWakeups(std::iter::from_fn(|| slots.admit_next()).collect())
    }

    /// Outside of the lock: a call that has given up gives its slot back at once.
    pub(super) fn wake(self, gate: &Arc<CallGate>) {
        for sender in self.0 {
            drop(sender.send(BulkheadSlot::new(gate)));
        }
    }
}

/// Leaves the queue when dropped. A slot that came by then is in the channel, which drops it.
struct BulkheadWaiter<'a> {
    gate: &'a Arc<CallGate>,
    waiter: WaiterId,
}

impl Drop for BulkheadWaiter<'_> {
    fn drop(&mut self) {
        let _ = self.gate.lock_state().capacity.bulkhead.slots().withdraw(self.waiter);
    }
}

/// A call that waits for the rate limit.
struct RateLimitWaiter<'a> {
    gate: &'a CallGate,
    has_passed: bool,
}

impl Drop for RateLimitWaiter<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock_state();
        state.capacity.rate_limit.end_wait();
        if !self.has_passed {
            state.capacity.rate_limit.refund();
        }
    }
}
