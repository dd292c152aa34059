//! Turns to work on sagas because their time has come: of all shards together, so that a herd that falls due at once does not fill the memory.

use futures_util::FutureExt as _;
use std::{fmt, pin::Pin, sync::Arc};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

/// Leave to bring one saga into memory. Free again when it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

type Asked = Pin<Box<dyn Future<Output = Option<Turn>> + Send>>;

/// One shard's place among those that wait for turns.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    /// Kept while other things happen: who asks anew goes behind the others.
    asked: Option<Asked>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("asked", &self.asked.is_some()).finish_non_exhaustive()
    }
}

impl Turns {
    pub(super) fn of(all: &Arc<Semaphore>) -> Turns {
        Turns { all: Arc::clone(all), asked: None }
    }

    /// A turn, not before `at`. Dropping the future keeps the place.
    pub(super) async fn next(&mut self, at: Instant) -> Option<Turn> {
        if self.asked.is_none() {
            sleep_until(at).await;
        }
        let all = &self.all;
        let asked = self.asked.get_or_insert_with(|| Box::pin(Arc::clone(all).acquire_owned().map(Result::ok)));
        let turn = asked.await;
        self.asked = None;
        turn
    }

    /// A turn that is free now.
    pub(super) fn now(&mut self) -> Option<Turn> {
        match &mut self.asked {
            None => Arc::clone(&self.all).try_acquire_owned().ok(),
            Some(asked) => {
                let turn = asked.as_mut().now_or_never()?;
                self.asked = None;
                turn
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_turn_keeps_its_place_while_other_things_happen() {
        let all = Arc::new(Semaphore::new(1));
        let (mut first, mut second) = (Turns::of(&all), Turns::of(&all));
        let taken = second.now().expect("one is free");
        assert!(first.next(Instant::now()).now_or_never().is_none());
        assert!(second.next(Instant::now()).now_or_never().is_none());
        drop(taken);
        assert!(second.now().is_none(), "the first was there before");
        let turn = first.now().expect("its turn");
        drop(turn);
        assert!(second.now().is_some());
    }
}
