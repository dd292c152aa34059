//! Turns to work on sagas because their time has come. All shards share the turns, so that sagas that fall due all at
//! once do not fill the memory.
//!
//! A turn is for some sagas of one shard, which are read together. They have it until something is recorded of each;
//! and then until they have left memory again, so that those that were begun are ended before more are begun, but not
//! longer than [`AT_WORK`], so that a participant that hangs does not keep the sagas of others waiting.

use futures_util::FutureExt as _;
use std::{fmt, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep_until, timeout},
};

/// Sagas that share a turn: what one read of the store brings.
pub(super) const TOGETHER: usize = 32;

/// Turns of one process. With [`TOGETHER`] these are 512 sagas: at some 20 KB each 10 MB, enough to fill the
/// transactions of both committers, and half of what a bulkhead of 64 takes with its queue, so that those that are at
/// work do not meet a full one.
pub(super) const TURNS: usize = 16;

/// How long a turn is kept for sagas of which something is recorded. One that is in memory for longer waits for its
/// participant, and is one of those that the participant's guards bound.
const AT_WORK: Duration = Duration::from_secs(1);

/// Leave to bring some sagas into memory. Free again when the last of them has dropped it.
#[derive(Clone, Debug)]
pub(crate) struct LoadPermit {
    #[expect(dead_code, reason = "for its drop")]
    pending_commit: Arc<oneshot::Sender<()>>,
    at_work: WorkingPermit,
}

/// A turn of a saga of which something is recorded.
#[derive(Clone, Debug)]
pub(super) struct WorkingPermit(#[expect(dead_code, reason = "for its drop")] Arc<oneshot::Sender<()>>);

impl LoadPermit {
    fn of(permit: OwnedSemaphorePermit) -> LoadPermit {
        let (pending_commit, recorded) = oneshot::channel();
        let (at_work, gone) = oneshot::channel();
        tokio::spawn(async move {
            // Nothing is ever sent: both end when the last one drops them.
            drop(recorded.await);
            drop(timeout(AT_WORK, gone).await);
            drop(permit);
        });
        LoadPermit { pending_commit: Arc::new(pending_commit), at_work: WorkingPermit(Arc::new(at_work)) }
    }

    pub(super) fn into_working(self) -> WorkingPermit {
        self.at_work
    }
}

/// All turns of a process, shared by its shards.
#[derive(Clone, Debug)]
pub(crate) struct LoadSemaphore(Arc<Semaphore>);

impl Default for LoadSemaphore {
    fn default() -> LoadSemaphore {
        LoadSemaphore::many(TURNS)
    }
}

impl LoadSemaphore {
    fn many(turns: usize) -> LoadSemaphore {
        LoadSemaphore(Arc::new(Semaphore::new(turns)))
    }
}

type PermitFuture = Pin<Box<dyn Future<Output = Option<LoadPermit>> + Send>>;

/// One shard's place among those that wait for turns.
pub(super) struct LoadPermitQueue {
    all: LoadSemaphore,
    /// Kept while other things happen: a shard that asks anew goes behind the others.
    asked: Option<PermitFuture>,
}

impl fmt::Debug for LoadPermitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadPermitQueue").field("asked", &self.asked.is_some()).finish_non_exhaustive()
    }
}

impl LoadPermitQueue {
    pub(super) fn of(all: &LoadSemaphore) -> LoadPermitQueue {
        LoadPermitQueue { all: all.clone(), asked: None }
    }

    /// A turn, not before `at`. Dropping the future keeps the place.
    pub(super) async fn next(&mut self, at: Instant) -> Option<LoadPermit> {
        if self.asked.is_none() {
            sleep_until(at).await;
        }
        let all = &self.all.0;
        let ask = || Arc::clone(all).acquire_owned().map(|permit| permit.ok().map(LoadPermit::of));
        let turn = self.asked.get_or_insert_with(|| Box::pin(ask())).await;
        self.asked = None;
        turn
    }

    /// A turn that is free now; `None` if all are taken.
    pub(super) fn now(&mut self) -> Option<LoadPermit> {
        match &mut self.asked {
            None => Arc::clone(&self.all.0).try_acquire_owned().ok().map(LoadPermit::of),
            Some(asked) => {
                let turn = asked.as_mut().now_or_never()?;
                self.asked = None;
                turn
            }
        }
    }
}

/// Turns that are free now, for one saga after the other.
#[derive(Debug, Default)]
pub(super) struct LoadPermitShare {
    turn: Option<LoadPermit>,
    left: usize,
}

impl LoadPermitShare {
    /// One saga's share; `None`: no turn is free.
    pub(super) fn next_clone(&mut self, turns: &mut LoadPermitQueue) -> Option<LoadPermit> {
        if self.left == 0 {
            self.turn = Some(turns.now()?);
            self.left = TOGETHER;
        }
        self.left -= 1;
        self.turn.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_turn_keeps_its_place_while_other_things_happen() {
        let all = LoadSemaphore::many(1);
        let (mut first, mut second) = (LoadPermitQueue::of(&all), LoadPermitQueue::of(&all));
        let taken = second.now().expect("one is free");
        assert!(first.next(Instant::now()).now_or_never().is_none());
        assert!(second.next(Instant::now()).now_or_never().is_none());
        drop(taken);
        yield_now().await;
        assert!(second.now().is_none(), "the first was there before");
        let turn = first.now().expect("its turn");
        drop(turn);
        yield_now().await;
        assert!(second.now().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_free_again_when_its_last_saga_has_left() {
        let mut turns = LoadPermitQueue::of(&LoadSemaphore::many(1));
        let mut lent = LoadPermitShare::default();
        let shares: Vec<LoadPermit> = std::iter::from_fn(|| lent.next_clone(&mut turns)).collect();
        assert_eq!(shares.len(), TOGETHER, "more sagas than a turn is for");
        drop(lent);
        let last = shares.into_iter().next_back();
        yield_now().await;
        assert!(turns.now().is_none(), "one of them is in memory");
        drop(last);
        yield_now().await;
        assert!(turns.now().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_saga_that_waits_for_its_participant_does_not_keep_others_from_theirs() {
        let mut turns = LoadPermitQueue::of(&LoadSemaphore::many(1));
        let hangs = turns.now().expect("one is free").into_working();
        let asked = Instant::now();
        assert!(turns.next(asked).await.is_some());
        assert_eq!(asked.elapsed(), AT_WORK);
        drop(hangs);
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_frees_a_turn_while_the_store_is_away() {
        let mut turns = LoadPermitQueue::of(&LoadSemaphore::many(1));
        let pending_commit = turns.now().expect("one is free");
        assert!(timeout(AT_WORK * 100, turns.next(Instant::now())).await.is_err());
        drop(pending_commit.into_working());
        assert!(turns.next(Instant::now()).await.is_some());
    }
}
