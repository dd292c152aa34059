//! Partitions that consumers hold back, with the number of reasons, and how a consumer follows that.

use saga_kafka::KafkaConsumer;
use saga_wire::TopicPartition;
use std::collections::{HashMap, HashSet};
use tokio::sync::watch;

/// Partitions that have to be held back, each with its number of reasons: dead records that cannot be written yet, and
/// topics for which too many sagas wait. This is a state and not a series of orders: a consumer that looks late misses
/// nothing.
type HoldCounts = HashMap<TopicPartition, usize>;

/// Counts the reasons to hold partitions back. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionHolds(watch::Sender<HoldCounts>);

impl PartitionHolds {
    /// Holds the partition back for one more reason. Returns whether this is its first reason.
    pub(crate) fn hold(&self, partition: &TopicPartition) -> bool {
        let mut is_first = false;
        self.0.send_modify(|all| is_first = hold(all, partition));
        is_first
    }

    /// Holds the partition back until the guard is dropped.
    pub(crate) fn guard(&self, partition: &TopicPartition) -> HoldGuard {
        self.hold(partition);
        HoldGuard { holds: self.clone(), partition: partition.clone() }
    }

    #[cfg(test)]
    pub(crate) fn is_held(&self, partition: &TopicPartition) -> bool {
        self.0.borrow().contains_key(partition)
    }

    /// Removes one reason. Returns whether it was the last one: then the partition is read again.
    pub(crate) fn release(&self, partition: &TopicPartition) -> bool {
        let mut is_last = false;
        self.0.send_modify(|all| is_last = release(all, partition));
        is_last
    }
}

/// One reason to hold a partition back, until it is dropped.
#[derive(Debug)]
pub(crate) struct HoldGuard {
    holds: PartitionHolds,
    partition: TopicPartition,
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        self.holds.release(&self.partition);
    }
}

/// Holds and releases the partitions of one consumer as the counts demand.
#[derive(Debug)]
pub(crate) struct ConsumerHolds {
    wanted: watch::Receiver<HoldCounts>,
    held: HashSet<TopicPartition>,
}

impl ConsumerHolds {
    pub(crate) fn new(holds: &PartitionHolds) -> ConsumerHolds {
        ConsumerHolds { wanted: holds.0.subscribe(), held: HashSet::new() }
    }

    /// Returns when something may have changed; never when nothing can any more.
    pub(crate) async fn changed(&mut self) {
        if self.wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Makes the consumer hold exactly what the counts demand.
    pub(crate) fn apply(&mut self, consumer: &KafkaConsumer) {
        let wanted: HashSet<TopicPartition> = self.wanted.borrow_and_update().keys().cloned().collect();
        for partition in wanted.difference(&self.held) {
            consumer.hold(partition.clone());
        }
        for partition in self.held.difference(&wanted) {
            consumer.release(partition);
        }
        self.held = wanted;
    }
}

fn hold(held: &mut HoldCounts, partition: &TopicPartition) -> bool {
    let reasons = held.entry(partition.clone()).or_default();
    *reasons += 1;
    *reasons == 1
}

fn release(held: &mut HoldCounts, partition: &TopicPartition) -> bool {
    let reasons = held.get(partition).map_or(0, |reasons| reasons.saturating_sub(1));
    if reasons == 0 {
        return held.remove(partition).is_some();
    }
    held.insert(partition.clone(), reasons);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_held_while_any_of_its_letters_waits() {
        let (holds, partition) = (PartitionHolds::default(), TopicPartition { topic: "orders".into(), partition: 3 });
        assert!(holds.hold(&partition) && !holds.hold(&partition));
        assert!(!holds.release(&partition));
        assert_eq!(holds.0.borrow().get(&partition), Some(&1));
        assert!(holds.release(&partition) && holds.0.borrow().is_empty());
    }
}
