//! Leaving through a gate: the rate limit's pace, and a place in the bulkhead, each waited for in memory for a short time.

use super::{Gate, Refused};
use crate::registry::BULKHEAD_REST;
use saga_core::command::Guard;
use saga_guards::{
    Lane, Monotonic,
    breaker::Generation,
    bulkhead::{Bulkhead, WaiterId},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// The bulkhead with tasks as its waiters.
pub(super) type Slots = Bulkhead<oneshot::Sender<Slot>>;

/// A place, passed on when dropped.
#[derive(Debug)]
pub struct Slot {
    gate: Arc<Gate>,
    since: Monotonic,
    is_kept: bool,
}

impl Slot {
    fn new(gate: &Arc<Gate>) -> Slot {
        Slot::given(gate, gate.now())
    }

    pub(crate) fn given(gate: &Arc<Gate>, since: Monotonic) -> Slot {
        Slot { gate: Arc::clone(gate), since, is_kept: false }
    }

    /// The place stays taken: whoever keeps it gives it back. Answers since when.
    pub(crate) fn keep(mut self) -> Monotonic {
        self.is_kept = true;
        self.since
    }

    /// When it was given, by the gate's clock.
    pub(crate) fn since(&self) -> Monotonic {
        self.since
    }
}

/// A call that is admitted and has not left yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) lane: Lane,
    /// The state of the breaker that admitted it.
    pub(crate) generation: Generation,
}

/// Neither a place nor, within the patience, a turn in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Gate {
    /// Waits for the rate limit and then for a place in the bulkhead, each no longer than `maxWait`. Whoever was admitted before the breaker opened does not leave after it.
    ///
    /// # Errors
    /// Who refuses, and when to ask again. Nothing is taken.
    pub(crate) async fn wait_to_leave(self: &Arc<Gate>, leaving: Leaving) -> Result<Slot, Refused> {
        let paced = self.pace().await;
        paced.map_err(|not_before| Refused { guard: Guard::RateLimit, not_before })?;
        let entered = self.enter(leaving.lane).await;
        let slot = entered.map_err(|Full| Refused { guard: Guard::Bulkhead, not_before: BULKHEAD_REST })?;
        self.look_again(leaving, slot.since).map(|()| slot)
    }

    fn look_again(&self, leaving: Leaving, now: Monotonic) -> Result<(), Refused> {
        let mut inner = self.inner();
        inner.recalls(leaving, now).inspect_err(|_| inner.give_back_pace())
    }

    /// Takes a place and answers since when, if neither the rate limit nor the bulkhead holds anybody back: the usual case, for one reading
    /// of the clock and one lock. Otherwise nothing is taken.
    ///
    /// # Errors
    /// When the breaker has opened since the call was admitted.
    pub(crate) fn leave_at_once(&self, leaving: Leaving) -> Result<Option<Monotonic>, Refused> {
        let now = self.now();
        let mut inner = self.inner();
        inner.recalls(leaving, now)?;
        let has_place = inner.places.in_flight() < inner.places.limit().get();
        let passes = has_place && inner.reserve(Duration::ZERO, now).is_ok() && inner.places.enter();
        Ok(passes.then_some(now))
    }

    /// Waits until the rate limit lets one more pass. Dropping the future gives its turn back.
    ///
    /// # Errors
    /// When it would take longer than the gate's patience: how much.
    pub(crate) async fn pace(&self) -> Result<(), Duration> {
        let wait = {
            let (now, mut inner) = (self.now(), self.inner());
            let most = inner.max_wait();
            let wait = inner.reserve(most, now)?;
            if wait.is_zero() {
                return Ok(());
            }
            inner.pacing += 1;
            wait
        };
        let mut pacing = Pacing { gate: self, has_passed: false };
        tokio::time::sleep(wait).await;
        pacing.has_passed = true;
        self.meters.waited(Guard::RateLimit, wait);
        Ok(())
    }

    /// A place, free again when it is dropped. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// When the queue is full, or the gate's patience ends.
    pub(crate) async fn enter(self: &Arc<Gate>, lane: Lane) -> Result<Slot, Full> {
        let (mut turn, queued, most) = match self.try_enter(lane)? {
            Entered::AtOnce(slot) => return Ok(slot),
            Entered::Queued(turn, waiter, most) => (turn, Queued { gate: self, waiter }, most),
        };
        let began = Instant::now();
        let turn = tokio::time::timeout(most, &mut turn).await;
        drop(queued);
        let Ok(Ok(slot)) = turn else {
            let now = self.now();
            self.inner().queue_is_slow(now);
            return Err(Full);
        };
        self.meters.waited(Guard::Bulkhead, began.elapsed());
        Ok(slot)
    }

    fn try_enter(self: &Arc<Gate>, lane: Lane) -> Result<Entered, Full> {
        let mut inner = self.inner();
        if inner.places.enter() {
            return Ok(Entered::AtOnce(Slot::new(self)));
        }
        let (wake, turn) = oneshot::channel();
        let waiter = inner.places.queue(lane, wake).map_err(|_| Full)?;
        Ok(Entered::Queued(turn, waiter, inner.max_wait()))
    }
}

enum Entered {
    AtOnce(Slot),
    Queued(oneshot::Receiver<Slot>, WaiterId, Duration),
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let mut inner = self.gate.inner();
        let next = inner.places.leave();
        let somebody_waits = inner.somebody_waits();
        // The lock is released before the next one is woken, who may drop the place at once.
        drop(inner);
        if let Some(wake) = next {
            // Sent to somebody who has given up, the place comes back here and is passed on.
            drop(wake.send(Slot::new(&self.gate)));
        } else if somebody_waits {
            self.gate.bell.notify_one();
        }
    }
}

/// Waiters of the bulkhead who have a place now.
#[must_use = "whoever has a place has to be woken"]
#[derive(Debug, Default)]
pub(super) struct ToWake(Vec<oneshot::Sender<Slot>>);

impl ToWake {
    pub(super) fn all_of(places: &mut Slots) -> ToWake {
        ToWake(std::iter::from_fn(|| places.admit_next()).collect())
    }

    /// Outside of the lock: whoever has given up gives the place back at once.
    pub(super) fn wake(self, gate: &Arc<Gate>) {
        for wake in self.0 {
            drop(wake.send(Slot::new(gate)));
        }
    }
}

/// Leaves the queue when dropped. Whoever has been given a place by then finds it in the channel, which drops it.
struct Queued<'a> {
    gate: &'a Arc<Gate>,
    waiter: WaiterId,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let _ = self.gate.inner().places.withdraw(self.waiter);
    }
}

/// One who waits for the rate limit.
struct Pacing<'a> {
    gate: &'a Gate,
    has_passed: bool,
}

impl Drop for Pacing<'_> {
    fn drop(&mut self) {
        let mut inner = self.gate.inner();
        inner.pacing -= 1;
        if !self.has_passed {
            inner.give_back_pace();
        }
    }
}
