//! A bulkhead: so many calls to one participant at once, and a short queue before it.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Longest wait in memory; whoever waits longer is recorded as waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls that may wait for each slot: what a slot clears within the patience at 60 ms a call. More would only wait to be refused.
const WAITING_PER_SLOT: u32 = 16;

/// So many calls at once, and a short queue.
#[derive(Debug)]
pub(super) struct Bulkhead {
    slots: Semaphore,
    waiting: AtomicU32,
    most_waiting: u32,
    patience: Duration,
}

/// Neither a slot nor, within the patience, a place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Bulkhead {
    pub(super) fn new(slots: NonZeroU32) -> Bulkhead {
        Bulkhead::with_patience(slots, PATIENCE)
    }

    fn with_patience(slots: NonZeroU32, patience: Duration) -> Bulkhead {
        let most_waiting = slots.get().saturating_mul(WAITING_PER_SLOT);
        let slots = Semaphore::new(
            usize::try_from(slots.get()).map_or(Semaphore::MAX_PERMITS, |slots| slots.min(Semaphore::MAX_PERMITS)),
        );
        Bulkhead { slots, waiting: AtomicU32::new(0), most_waiting, patience }
    }

    /// A slot, free again when the guard is dropped.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Full> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let _place = Place::take(self)?;
        match tokio::time::timeout(self.patience, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(Full),
        }
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A place in the queue, free again when dropped.
struct Place<'a>(&'a Bulkhead);

impl<'a> Place<'a> {
    fn take(bulkhead: &'a Bulkhead) -> Result<Place<'a>, Full> {
        let before = bulkhead.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(bulkhead);
        if before < bulkhead.most_waiting { Ok(place) } else { Err(Full) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
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
    async fn lets_the_next_in_when_a_slot_is_free() {
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
        let mut queue: Vec<_> = (0..WAITING_PER_SLOT).map(|_| Box::pin(bulkhead.enter())).collect();
        assert!(queue.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(matches!(bulkhead.enter().now_or_never(), Some(Err(Full))));
        drop(slot);
        let entered = join_all(queue.into_iter().map(|waiting| async { waiting.await.map(drop) })).await;
        assert!(entered.iter().all(Result::is_ok));
    }
}
