//! When which saga has to be looked at again: one entry per saga, so that a million waiting sagas cost two small
//! entries each.

use saga_core::{id::SagaId, state::SagaTimers, time::Timestamp};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// Stale entries that are not worth the making of a new heap.
const MOST_STALE: usize = 1024;

/// The timers and the deadlines of one shard: a deadline has to wait until answers have been read up to it.
#[derive(Debug, Default)]
pub(super) struct DueTimes {
    timers: TimerQueue,
    deadlines: TimerQueue,
}

impl DueTimes {
    /// Replaces the saga's due times; what is `None` is removed.
    pub(super) fn set(&mut self, saga: SagaId, dues: SagaTimers) {
        self.timers.set(saga, dues.timer);
        self.deadlines.set(saga, dues.deadline);
    }

    /// The saga is to be looked at, from `at` on, whatever timer it has. Its deadline stays.
    pub(super) fn look_at(&mut self, saga: SagaId, at: Timestamp) {
        self.timers.set(saga, Some(at));
    }

    /// Removes and returns the next saga that has a timer at `now`, or a deadline up to which answers have been read.
    pub(super) fn pop(&mut self, now: Timestamp, read_until: Timestamp) -> Option<SagaId> {
        self.timers.pop(now).or_else(|| self.deadlines.pop(now.min(read_until)))
    }

    /// When something is due next by the clock; what only waits for answers to be read is not.
    pub(super) fn next(&mut self, now: Timestamp, read_until: Timestamp) -> Option<Timestamp> {
        let deadline = self.deadlines.next().filter(|deadline| *deadline > now || *deadline <= read_until);
        self.timers.next().into_iter().chain(deadline).min()
    }

    /// Every saga that has any; some of them twice.
    pub(super) fn sagas(&self) -> impl Iterator<Item = SagaId> {
        self.timers.sagas().chain(self.deadlines.sagas())
    }

    /// Whether the saga has a timer or a deadline.
    pub(super) fn has(&self, saga: SagaId) -> bool {
        self.timers.has(saga) || self.deadlines.has(saga)
    }

    /// Whether a deadline waits for answers to be read.
    pub(super) fn waits_for_answers(&mut self, now: Timestamp, read_until: Timestamp) -> bool {
        self.deadlines.next().is_some_and(|deadline| deadline <= now && deadline > read_until)
    }
}

/// The due times of sagas, at most one for each saga.
#[derive(Debug, Default)]
struct TimerQueue {
    queue: BinaryHeap<Reverse<(Timestamp, SagaId)>>,
    current: HashMap<SagaId, Timestamp>,
}

impl TimerQueue {
    /// Replaces the saga's due time; `None` removes it.
    fn set(&mut self, saga: SagaId, due: Option<Timestamp>) {
        let Some(due) = due else {
            self.current.remove(&saga);
            return;
        };
        if self.current.insert(saga, due) != Some(due) {
            self.queue.push(Reverse((due, saga)));
            self.keep_small();
        }
    }

    /// Stale entries come up at their own time only, which can be far off: once they are the most, the heap is made
    /// anew.
    fn keep_small(&mut self) {
        if self.queue.len() > 2 * self.current.len() + MOST_STALE {
            self.queue = self.current.iter().map(|(saga, due)| Reverse((*due, *saga))).collect();
        }
    }

    /// The earliest due time.
    fn next(&mut self) -> Option<Timestamp> {
        self.drop_stale();
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// Every saga that has a due time.
    fn sagas(&self) -> impl Iterator<Item = SagaId> {
        self.current.keys().copied()
    }

    /// Whether the saga has a due time.
    fn has(&self, saga: SagaId) -> bool {
        self.current.contains_key(&saga)
    }

    /// Removes and returns the next saga that is due at `now`.
    fn pop(&mut self, now: Timestamp) -> Option<SagaId> {
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
    use saga_core::id::ShardId;

    fn saga(n: u64) -> SagaId {
        SagaId::new(Timestamp(1), ShardId(0), n << 2)
    }

    #[test]
    fn a_replaced_due_time_fires_once() {
        let mut due = TimerQueue::default();
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
        let mut due = TimerQueue::default();
        due.set(saga(1), Some(Timestamp(50)));
        due.set(saga(1), None);
        assert_eq!(due.next(), None);
        assert_eq!(due.pop(Timestamp(100)), None);
    }

    #[test]
    fn a_deadline_waits_until_answers_have_been_read_up_to_it() {
        let mut due = DueTimes::default();
        due.set(saga(1), SagaTimers { timer: None, deadline: Some(Timestamp(50)) });
        due.set(saga(2), SagaTimers { timer: Some(Timestamp(60)), deadline: Some(Timestamp(70)) });
        assert_eq!(due.next(Timestamp(40), Timestamp(10)), Some(Timestamp(50)));
        assert!(!due.waits_for_answers(Timestamp(49), Timestamp(10)));
        assert!(due.waits_for_answers(Timestamp(55), Timestamp(49)));
        assert_eq!(due.next(Timestamp(55), Timestamp(49)), Some(Timestamp(60)));
        assert_eq!(due.next(Timestamp(55), Timestamp(50)), Some(Timestamp(50)));
        assert_eq!(due.pop(Timestamp(60), Timestamp(49)), Some(saga(2)));
        assert_eq!(due.pop(Timestamp(60), Timestamp(49)), None);
        assert_eq!(due.pop(Timestamp(60), Timestamp(50)), Some(saga(1)));
        assert_eq!(due.pop(Timestamp(100), Timestamp(69)), None);
        assert_eq!(due.pop(Timestamp(100), Timestamp(100)), Some(saga(2)));
    }
}
