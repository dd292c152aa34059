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

#[derive(Debug)]
pub(super) struct AssignedPartition {
    pub(super) generation: u64,
    /// The offset after the last delivered record; where reading began if there is none.
    pub(super) next: i64,
    pub(super) watermark: OffsetWatermark,
    /// Of what is finished; goes with every commit of the partition.
    pub(super) proof: PositionProof,
    /// Was there at the last check: everything since was read from one log if it still is.
    pub(super) anchor: Option<RecordFingerprint>,
    /// The last delivered record.
    pub(super) newest: Option<RecordFingerprint>,
    /// After the last record that could be read at the last check.
    pub(super) end: i64,
    /// What the client says of it.
    pub(super) fetched: Option<FetchProgress>,
    /// Since when an open transaction holds back what is next.
    pub(super) held_since: Option<Instant>,
    /// What was next at the last check that found more, and since when it is.
    pub(super) stalled: Option<(i64, Instant)>,
    /// Bytes of records that are not finished.
    pub(super) unfinished_bytes: usize,
    /// It has its share of what may be unfinished.
    full: bool,
    /// The client was told not to read it.
    pub(super) paused: bool,
    /// Whether everything from the oldest unfinished record on has to be read again.
    pub(super) reread: RereadState,
}

/// Why a partition has to be read again from its oldest unfinished record. What comes later in this list includes what
/// comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RereadState {
    /// It has not.
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

    /// A check found that all of it is of one log.
    pub(super) fn confirm(&mut self, newest: Option<RecordFingerprint>, extent: OffsetRange, now: Instant) {
        self.update_stall(extent.end, now);
        // One that was delivered since the question is evidence still.
        self.anchor = newest.or(self.anchor);
        self.end = extent.end;
        self.proof.low = extent.low;
        self.proof.history.forget_below(extent.low);
    }

    /// Whether it has its share of what may be unfinished. Once it has, it stays until half is finished.
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

    /// Up to where everything was fetched and handed on.
    pub(super) fn fetched_to(&self) -> i64 {
        let nothing_waits = self.watermark.oldest_unfinished().is_none();
        let fetched = self.fetched.filter(|_| nothing_waits).map_or(self.next, |fetched| fetched.next);
        // What the client has fetched and not handed on yet lies between the two.
        if fetched >= self.end { fetched } else { self.next }
    }

    pub(super) fn update_stall(&mut self, end: i64, now: Instant) {
        let at = self.fetched.map_or(self.next, |fetched| fetched.next.max(self.next));
        self.stalled = match self.stalled {
            _ if self.paused || at >= end => None,
            Some((before, since)) if before == at => Some((before, since)),
            Some(_) | None => Some((at, now)),
        };
    }

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
