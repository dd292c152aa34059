//! One partition that is read here. Pure.

use crate::consumer::{
    PartitionLimit,
    continuity::{ClaimedPosition, OffsetRange},
    fingerprint::{FingerprintHistory, PositionProof, RecordFingerprint},
    inspector::InspectionDepth,
    statistics::FetchProgress,
    status::{PartitionStatus, PauseReason},
    watermark::OffsetWatermark,
};
use saga_wire::record::TopicPartition;
use std::time::Instant;

/// What is known of one partition in one assignment. A new assignment of the same partition begins with a new value.
#[derive(Debug)]
pub(super) struct AssignedPartition {
    /// Number of the assignment, unique within the consumer.
    pub(super) generation: u64,
    /// Offset after the last delivered record. The start position while there is none.
    pub(super) next: i64,
    pub(super) watermark: OffsetWatermark,
    /// Evidence for the committed offset; is part of every commit of the partition.
    pub(super) proof: PositionProof,
    /// A record that was in the log at the last check. If the log still has it, everything since was read from the same
    /// log.
    pub(super) anchor: Option<RecordFingerprint>,
    /// The last delivered record.
    pub(super) newest: Option<RecordFingerprint>,
    /// Offset after the last record that could be read at the last check.
    pub(super) end: i64,
    /// What the client's statistics last said of it.
    pub(super) fetched: Option<FetchProgress>,
    /// Since when an open transaction holds back the next record.
    pub(super) held_since: Option<Instant>,
    /// Offset at which the client stood at the last check although there was more to read, and since when it stands
    /// there.
    pub(super) stalled: Option<(i64, Instant)>,
    /// Bytes of records that are not finished.
    pub(super) unfinished_bytes: usize,
    /// Its limit of unfinished records is reached. Kept, because it ends at half and not at the limit.
    full: bool,
    /// Whether the consumer ordered the client to pause it. Changed by
    /// [`PartitionTable::pause_change`](super::PartitionTable::pause_change) only.
    pub(super) paused: bool,
    /// Whether everything from the oldest unfinished record on has to be read again.
    pub(super) reread: RereadState,
}

/// Why a partition has to be read again from its oldest unfinished record. What comes later in this list includes what
/// comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RereadState {
    /// The partition does not have to be read again.
    NotNeeded,
    /// A record was abandoned. It holds the committed offset, so those after it may be delivered meanwhile.
    Abandoned,
    /// A record was read and not delivered. Nothing holds the committed offset below those after it, so they must not
    /// be delivered.
    Gap,
}

impl AssignedPartition {
    pub(super) fn new(generation: u64, next: i64, end: i64, proof: PositionProof) -> AssignedPartition {
        AssignedPartition {
            generation,
            next,
            watermark: OffsetWatermark::default(),
            anchor: proof.newest(),
            newest: proof.newest(),
            proof,
            end,
            fetched: None,
            held_since: None,
            stalled: None,
            unfinished_bytes: 0,
            full: false,
            paused: false,
            reread: RereadState::NotNeeded,
        }
    }

    pub(super) fn must_reread(&mut self, why: RereadState) {
        self.reread = self.reread.max(why);
    }

    /// A check found one log from the anchor to `newest`, and the range that it holds.
    pub(super) fn confirm(&mut self, newest: Option<RecordFingerprint>, extent: OffsetRange, now: Instant) {
        self.update_stall(extent.end, now);
        // `None` if no record was delivered before the request. A record that was delivered since is compared by the
        // next check.
        self.anchor = newest.or(self.anchor);
        self.end = extent.end;
        self.proof.low = extent.low;
        self.proof.history.forget_below(extent.low);
    }

    /// Whether its limit is reached. Once it is, it stays until half is finished: every pause throws away what the
    /// client prefetched.
    pub(super) fn is_full(&mut self, share: PartitionLimit) -> bool {
        let (records, bytes) = (self.watermark.beyond_oldest(), self.unfinished_bytes);
        self.full = if self.full {
            records > share.records / 2 || bytes > share.bytes / 2
        } else {
            records >= share.records || bytes >= share.bytes
        };
        self.full
    }

    /// The oldest record that is not finished.
    pub(super) fn unfinished_from(&self) -> i64 {
        self.watermark.oldest_unfinished().unwrap_or(self.next)
    }

    /// The offset up to which everything was fetched and delivered.
    pub(super) fn fetched_to(&self) -> i64 {
        let nothing_waits = self.watermark.oldest_unfinished().is_none();
        let fetched = self.fetched.filter(|_| nothing_waits).map_or(self.next, |fetched| fetched.next);
        // Between the two may lie records that the client has fetched and not delivered yet.
        if fetched >= self.end { fetched } else { self.next }
    }

    /// A check found records up to `end`. Progress is measured at the client's fetch position, because a compacted or
    /// aborted range delivers no records.
    pub(super) fn update_stall(&mut self, end: i64, now: Instant) {
        let at = self.fetched.map_or(self.next, |fetched| fetched.next.max(self.next));
        self.stalled = match self.stalled {
            _ if self.paused || at >= end => None,
            Some((before, since)) if before == at => Some((before, since)),
            Some(_) | None => Some((at, now)),
        };
    }

    /// The client reports how far it has fetched. While `stable` stays below `high` and everything before it was
    /// fetched, a transaction is open.
    pub(super) fn update_fetched(&mut self, fetched: FetchProgress, now: Instant) {
        let is_held = fetched.high > fetched.stable && fetched.next >= fetched.stable;
        let moved = self.fetched.is_none_or(|before| before.stable != fetched.stable);
        self.held_since = match self.held_since {
            _ if !is_held => None,
            Some(since) if !moved => Some(since),
            Some(_) | None => Some(now),
        };
        self.fetched = Some(fetched);
    }

    pub(super) fn status(&self, partition: TopicPartition, pause: Option<PauseReason>) -> PartitionStatus {
        let fetched = self.fetched.unwrap_or_default();
        let end = self.end.max(fetched.stable);
        PartitionStatus {
            partition,
            next: self.next,
            finished: self.unfinished_from(),
            end,
            held_back: u64::try_from(fetched.high - end).unwrap_or(0),
            caught_up: self.watermark.oldest_unfinished().is_none() && self.fetched_to() >= end,
            pause,
            held_since: self.held_since,
            stalled_since: self.stalled.map(|(_, since)| since),
            oldest_written_at: self.watermark.oldest_written_at(),
        }
    }

    pub(super) fn claim(&self, depth: InspectionDepth) -> ClaimedPosition {
        let low = self.proof.low;
        match depth {
            InspectionDepth::Newest => ClaimedPosition {
                next: self.next,
                proof: PositionProof { low, history: FingerprintHistory::of(self.anchor) },
            },
            InspectionDepth::Whole => {
                let mut history = self.proof.history.clone();
                history.extend([self.anchor, self.newest].into_iter().flatten());
                ClaimedPosition { next: self.unfinished_from(), proof: PositionProof { low, history } }
            }
        }
    }
}
