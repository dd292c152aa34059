//! Which offset may be committed: the lowest that is not finished.

use std::collections::{BTreeSet, HashMap};

/// Where a record lay, and during which assignment it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandOffset {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) assignment: u64,
}

/// Records that are at work, by partition. As many as are in the lanes.
#[derive(Debug, Default)]
pub(super) struct CommitTracker {
    assignment: u64,
    partitions: HashMap<(String, i32), PartitionProgress>,
}

#[derive(Debug, Default)]
struct PartitionProgress {
    at_work: BTreeSet<i64>,
    next: i64,
}

impl CommitTracker {
    /// A record is being worked on. A new assignment forgets the records of the one before: the new owner of the
    /// partition reads them again.
    pub(super) fn begin(&mut self, place: &CommandOffset) {
        if place.assignment != self.assignment {
            self.assignment = place.assignment;
            self.partitions.clear();
        }
        let partition = self.partitions.entry((place.topic.clone(), place.partition)).or_default();
        partition.at_work.insert(place.offset);
        partition.next = partition.next.max(place.offset + 1);
    }

    /// A record is finished. Returns the offset that may be committed: the lowest of the partition that is not
    /// finished. `None`: the record belongs to an earlier assignment.
    pub(super) fn finish(&mut self, place: &CommandOffset) -> Option<i64> {
        if place.assignment != self.assignment {
            return None;
        }
        let partition = self.partitions.get_mut(&(place.topic.clone(), place.partition))?;
        partition.at_work.remove(&place.offset);
        Some(partition.at_work.first().copied().unwrap_or(partition.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64, assignment: u64) -> CommandOffset {
        CommandOffset { topic: "commands".into(), partition: 0, offset, assignment }
    }

    #[test]
    fn the_lowest_unfinished_record_holds_the_offset() {
        let mut offsets = CommitTracker::default();
        (4..7).for_each(|offset| offsets.begin(&place(offset, 0)));
        assert_eq!(offsets.finish(&place(5, 0)), Some(4));
        assert_eq!(offsets.finish(&place(4, 0)), Some(6));
        assert_eq!(offsets.finish(&place(6, 0)), Some(7));
    }

    #[test]
    fn what_an_earlier_assignment_left_moves_nothing() {
        let mut offsets = CommitTracker::default();
        offsets.begin(&place(4, 0));
        offsets.begin(&place(9, 1));
        assert_eq!(offsets.finish(&place(4, 0)), None);
        assert_eq!(offsets.finish(&place(9, 1)), Some(10));
    }
}
