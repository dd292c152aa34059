//! The partitions that are read here, what of them is unfinished, and which have to be paused. Pure.

use super::{
    Limits, Scope,
    ack::{Fate, Settled, Slot},
};
use crate::kafka::{record::TopicPartition, watermark::Watermark};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// All assigned partitions and the totals over them.
#[derive(Debug)]
pub(super) struct Partitions {
    assigned: BTreeMap<TopicPartition, Assigned>,
    generations: u64,
    limits: Limits,
    /// Delivered and not settled, records of partitions that were taken away included: they are still in memory.
    unfinished_records: usize,
    unfinished_bytes: usize,
    pressed: bool,
    holds: HashSet<Scope>,
}

#[derive(Debug)]
struct Assigned {
    generation: u64,
    /// The offset after the last delivered record; where reading began if there is none.
    next: i64,
    watermark: Watermark,
    /// Goes with every commit of the partition.
    metadata: String,
    /// The client was told not to read it.
    paused: bool,
    /// A record was abandoned: everything from the oldest unfinished one has to be read again.
    abandoned: bool,
}

/// What is to be stored for a partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Committable {
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

impl Partitions {
    pub(super) fn new(limits: Limits) -> Partitions {
        Partitions {
            assigned: BTreeMap::new(),
            generations: 0,
            limits,
            unfinished_records: 0,
            unfinished_bytes: 0,
            pressed: false,
            holds: HashSet::new(),
        }
    }

    /// Reading of `partition`, which is not paused, begins at `next`; acknowledgements of earlier assignments of it mean nothing any more.
    pub(super) fn assign(&mut self, partition: TopicPartition, next: i64, metadata: String) {
        self.revoke(&partition);
        self.generations += 1;
        let (generation, watermark) = (self.generations, Watermark::default());
        let begun = Assigned { generation, next, watermark, metadata, paused: false, abandoned: false };
        self.assigned.insert(partition, begun);
    }

    /// Forgets `partition`; false if it was not read here.
    pub(super) fn revoke(&mut self, partition: &TopicPartition) -> bool {
        self.assigned.remove(partition).is_some()
    }

    /// Those of `partitions` that the client was told not to read.
    pub(super) fn paused<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Vec<&'a TopicPartition> {
        let is_paused = |one: &&TopicPartition| self.assigned.get(*one).is_some_and(|assigned| assigned.paused);
        partitions.into_iter().filter(is_paused).collect()
    }

    /// A record was read; the slot to acknowledge it by, or nothing if the partition is not read here any more.
    pub(super) fn deliver(&mut self, partition: &TopicPartition, offset: i64, bytes: usize) -> Option<Slot> {
        let assigned = self.assigned.get_mut(partition)?;
        assigned.watermark.deliver(offset);
        assigned.next = offset + 1;
        self.unfinished_records += 1;
        self.unfinished_bytes += bytes;
        Some(Slot { partition: partition.clone(), generation: assigned.generation, offset, bytes })
    }

    /// A record is settled; what may be committed because of it.
    pub(super) fn settle(&mut self, settled: Settled) -> Option<Committable> {
        let Settled { slot, fate } = settled;
        self.unfinished_records = self.unfinished_records.saturating_sub(1);
        self.unfinished_bytes = self.unfinished_bytes.saturating_sub(slot.bytes);
        let assigned = self.assigned.get_mut(&slot.partition).filter(|one| one.generation == slot.generation)?;
        match fate {
            Fate::Abandoned => {
                assigned.abandoned = true;
                None
            }
            Fate::Finished => {
                let offset =
                    assigned.watermark.finish(slot.offset).then(|| assigned.watermark.committable()).flatten()?;
                Some(Committable { partition: slot.partition, offset, metadata: assigned.metadata.clone() })
            }
        }
    }

    /// Partitions with abandoned records, and where each has to be read again. None that must not be read now in any case: a partition must
    /// not be paused while it is being begun again.
    pub(super) fn abandoned(&self) -> Vec<(TopicPartition, i64)> {
        if self.pressed || self.holds.contains(&Scope::All) {
            return Vec::new();
        }
        let held: BTreeSet<&TopicPartition> = self.holds.iter().filter_map(Scope::partition).collect();
        let broken = self.assigned.iter().filter(|(_, assigned)| assigned.abandoned);
        broken
            .filter(|(partition, _)| !held.contains(partition))
            .map(|(partition, assigned)| {
                (partition.clone(), assigned.watermark.oldest_unfinished().unwrap_or(assigned.next))
            })
            .collect()
    }

    /// Has `partition` read again from its oldest unfinished record.
    pub(super) fn abandon(&mut self, partition: &TopicPartition) {
        if let Some(assigned) = self.assigned.get_mut(partition) {
            assigned.abandoned = true;
        }
    }

    /// What goes with every commit of the partition.
    pub(super) fn metadata(&self, partition: &TopicPartition) -> String {
        self.assigned.get(partition).map(|assigned| assigned.metadata.clone()).unwrap_or_default()
    }

    /// Every partition and the offset that is to be read next.
    pub(super) fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.assigned.iter().map(|(partition, assigned)| (partition.clone(), assigned.next)).collect()
    }

    /// The partitions that are read here.
    pub(super) fn list(&self) -> Vec<TopicPartition> {
        self.assigned.keys().cloned().collect()
    }

    /// Whether `partition` is read here.
    pub(super) fn contains(&self, partition: &TopicPartition) -> bool {
        self.assigned.contains_key(partition)
    }

    pub(super) fn hold(&mut self, scope: Scope) {
        self.holds.insert(scope);
    }

    pub(super) fn release(&mut self, scope: &Scope) {
        self.holds.remove(scope);
    }

    /// Whether so much is unfinished that nothing more may be read. Once it is, it stays until half is finished: a pause throws
    /// away what was prefetched, so it must not flicker.
    pub(super) fn pressed(&mut self) -> bool {
        let (records, bytes) = (self.unfinished_records, self.unfinished_bytes);
        let Limits { unfinished_records, unfinished_bytes } = self.limits;
        self.pressed = if self.pressed {
            records > unfinished_records / 2 || bytes > unfinished_bytes / 2
        } else {
            records >= unfinished_records || bytes >= unfinished_bytes
        };
        self.pressed
    }

    /// What has to change so that exactly the partitions that must not be read are paused; `all` pauses every one.
    pub(super) fn pause_change(&mut self, all: bool) -> PauseChange {
        let all = all || self.pressed() || self.holds.contains(&Scope::All);
        let held: BTreeSet<&TopicPartition> = self.holds.iter().filter_map(Scope::partition).collect();
        let mut change = PauseChange::default();
        for (partition, assigned) in &mut self.assigned {
            let wanted = all || assigned.abandoned || held.contains(partition);
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

    /// Assigned and paused.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.assigned.len(), self.assigned.values().filter(|assigned| assigned.paused).count())
    }
}

impl Scope {
    fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Scope::All => None,
            Scope::Partition(partition) => Some(partition),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(partition: i32) -> TopicPartition {
        TopicPartition { topic: "shop.orders".into(), partition }
    }

    fn two_partitions() -> Partitions {
        let mut partitions = Partitions::new(Limits { unfinished_records: 4, unfinished_bytes: 100 });
        partitions.assign(orders(0), 0, String::new());
        partitions.assign(orders(1), 0, String::new());
        partitions
    }

    fn finished(slot: Slot) -> Settled {
        Settled { slot, fate: Fate::Finished }
    }

    #[test]
    fn too_much_unfinished_pauses_everything_until_half_is_finished() {
        let mut partitions = two_partitions();
        let mut slots: Vec<Slot> = (0..4).filter_map(|offset| partitions.deliver(&orders(0), offset, 1)).collect();
        assert_eq!(partitions.pause_change(false).pause, [orders(0), orders(1)]);
        partitions.settle(finished(slots.remove(0)));
        assert_eq!(partitions.pause_change(false), PauseChange::default());
        partitions.settle(finished(slots.remove(0)));
        assert_eq!(partitions.pause_change(false).resume, [orders(0), orders(1)]);
    }

    #[test]
    fn bytes_press_as_records_do() {
        let mut partitions = two_partitions();
        partitions.deliver(&orders(0), 0, 100);
        assert!(partitions.pressed());
    }

    #[test]
    fn a_partition_that_comes_back_is_paused_anew_and_ignores_its_past() {
        let mut partitions = two_partitions();
        partitions.hold(Scope::Partition(orders(0)));
        assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
        let slot = partitions.deliver(&orders(0), 5, 1).expect("assigned");
        partitions.revoke(&orders(0));
        partitions.assign(orders(0), 5, String::new());
        assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
        assert_eq!(partitions.settle(finished(slot)), None);
        assert_eq!(partitions.unfinished(), (0, 0));
        partitions.release(&Scope::Partition(orders(0)));
        assert_eq!(partitions.pause_change(false).resume, [orders(0)]);
    }

    #[test]
    fn a_partition_that_was_taken_away_paused_comes_back_unpaused_and_is_paused_if_it_still_must_not_be_read() {
        let mut partitions = two_partitions();
        partitions.hold(Scope::Partition(orders(0)));
        partitions.pause_change(false);
        assert_eq!(partitions.paused(&[orders(0), orders(1)]), [&orders(0)]);
        partitions.revoke(&orders(0));
        partitions.assign(orders(0), 5, String::new());
        assert!(partitions.paused(&[orders(0)]).is_empty());
        assert_eq!(partitions.pause_change(false).pause, [orders(0)]);
    }

    #[test]
    fn what_was_abandoned_is_not_begun_again_while_it_must_not_be_read() {
        let mut partitions = two_partitions();
        let slot = partitions.deliver(&orders(1), 10, 1).expect("assigned");
        partitions.settle(Settled { slot, fate: Fate::Abandoned });
        for scope in [Scope::All, Scope::Partition(orders(1))] {
            partitions.hold(scope.clone());
            assert_eq!(partitions.abandoned(), []);
            partitions.release(&scope);
            assert_eq!(partitions.abandoned(), [(orders(1), 10)]);
        }
    }

    #[test]
    fn an_abandoned_record_is_read_again_from_the_oldest_unfinished_one() {
        let mut partitions = two_partitions();
        let first = partitions.deliver(&orders(1), 10, 1).expect("assigned");
        let second = partitions.deliver(&orders(1), 11, 1).expect("assigned");
        partitions.settle(Settled { slot: second, fate: Fate::Abandoned });
        assert_eq!(partitions.abandoned(), [(orders(1), 10)]);
        let committable = partitions.settle(finished(first)).expect("the beginning is finished");
        assert_eq!(committable.offset, 11);
        assert_eq!(partitions.abandoned(), [(orders(1), 11)]);
        assert_eq!(partitions.pause_change(false).pause, [orders(1)]);
    }
}
