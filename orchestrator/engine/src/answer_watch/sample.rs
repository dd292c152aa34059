//! Where partitions ended at some point, and whether they have been read up to there. Pure.

use saga_core::time::Timestamp;
use saga_wire::TopicPartition;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// A partition that is not finished up to its end and has not moved for this long may end with what is no record: the
/// marker of a transaction. Longer than the time after which another engine's reading shows at the broker.
const STUCK: Duration = Duration::from_millis(1_500);

/// The end offsets of partitions at one moment, and which partitions are not read up to them.
#[derive(Debug)]
pub(super) struct EndOffsetSample {
    /// The time when the broker was asked for them.
    pub(super) at: Timestamp,
    /// When that was on the clock that never jumps.
    pub(super) taken: Instant,
    unread: HashMap<TopicPartition, UnreadPartition>,
}

/// A partition that is not known to be read up to its end.
#[derive(Debug)]
struct UnreadPartition {
    end: i64,
    finished: Option<i64>,
    moved: Instant,
    is_marked: bool,
}

impl EndOffsetSample {
    pub(super) fn new(at: Timestamp, ends: HashMap<TopicPartition, i64>, now: Instant) -> EndOffsetSample {
        let left = |end| UnreadPartition { end, finished: None, moved: now, is_marked: false };
        let left =
            ends.into_iter().filter(|(_, end)| *end > 0).map(|(partition, end)| (partition, left(end))).collect();
        EndOffsetSample { at, taken: now, unread: left }
    }

    /// Partitions that are finished up to where they ended are left out from now on.
    pub(super) fn finished<'a>(&mut self, all: impl IntoIterator<Item = (&'a TopicPartition, i64)>, now: Instant) {
        for (partition, finished) in all {
            let Some(left) = self.unread.get_mut(partition) else { continue };
            if left.finished != Some(finished) {
                (left.finished, left.moved) = (Some(finished), now);
            }
            if finished >= left.end {
                self.unread.remove(partition);
            }
        }
    }

    pub(super) fn is_read(&self) -> bool {
        self.unread.is_empty()
    }

    /// The partitions that are not known to be finished up to their ends.
    pub(super) fn unread(&self) -> impl Iterator<Item = &TopicPartition> {
        self.unread.keys()
    }

    /// Those that have not moved for long and are to be marked, each once.
    pub(super) fn stuck(&mut self, now: Instant) -> Vec<TopicPartition> {
        let stuck =
            self.unread.iter_mut().filter(|(_, left)| !left.is_marked && now.duration_since(left.moved) >= STUCK);
        stuck
            .map(|(partition, left)| {
                left.is_marked = true;
                partition.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(partition: i32) -> TopicPartition {
        TopicPartition { topic: "replies".into(), partition }
    }

    fn sample(now: Instant) -> EndOffsetSample {
        EndOffsetSample::new(Timestamp(1), [(replies(0), 5), (replies(1), 0), (replies(2), 3)].into(), now)
    }

    #[test]
    fn all_is_read_when_every_partition_is_finished_up_to_its_end() {
        let now = Instant::now();
        let mut sample = sample(now);
        sample.finished([(&replies(0), 4), (&replies(2), 3)], now);
        assert_eq!(sample.unread().collect::<Vec<_>>(), [&replies(0)]);
        sample.finished([(&replies(0), 9), (&replies(7), 0)], now);
        assert!(sample.is_read());
    }

    #[test]
    fn what_does_not_move_is_marked_once() {
        let now = Instant::now();
        let mut sample = sample(now);
        sample.finished([(&replies(0), 4), (&replies(2), 1)], now);
        let later = now + STUCK;
        sample.finished([(&replies(0), 4), (&replies(2), 2)], later);
        assert_eq!(sample.stuck(later), [replies(0)]);
        assert_eq!(sample.stuck(later), []);
        assert_eq!(sample.stuck(later + STUCK), [replies(2)]);
    }
}
