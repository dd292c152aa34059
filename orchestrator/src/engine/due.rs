//! When which saga has to be looked at again: one entry per saga, so that a million waiting sagas cost two small entries each.

use saga_core::{id::SagaId, time::Timestamp};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Stale entries that are not worth the making of a new heap.
const MOST_STALE: usize = 1024;

/// The timers of one shard.
#[derive(Debug, Default)]
pub(super) struct DueTimes {
    queue: BinaryHeap<Reverse<(Timestamp, SagaId)>>,
    current: HashMap<SagaId, Timestamp>,
}

impl DueTimes {
    /// Replaces the saga's due time; `None` removes it.
    pub(super) fn set(&mut self, saga: SagaId, due: Option<Timestamp>) {
        let Some(due) = due else {
            self.current.remove(&saga);
            return;
        };
        if self.current.insert(saga, due) != Some(due) {
            self.queue.push(Reverse((due, saga)));
            self.keep_small();
        }
    }

    /// Stale entries come up at their own time only, which can be far off: once they are the most, the heap is made anew.
    fn keep_small(&mut self) {
        if self.queue.len() > 2 * self.current.len() + MOST_STALE {
            self.queue = self.current.iter().map(|(saga, due)| Reverse((*due, *saga))).collect();
        }
    }

    /// The earliest due time.
    pub(super) fn next(&mut self) -> Option<Timestamp> {
        self.drop_stale();
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Every saga that has one.
    pub(super) fn sagas(&self) -> impl Iterator<Item = SagaId> {
        self.current.keys().copied()
    }

    /// Whether the saga has one.
    pub(super) fn has(&self, saga: SagaId) -> bool {
        self.current.contains_key(&saga)
    }

    /// Removes and returns the next saga that is due at `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<SagaId> {
        self.drop_stale();
        let Reverse((due, saga)) = *self.queue.peek()?;
        if due > now {
            return None;
        }
        self.queue.pop();
        self.current.remove(&saga);
        Some(saga)
    }

    /// Entries that were replaced or removed stay in the heap until they come up: a heap cannot remove from its middle.
    fn drop_stale(&mut self) {
        while let Some(Reverse((due, saga))) = self.queue.peek() {
            if self.current.get(saga) == Some(due) {
                return;
            }
            self.queue.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::id::Shard;

    fn saga(n: u64) -> SagaId {
        SagaId::new(Timestamp(1), Shard(0), n << 2)
    }

    #[test]
    fn a_replaced_due_time_fires_once() {
        let mut due = DueTimes::default();
        due.set(saga(1), Some(Timestamp(50)));
        due.set(saga(1), Some(Timestamp(80)));
        due.set(saga(2), Some(Timestamp(60)));
        assert_eq!(due.next(), Some(Timestamp(60)));
        assert_eq!(due.pop(Timestamp(59)), None);
        assert_eq!(due.pop(Timestamp(100)), Some(saga(2)));
        assert_eq!(due.pop(Timestamp(100)), Some(saga(1)));
        assert_eq!(due.pop(Timestamp(100)), None);
    }

    #[test]
    fn a_removed_due_time_never_fires() {
        let mut due = DueTimes::default();
        due.set(saga(1), Some(Timestamp(50)));
        due.set(saga(1), None);
        assert_eq!(due.next(), None);
        assert_eq!(due.pop(Timestamp(100)), None);
    }
}
