//! What may be committed of a partition: everything below the lowest record that is not finished.

use super::fingerprint::RecordFingerprint;
use saga_core::time::Timestamp;
use std::collections::VecDeque;

/// The records of one partition, in one assignment, that were delivered and are not all finished. Pure.
///
/// Offsets need not be contiguous: compaction and transaction markers leave gaps, which count as finished.
#[derive(Debug, Default)]
pub(super) struct OffsetWatermark {
    /// Delivered records in the order of their offsets, from the oldest unfinished one on. Finished ones stay until all
    /// before them are finished.
    open: VecDeque<WatermarkEntry>,
    /// The newest record below which everything is finished.
    last: Option<RecordFingerprint>,
}

#[derive(Debug)]
struct WatermarkEntry {
    fingerprint: RecordFingerprint,
    written_at: Timestamp,
    finished: bool,
}

impl OffsetWatermark {
    /// A record was delivered. Offsets rise within an assignment; one that does not was delivered before, and is not
    /// counted again.
    pub(super) fn deliver(&mut self, fingerprint: RecordFingerprint, written_at: Timestamp) {
        let seen = self.open.back().map(|last| last.fingerprint.offset).max(self.last.map(|last| last.offset));
        if seen.is_none_or(|last| fingerprint.offset > last) {
            self.open.push_back(WatermarkEntry { fingerprint, written_at, finished: false });
        }
    }

    /// A record is finished. Repeats, and offsets that were never delivered, change nothing. True if more may be
    /// committed than before.
    pub(super) fn finish(&mut self, offset: i64) -> bool {
        if let Ok(index) = self.open.binary_search_by_key(&offset, |entry| entry.fingerprint.offset) {
            self.open[index].finished = true;
        }
        self.advance()
    }

    /// The last record of the finished beginning: the offset after it is what to commit. `None` until there is one.
    pub(super) fn last(&self) -> Option<RecordFingerprint> {
        self.last
    }

    /// The lowest delivered record that is not finished.
    pub(super) fn oldest_unfinished(&self) -> Option<i64> {
        self.open.front().map(|entry| entry.fingerprint.offset)
    }

    /// The timestamp of this record; `None`: there is none, or it has none.
    pub(super) fn oldest_written_at(&self) -> Option<Timestamp> {
        self.open.front().map(|entry| entry.written_at).filter(|at| at.0 >= 0)
    }

    /// Records that were delivered, from the oldest unfinished one on.
    pub(super) fn beyond_oldest(&self) -> usize {
        self.open.len()
    }

    /// Moves over the finished records at the front. Stops at the first unfinished one: an offset above it would skip
    /// it after a crash.
    fn advance(&mut self) -> bool {
        let before = self.last;
        while let Some(entry) = self.open.pop_front_if(|entry| entry.finished) {
            self.last = Some(entry.fingerprint);
        }
        self.last != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::btree_set, prelude::*, sample::Index};
    use std::collections::BTreeSet;

    fn record(offset: i64) -> RecordFingerprint {
        RecordFingerprint { offset, digest: 0 }
    }

    impl OffsetWatermark {
        fn committable(&self) -> Option<i64> {
            self.last().map(|last| last.offset + 1)
        }
    }

    #[test]
    fn nothing_is_committable_before_the_first_record_is_finished() {
        let mut watermark = OffsetWatermark::default();
        watermark.deliver(record(7), Timestamp(1));
        watermark.deliver(record(8), Timestamp(1));
        assert!(!watermark.finish(8));
        assert_eq!((watermark.committable(), watermark.oldest_unfinished()), (None, Some(7)));
        assert_eq!(watermark.oldest_written_at(), Some(Timestamp(1)));
        assert!(watermark.finish(7));
        assert_eq!((watermark.committable(), watermark.oldest_unfinished()), (Some(9), None));
    }

    #[test]
    fn a_record_that_was_committed_is_not_counted_again() {
        let mut watermark = OffsetWatermark::default();
        watermark.deliver(record(7), Timestamp(1));
        watermark.finish(7);
        watermark.deliver(record(7), Timestamp(1));
        assert_eq!(watermark.oldest_unfinished(), None);
    }

    proptest! {
        /// Whatever the gaps, the order and the repeats: below the committable offset everything is finished, and it is
        /// as high as it can be.
        #[test]
        fn the_finished_beginning_is_exactly_what_may_be_committed(
            offsets in btree_set(0i64..500, 1..60),
            picks in prop::collection::vec(any::<Index>(), 0..120),
        ) {
            let offsets: Vec<i64> = offsets.into_iter().collect();
            let mut watermark = OffsetWatermark::default();
            offsets.iter().for_each(|offset| watermark.deliver(record(*offset), Timestamp(1)));
            let mut finished = BTreeSet::new();
            for pick in picks {
                let offset = *pick.get(&offsets);
                finished.insert(offset);
                let before = watermark.committable();
                let moved = watermark.finish(offset);
                prop_assert_eq!(moved, watermark.committable() != before);
                let beginning = offsets.iter().take_while(|offset| finished.contains(offset));
                let expected = beginning.last().map(|last| last + 1);
                prop_assert_eq!(watermark.committable(), expected);
                let oldest = offsets.iter().find(|offset| !finished.contains(offset)).copied();
                prop_assert_eq!(watermark.oldest_unfinished(), oldest);
            }
        }
    }
}
