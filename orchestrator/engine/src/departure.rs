//! When attempts leave: told by whoever sends them, read by their shard. The time of an attempt runs from there.

use saga_base::clock::Clock;
use saga_core::{state::Departure, time::Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// No time.
const NOT_YET: i64 = i64::MAX;

/// When an attempt left.
#[derive(Clone, Debug)]
pub(super) struct LeavesAt(Arc<AtomicI64>);

/// Held by whoever sends an attempt. Dropped, it has left, or never will by itself.
#[derive(Debug)]
pub(super) struct Leaving {
    at: Arc<AtomicI64>,
    clock: Clock,
}

/// Of an attempt that has not left.
pub(super) fn leaving(clock: Clock) -> (Leaving, LeavesAt) {
    let at = Arc::new(AtomicI64::new(NOT_YET));
    (Leaving { at: Arc::clone(&at), clock }, LeavesAt(at))
}

impl LeavesAt {
    pub(super) fn departure(&self) -> Departure {
        match self.0.load(Ordering::Relaxed) {
            NOT_YET => Departure::NotYet,
            at => Departure::At(Timestamp(at)),
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.at.store(self.clock.now().0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_attempt_has_left_when_nobody_sends_it_any_more() {
        let clock = Clock::since(Timestamp(1_000));
        let (leaving, leaves_at) = leaving(clock);
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        assert_eq!(leaves_at.departure(), Departure::NotYet);
        drop(leaving);
        assert_eq!(leaves_at.departure(), Departure::At(Timestamp(1_005)));
    }
}
