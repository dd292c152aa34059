//! The bulkhead of `saga-guards` with tasks as its waiters: so many calls to one participant at once, and a short queue before it.

use saga_guards::bulkhead::{Bulkhead as Places, WaiterId};
use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// Longest wait in memory; whoever waits longer is recorded as waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls that may wait for each place: what a place clears within the patience at 60 ms a call. More would only wait to be refused.
const WAITING_PER_PLACE: u32 = 16;

/// So many calls at once, and a short queue.
#[derive(Debug)]
pub(super) struct Bulkhead {
    shared: Arc<Shared>,
    patience: Duration,
}

/// Locked for a few instructions at a time, never across an await.
#[derive(Debug)]
struct Shared(Mutex<Places<oneshot::Sender<Slot>>>);

/// A place, passed on when dropped.
#[derive(Debug)]
pub struct Slot(Arc<Shared>);

/// Neither a place nor, within the patience, a turn in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Bulkhead {
    pub(super) fn new(places: NonZeroU32) -> Bulkhead {
        Bulkhead::with_patience(places, PATIENCE)
    }

    fn with_patience(places: NonZeroU32, patience: Duration) -> Bulkhead {
        let places = Places::new(places, places.get().saturating_mul(WAITING_PER_PLACE));
        Bulkhead { shared: Arc::new(Shared(Mutex::new(places))), patience }
    }

    /// A place, free again when it is dropped. Dropping the future leaves the queue.
    pub(super) async fn enter(&self) -> Result<Slot, Full> {
        let (mut turn, _place_in_queue) = match self.shared.enter()? {
            Entered::AtOnce(slot) => return Ok(slot),
            Entered::Queued(turn, waiter) => (turn, Queued { shared: &self.shared, waiter }),
        };
        match tokio::time::timeout(self.patience, &mut turn).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.shared.places().limit().get()
    }

    pub(super) fn waiting(&self) -> u32 {
        self.shared.places().waiting()
    }
}

enum Entered {
    AtOnce(Slot),
    Queued(oneshot::Receiver<Slot>, WaiterId),
}

impl Shared {
    fn enter(self: &Arc<Shared>) -> Result<Entered, Full> {
        let mut places = self.places();
        if places.enter() {
            return Ok(Entered::AtOnce(Slot(Arc::clone(self))));
        }
        let (wake, turn) = oneshot::channel();
        let waiter = places.queue(wake).map_err(|_| Full)?;
        Ok(Entered::Queued(turn, waiter))
    }

    /// The queue is consistent between any two of its methods.
    fn places(&self) -> MutexGuard<'_, Places<oneshot::Sender<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A statement of its own: the lock is released before the next one is woken, who may drop the place at once.
        let next = self.0.places().leave();
        if let Some(wake) = next {
            // Sent to somebody who has given up, the place comes back here and is passed on.
            drop(wake.send(Slot(Arc::clone(&self.0))));
        }
    }
}

/// Leaves the queue when dropped. Whoever has been given a place by then finds it in the channel, which drops it.
struct Queued<'a> {
    shared: &'a Shared,
    waiter: WaiterId,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let _ = self.shared.places().withdraw(self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::join_all};

    #[tokio::test]
    async fn refuses_when_patience_ends() {
        let bulkhead = Bulkhead::with_patience(NonZeroU32::MIN, Duration::ZERO);
        let _slot = bulkhead.enter().await.expect("free");
        assert_eq!(bulkhead.enter().await.err(), Some(Full));
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test]
    async fn lets_the_next_in_when_a_place_is_free() {
        let bulkhead = Bulkhead::new(NonZeroU32::MIN);
        let slot = bulkhead.enter().await.expect("free");
        let mut next = Box::pin(bulkhead.enter());
        assert!((&mut next).now_or_never().is_none());
        assert_eq!(bulkhead.waiting(), 1);
        drop(slot);
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn refuses_at_once_when_the_queue_is_full() {
        let bulkhead = Bulkhead::new(NonZeroU32::MIN);
        let slot = bulkhead.enter().await.expect("free");
        let mut queue: Vec<_> = (0..WAITING_PER_PLACE).map(|_| Box::pin(bulkhead.enter())).collect();
        assert!(queue.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(matches!(bulkhead.enter().now_or_never(), Some(Err(Full))));
        drop(slot);
        let entered = join_all(queue.into_iter().map(|waiting| async { waiting.await.map(drop) })).await;
        assert!(entered.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_place_given_to_somebody_who_left_is_passed_on() {
        let bulkhead = Bulkhead::new(NonZeroU32::MIN);
        let slot = bulkhead.enter().await.expect("free");
        let mut leaves = Box::pin(bulkhead.enter());
        let mut stays = Box::pin(bulkhead.enter());
        assert!((&mut leaves).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
        drop(slot);
        drop(leaves);
        assert!(stays.await.is_ok());
        assert!(matches!(bulkhead.enter().now_or_never(), Some(Ok(_))));
    }
}
