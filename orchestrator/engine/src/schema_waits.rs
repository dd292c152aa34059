//! Partitions whose next record waits for a schema: the records behind it wait in order, and other partitions go on.

use super::partition_holds::PartitionHolds;
use saga_base::sync::UnpoisonedMutex;
use saga_kafka::RecordAck;
use saga_wire::{KafkaRecord, TopicPartition};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// A wait that is longer holds the partition back. A registry that works answers within it.
pub(super) const HOLD_AFTER: Duration = Duration::from_millis(200);

/// A record that waits for its turn.
pub(super) type WaitingRecord = (Arc<KafkaRecord>, RecordAck);

/// The records that wait, by partition. Each counts as unfinished in its consumer, which bounds them.
#[derive(Debug)]
pub(super) struct SchemaWaits {
    waiting: UnpoisonedMutex<HashMap<TopicPartition, VecDeque<WaitingRecord>>>,
    holds: PartitionHolds,
}

impl SchemaWaits {
    pub(super) fn new(holds: PartitionHolds) -> SchemaWaits {
        SchemaWaits { waiting: UnpoisonedMutex::default(), holds }
    }

    /// Lets the record wait if others of its partition do; `Some`: none does, and here it is again.
    pub(super) fn join(&self, waiting: WaitingRecord) -> Option<WaitingRecord> {
        match self.waiting.lock().get_mut(&waiting.0.topic_partition()) {
            None => Some(waiting),
            Some(others) => {
                others.push_back(waiting);
                None
            }
        }
    }

    /// The first record of a partition waits. The caller takes it and then what [`SchemaWaits::next`] gives.
    pub(super) fn begin(&self, partition: &TopicPartition) {
        self.waiting.lock().insert(partition.clone(), VecDeque::new());
    }

    /// The next record of the partition; `None`: there is none, and the partition's records wait no more.
    pub(super) fn next(&self, partition: &TopicPartition) -> Option<WaitingRecord> {
        let mut waiting = self.waiting.lock();
        let next = waiting.get_mut(partition).and_then(VecDeque::pop_front);
        if next.is_none() {
            waiting.remove(partition);
        }
        next
    }

    /// Forgets the records of partitions that are read elsewhere now.
    pub(super) fn forget(&self, partitions: &[TopicPartition]) {
        let mut waiting = self.waiting.lock();
        for partition in partitions {
            waiting.get_mut(partition).into_iter().for_each(VecDeque::clear);
        }
    }

    /// Runs `work`, and holds the partition back where that takes long.
    pub(super) async fn holding<T>(&self, partition: &TopicPartition, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        if let Ok(done) = tokio::time::timeout(HOLD_AFTER, &mut work).await {
            return done;
        }
        let _held = self.holds.guard(partition);
        work.await
    }
}

#[cfg(test)]
mod tests;
