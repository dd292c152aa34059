//! Partitions come and go: by the group's word, by hand, and again when their records were abandoned.

use super::{ASK_AGAIN, Intake};
use crate::kafka::{
    consumer::{
        ConsumerEvent, Mode,
        context::Rebalance,
        partitions::Committable,
        start::{self, Position},
    },
    record::TopicPartition,
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaResult,
};
use saga_core::time::Timestamp;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Before abandoned records are read again, so that a fault that repeats does not spin.
const REREAD_AFTER: Duration = Duration::from_secs(1);

/// How often partitions are listed anew when they are assigned by hand: as fast as a person adds them.
const LIST_EVERY: Duration = Duration::from_secs(30);

impl Intake {
    pub(super) fn take_rebalances(&mut self) {
        while let Some(rebalance) = self.client.context().next_rebalance() {
            match rebalance {
                Rebalance::Assign(partitions) => {
                    self.pending.get_or_insert_default().extend(partitions);
                    self.ask_at = Instant::now();
                    if self.client.closed() || self.stop.is_some() {
                        self.answer_without_reading();
                    }
                }
                Rebalance::Revoke(partitions) => {
                    self.take_settled();
                    if let Err(error) = self.give_up(partitions) {
                        tracing::warn!(consumer = self.plan.name, %error, "partitions could not be given back");
                    }
                }
            }
        }
    }

    /// The group must get its answer even when nothing will be read any more.
    fn answer_without_reading(&mut self) {
        self.pending = None;
        if let Err(error) = self.client.incremental_assign(&TopicPartitionList::new()) {
            tracing::debug!(consumer = self.plan.name, %error, "assignment not answered");
        }
    }

    pub(super) fn give_up(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        if let Some(pending) = &mut self.pending {
            pending.retain(|one| !partitions.contains(one));
        }
        // The group has to get its answer all the same.
        if let Err(error) = self.resume_before_unassigning(&partitions) {
            tracing::warn!(consumer = self.plan.name, %error, "paused partitions that are given back could not be resumed");
        }
        let held: Vec<TopicPartition> = partitions.into_iter().filter(|one| self.partitions.revoke(one)).collect();
        let answered = self.client.incremental_unassign(&start::list(held.iter().map(|one| (one, Offset::Invalid)))?);
        self.outbox.push_back(ConsumerEvent::Revoked(held));
        answered
    }

    pub(super) fn list_by_hand(&mut self) {
        let now = Instant::now();
        if self.plan.mode == Mode::Group || self.stop.is_some() || now < self.list_at {
            return;
        }
        self.list_at = now + LIST_EVERY;
        let mut wanted = Vec::new();
        for start in &self.plan.topics {
            match start::partitions_of(&self.client, &start.topic) {
                Ok(found) => wanted.extend(found),
                Err(error) => {
                    self.list_at = now + ASK_AGAIN;
                    let message = format!("partitions of {} cannot be listed: {error}", start.topic);
                    return self.complain(&message);
                }
            }
        }
        wanted.retain(|one| !self.partitions.contains(one));
        if !wanted.is_empty() {
            self.pending = Some(wanted);
        }
    }

    pub(super) fn assign_pending(&mut self) {
        if self.pending.is_none() || self.stop.is_some() || Instant::now() < self.ask_at {
            return;
        }
        let wanted = self.pending.take().unwrap_or_default();
        let positions = if wanted.is_empty() {
            Ok(Vec::new())
        } else {
            start::positions(&self.client, &wanted, &self.plan.topics, now_ms())
        };
        if let Err(error) = positions.and_then(|positions| self.begin_at(positions)) {
            self.ask_at = Instant::now() + ASK_AGAIN;
            self.pending = Some(wanted);
            self.complain(&format!("it cannot be told where partitions begin: {error}"));
        }
    }

    fn begin_at(&mut self, positions: Vec<Position>) -> KafkaResult<()> {
        let offsets = positions.iter().map(|one| (&one.partition, Offset::Offset(one.next)));
        self.client.incremental_assign(&start::list(offsets)?)?;
        self.keep_beginnings(&positions);
        let mut contacts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for Position { partition, fresh, .. } in &positions {
            if let Some(records) = fresh {
                *contacts.entry(partition.topic.clone()).or_default() += records;
            }
        }
        let assigned = positions.iter().map(|one| one.partition.clone()).collect();
        for Position { partition, next, metadata, .. } in positions {
            self.partitions.assign(partition, next, metadata);
        }
        self.outbox.extend(contacts.into_iter().map(|(topic, records)| ConsumerEvent::FirstContact { topic, records }));
        self.outbox.push_back(ConsumerEvent::Assigned(assigned));
        Ok(())
    }

    /// Commits where a first contact began, before anything is finished: else a restart would meet the topic once more, later.
    fn keep_beginnings(&self, positions: &[Position]) {
        let fresh = positions.iter().filter(|one| one.fresh.is_some());
        let beginnings: Vec<Committable> = fresh
            .map(|one| Committable {
                partition: one.partition.clone(),
                offset: one.next,
                metadata: one.metadata.clone(),
            })
            .collect();
        if beginnings.is_empty() {
            return;
        }
        let Some(list) = self.store(beginnings) else { return };
        if let Err(error) = self.client.commit(&list, CommitMode::Async) {
            tracing::warn!(consumer = self.plan.name, %error, "the beginning of a first contact is not committed");
        }
    }

    pub(super) fn reread_abandoned(&mut self) {
        let abandoned = self.partitions.abandoned();
        if abandoned.is_empty() || self.stop.is_some() {
            return;
        }
        let now = Instant::now();
        let due = *self.reread_at.get_or_insert(now + REREAD_AFTER);
        if now < due {
            return;
        }
        self.reread_at = None;
        for (partition, offset) in abandoned {
            tracing::warn!(consumer = self.plan.name, %partition, offset, "records were abandoned and are read again");
            if let Err(error) = self.reread(&partition, offset) {
                self.complain(&format!("{partition} cannot be read again: {error}"));
            }
        }
    }

    pub(super) fn reread(&mut self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let metadata = self.partitions.metadata(partition);
        self.resume_before_unassigning([partition])?;
        self.client.incremental_unassign(&start::list([(partition, Offset::Invalid)])?)?;
        self.client.incremental_assign(&start::list([(partition, Offset::Offset(offset))])?)?;
        self.partitions.assign(partition.clone(), offset, metadata);
        Ok(())
    }

    /// The client keeps pauses beyond an unassignment, so they are lifted before it. Not after the next assignment: librdkafka starts that
    /// once the last has stopped, in a thread of its own, and a pause or a resumption that it meets just then makes it drop the start as
    /// outdated. Such a partition would never be read again.
    fn resume_before_unassigning<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> KafkaResult<()> {
        let paused = self.partitions.paused(partitions);
        if paused.is_empty() {
            return Ok(());
        }
        self.client.resume(&start::list(paused.into_iter().map(|one| (one, Offset::Invalid)))?)
    }
}

fn now_ms() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
