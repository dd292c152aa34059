//! Offsets on their way to the broker: of finished records, and of start positions.

use super::ConsumerLoop;
use crate::consumer::partitions::OffsetCommit;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
};
use saga_wire::record::TopicPartition;
use std::collections::BTreeSet;

impl ConsumerLoop {
    /// Takes what was settled since. Where more may be committed, the client commits it within its interval, or when
    /// the partition is given back.
    pub(super) fn collect_acks(&mut self) {
        let mut advanced: BTreeSet<TopicPartition> = BTreeSet::new();
        while let Some(settled) = self.acks.collect() {
            advanced.extend(self.partitions.settle(settled));
        }
        let committable: Vec<OffsetCommit> =
            advanced.iter().filter_map(|partition| self.partitions.committable(partition)).collect();
        if !committable.is_empty() {
            self.store_offsets(committable);
        }
    }

    /// Commits without waiting for the interval, also an offset below the last one: the client by itself never commits
    /// that.
    pub(super) fn commit_now(&self, all: impl Iterator<Item = OffsetCommit>) {
        let all: Vec<OffsetCommit> = all.collect();
        if all.is_empty() {
            return;
        }
        let Some(list) = self.store_offsets(all) else { return };
        if let Err(error) = self.client.kafka.commit(&list, CommitMode::Async) {
            tracing::warn!(consumer = self.plan.name, %error, "the offset where reading begins is not committed");
        }
    }

    fn store_offsets(&self, all: impl IntoIterator<Item = OffsetCommit>) -> Option<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for OffsetCommit { partition, offset, metadata } in all {
            let mut element = list.add_partition(&partition.topic, partition.partition);
            element.set_offset(Offset::Offset(offset)).ok()?;
            element.set_metadata(metadata);
        }
        // Refused for partitions that were revoked meanwhile: their new owner reads the records again.
        if let Err(error) = self.client.kafka.store_offsets(&list) {
            tracing::debug!(consumer = self.plan.name, %error, "offsets not stored");
        }
        Some(list)
    }
}
