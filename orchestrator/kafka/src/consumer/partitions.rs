//! The partitions that are read here, what of them is unfinished, and which have to be paused. Pure.

mod assigned;

use super::{
    BackpressureLimits,
    ack::{AckResult, AckState, AckTarget},
    continuity::OffsetRange,
    fingerprint::{PositionProof, RecordFingerprint},
    inspector::{InspectedPartition, InspectionDepth},
    statistics::FetchProgress,
    status::{PartitionStatus, PauseReason},
};
use assigned::{AssignedPartition, RereadState};
use saga_core::time::Timestamp;
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// All assigned partitions and the totals over them.
#[derive(Debug)]
pub(super) struct PartitionTable {
    assigned: BTreeMap<TopicPartition, AssignedPartition>,
    generations: u64,
    limits: BackpressureLimits,
    /// Delivered and not settled, records of partitions that were taken away included: they are still in memory.
    unfinished_records: usize,
    unfinished_bytes: usize,
    over_limit: bool,
    /// Not read whatever else holds: the engine says so.
    held: BTreeSet<TopicPartition>,
}

/// What is to be stored for a partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OffsetCommit {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) metadata: String,
}

/// Partitions whose reading is to be stopped or taken up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PauseChange {
    pub(super) pause: Vec<TopicPartition>,
    pub(super) resume: Vec<TopicPartition>,
}

impl PartitionTable {
    pub(super) fn new(limits: BackpressureLimits) -> PartitionTable {
        PartitionTable {
            assigned: BTreeMap::new(),
            generations: 0,
            limits,
            unfinished_records: 0,
            unfinished_bytes: 0,
            over_limit: false,
            held: BTreeSet::new(),
        }
    }

    /// Reading of `partition`, which is not paused, begins at `next`; acknowledgements of earlier assignments of it
    /// mean nothing any more.
    pub(super) fn assign(&mut self, partition: TopicPartition, next: i64, end: i64, proof: PositionProof) {
        self.revoke(&partition);
        self.generations += 1;
        let begun = AssignedPartition::new(self.generations, next, end, proof);
        self.assigned.insert(partition, begun);
    }

    /// Forgets `partition`; false if it was not read here.
    pub(super) fn revoke(&mut self, partition: &TopicPartition) -> bool {
        self.assigned.remove(partition).is_some()
    }

    /// Those of `partitions` that the client does not read, as the consumer ordered.
    pub(super) fn paused<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Vec<&'a TopicPartition> {
        let is_paused = |one: &&TopicPartition| self.assigned.get(*one).is_some_and(|assigned| assigned.paused);
        partitions.into_iter().filter(is_paused).collect()
    }

    /// A record was read; the target to acknowledge it by, or nothing if the partition is not read here any more.
    pub(super) fn deliver(
        &mut self,
        partition: &TopicPartition,
        (fingerprint, written_at): (RecordFingerprint, Timestamp),
        bytes: usize,
    ) -> Option<AckTarget> {
        let assigned = self.assigned.get_mut(partition).filter(|assigned| assigned.reread != RereadState::Gap)?;
        let offset = fingerprint.offset;
        assigned.watermark.deliver(fingerprint, written_at);
        assigned.anchor.get_or_insert(fingerprint);
        assigned.newest = Some(fingerprint);
        assigned.next = offset + 1;
        assigned.unfinished_bytes += bytes;
        self.unfinished_records += 1;
        self.unfinished_bytes += bytes;
        Some(AckTarget { partition: partition.clone(), generation: assigned.generation, offset, bytes })
    }

    /// A record is settled; the partition of which more may be committed because of it.
    pub(super) fn settle(&mut self, settled: AckResult) -> Option<TopicPartition> {
        let AckResult { target, state } = settled;
        self.unfinished_records = self.unfinished_records.saturating_sub(1);
        self.unfinished_bytes = self.unfinished_bytes.saturating_sub(target.bytes);
        let assigned = self.assigned.get_mut(&target.partition).filter(|one| one.generation == target.generation)?;
        assigned.unfinished_bytes = assigned.unfinished_bytes.saturating_sub(target.bytes);
        match state {
            AckState::Abandoned => {
                assigned.must_reread(RereadState::Abandoned);
                None
            }
            AckState::Finished => assigned.watermark.finish(target.offset).then_some(target.partition),
        }
    }

    /// What may be committed of `partition`, with its proof.
    pub(super) fn committable(&mut self, partition: &TopicPartition) -> Option<OffsetCommit> {
        let assigned = self.assigned.get_mut(partition)?;
        let last = assigned.watermark.last()?;
        assigned.proof.history.push(last);
        let metadata = assigned.proof.to_string();
        Some(OffsetCommit { partition: partition.clone(), offset: last.offset + 1, metadata })
    }

    /// Partitions with abandoned records, and where each has to be read again. None that must not be read now in any
    /// case: a partition must not be paused while it is being begun again.
    pub(super) fn abandoned_partitions(&self) -> Vec<(TopicPartition, i64)> {
        if self.over_limit {
            return Vec::new();
        }
        let broken = self.assigned.iter().filter(|(_, assigned)| assigned.reread != RereadState::NotNeeded);
        broken
            .filter(|(partition, _)| !self.held.contains(partition))
            .map(|(partition, assigned)| (partition.clone(), assigned.unfinished_from()))
            .collect()
    }

    /// Has `partition` read again from its oldest unfinished record.
    pub(super) fn mark_abandoned(&mut self, partition: &TopicPartition) {
        if let Some(assigned) = self.assigned.get_mut(partition) {
            assigned.must_reread(RereadState::Abandoned);
        }
    }

    /// A record of `partition` was read that cannot be delivered now. Nothing after it is delivered before it is read
    /// again: else its offset would be committed with those that follow.
    pub(super) fn refuse(&mut self, partition: &TopicPartition) {
        if let Some(assigned) = self.assigned.get_mut(partition) {
            assigned.must_reread(RereadState::Gap);
        }
    }

    /// What a check has to look at.
    pub(super) fn inspected(&self, depth: InspectionDepth) -> Vec<InspectedPartition> {
        let all = self.assigned.iter();
        all.map(|(partition, assigned)| InspectedPartition {
            partition: partition.clone(),
            generation: assigned.generation,
            claim: assigned.claim(depth),
            newest: assigned.newest,
        })
        .collect()
    }

    /// Whether `subject` is still the assignment that it was when it was asked about.
    pub(super) fn is_current(&self, subject: &InspectedPartition) -> bool {
        self.assigned.get(&subject.partition).is_some_and(|one| one.generation == subject.generation)
    }

    /// A check found that all of `subject` is of one log.
    pub(super) fn confirm(&mut self, subject: &InspectedPartition, extent: OffsetRange, now: Instant) {
        if let Some(assigned) = self.assigned.get_mut(&subject.partition) {
            assigned.confirm(subject.newest, extent, now);
        }
    }

    /// The client says how far it has fetched.
    pub(super) fn update_fetched(&mut self, all: &BTreeMap<TopicPartition, FetchProgress>, now: Instant) {
        for (partition, assigned) in &mut self.assigned {
            if let Some(fetched) = all.get(partition) {
                assigned.update_fetched(*fetched, now);
            }
        }
    }

    /// How reading of each goes.
    pub(super) fn statuses(&self) -> Vec<PartitionStatus> {
        let status = |(partition, assigned): (&TopicPartition, &AssignedPartition)| {
            let pause = match assigned.paused || self.over_limit {
                false => None,
                true if self.held.contains(partition) => Some(PauseReason::Held),
                true if assigned.reread != RereadState::NotNeeded => Some(PauseReason::ReadAgain),
                true => Some(PauseReason::Unfinished),
            };
            assigned.status(partition.clone(), pause)
        };
        self.assigned.iter().map(status).collect()
    }

    /// How many records that were not read yet are known to have been there.
    pub(super) fn unread(&self, partition: &TopicPartition) -> u64 {
        self.assigned.get(partition).map_or(0, |one| u64::try_from(one.end - one.next).unwrap_or(0))
    }

    /// Where `partition` is read again, and what proves that position.
    pub(super) fn reread_position(&self, partition: &TopicPartition) -> Option<(i64, PositionProof)> {
        let assigned = self.assigned.get(partition)?;
        Some((assigned.unfinished_from(), assigned.proof.clone()))
    }

    /// Every partition and the offset below which all that was there is finished.
    pub(super) fn finished(&self) -> Vec<(TopicPartition, i64)> {
        let finished = |assigned: &AssignedPartition| assigned.watermark.oldest_unfinished().unwrap_or(assigned.next);
        self.assigned.iter().map(|(partition, assigned)| (partition.clone(), finished(assigned))).collect()
    }

    /// The partitions that are read here.
    pub(super) fn list(&self) -> Vec<TopicPartition> {
        self.assigned.keys().cloned().collect()
    }

    /// Whether `partition` is read here.
    pub(super) fn contains(&self, partition: &TopicPartition) -> bool {
        self.assigned.contains_key(partition)
    }

    /// Holds exactly these partitions from now on.
    pub(super) fn set_held(&mut self, held: BTreeSet<TopicPartition>) {
        self.held = held;
    }

    /// Whether so much is unfinished that nothing more may be read. Once it is, it stays until half is finished: a
    /// pause throws away what was prefetched, so it must not flicker.
    pub(super) fn is_over_limit(&mut self) -> bool {
        let (records, bytes) = (self.unfinished_records, self.unfinished_bytes);
        let BackpressureLimits { unfinished_records, unfinished_bytes, of_partition: _ } = self.limits;
        self.over_limit = if self.over_limit {
            records > unfinished_records / 2 || bytes > unfinished_bytes / 2
        } else {
            records >= unfinished_records || bytes >= unfinished_bytes
        };
        self.over_limit
    }

    /// What has to change so that exactly the partitions that must not be read are paused; `all` pauses every one.
    pub(super) fn pause_change(&mut self, all: bool) -> PauseChange {
        let all = all || self.is_over_limit();
        let mut change = PauseChange::default();
        for (partition, assigned) in &mut self.assigned {
            let is_full = assigned.is_full(self.limits.of_partition);
            let wanted = all || is_full || assigned.reread != RereadState::NotNeeded || self.held.contains(partition);
            if wanted != assigned.paused {
                let list = if wanted { &mut change.pause } else { &mut change.resume };
                list.push(partition.clone());
                assigned.paused = wanted;
            }
        }
        change
    }

    pub(super) fn unfinished(&self) -> (usize, usize) {
        (self.unfinished_records, self.unfinished_bytes)
    }

    /// Number of assigned partitions, and how many of them are paused.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.assigned.len(), self.assigned.values().filter(|assigned| assigned.paused).count())
    }
}

#[cfg(test)]
mod tests;
