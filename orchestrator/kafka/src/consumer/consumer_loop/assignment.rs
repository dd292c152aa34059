//! Partitions come and go: by the group's word, by hand, and again when their records were abandoned.

use super::{ASK_AGAIN, ConsumerLoop};
use crate::consumer::{
    AssignmentMode, ConsumerEvent,
    context::RebalanceEvent,
    fingerprint::PositionProof,
    inspector::InspectionRequest,
    log_reader::{list, partitions_in},
    partitions::OffsetCommit,
    record_loss::RecordLoss,
    start_positions::{StartOrigin, StartPosition},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaResult,
};
use saga_wire::record::TopicPartition;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Before abandoned records are read again, so that a fault that repeats does not spin.
const REREAD_AFTER: Duration = Duration::from_secs(1);

/// One question that intake itself asks. Short, because nothing else is polled meanwhile; a slow broker is asked again.
const ASK: Duration = Duration::from_secs(3);

/// How often partitions are listed anew when they are assigned by hand: as fast as a person adds them.
const LIST_EVERY: Duration = Duration::from_secs(30);

impl ConsumerLoop {
    pub(super) fn handle_rebalances(&mut self) {
        while let Some(rebalance) = self.client.context().next_rebalance() {
            match rebalance {
                RebalanceEvent::Assign(partitions) => {
                    self.pending.get_or_insert_default().extend(partitions);
                    self.ask_at = Instant::now();
                    if self.client.closed() || self.stop.is_some() {
                        self.decline_assignment();
                    }
                }
                RebalanceEvent::Revoke(partitions) => {
                    self.collect_acks();
                    if let Err(error) = self.unassign(partitions) {
                        tracing::warn!(consumer = self.plan.name, %error, "partitions could not be given back");
                    }
                }
            }
        }
    }

    /// The group must get its answer even when nothing will be read any more.
    fn decline_assignment(&mut self) {
        self.pending = None;
        if let Err(error) = self.client.incremental_assign(&TopicPartitionList::new()) {
            tracing::debug!(consumer = self.plan.name, %error, "assignment not answered");
        }
    }

    pub(super) fn unassign(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        for unbegun in [&mut self.pending, &mut self.inspection.starting].into_iter().flatten() {
            unbegun.retain(|one| !partitions.contains(one));
        }
        // The group has to get its answer all the same.
        if let Err(error) = self.resume_before_unassigning(&partitions) {
            tracing::warn!(consumer = self.plan.name, %error, "paused partitions that are given back could not be resumed");
        }
        let held: Vec<TopicPartition> = partitions.into_iter().filter(|one| self.partitions.revoke(one)).collect();
        let answered = self.client.incremental_unassign(&list(held.iter().map(|one| (one, Offset::Invalid)))?);
        self.outbox.push_back(ConsumerEvent::Revoked(held));
        answered
    }

    pub(super) fn list_partitions(&mut self) {
        let now = Instant::now();
        if self.plan.mode == AssignmentMode::Group || self.stop.is_some() || now < self.list_at {
            return;
        }
        self.list_at = now + LIST_EVERY;
        let mut wanted = Vec::new();
        for start in &self.plan.topics {
            let found = self.client.fetch_metadata(Some(&start.topic), ASK);
            match found.and_then(|found| partitions_in(&found, &start.topic)) {
                Ok(found) => wanted.extend(found),
                Err(error) => {
                    self.list_at = now + ASK_AGAIN;
                    let message = format!("partitions of {} cannot be listed: {error}", start.topic);
                    return self.report_error(&message);
                }
            }
        }
        let is_begun = |one: &TopicPartition| self.inspection.starting.as_ref().is_some_and(|all| all.contains(one));
        wanted.retain(|one| !self.partitions.contains(one) && !is_begun(one));
        if !wanted.is_empty() {
            self.pending = Some(wanted);
        }
    }

    pub(super) fn request_start_positions(&mut self) {
        if self.stop.is_some() || self.inspector.is_pending() || Instant::now() < self.ask_at {
            return;
        }
        match self.pending.take() {
            None => {}
            Some(wanted) if wanted.is_empty() => self.on_start_positions(wanted, Ok(Vec::new())),
            Some(wanted) => {
                self.inspection.starting = Some(wanted.clone());
                self.inspector.request(InspectionRequest::StartPositions { wanted, topics: self.plan.topics.clone() });
            }
        }
    }

    /// What was given up since the question is left out; of what came since, the next question asks.
    pub(super) fn on_start_positions(
        &mut self,
        wanted: Vec<TopicPartition>,
        positions: KafkaResult<Vec<StartPosition>>,
    ) {
        let still = self.inspection.starting.take().unwrap_or(wanted);
        let positions = positions.map(|all| all.into_iter().filter(|one| still.contains(&one.partition)).collect());
        if self.stop.is_some() {
            return;
        }
        if let Err(error) = positions.and_then(|positions| self.start_reading(positions)) {
            self.ask_at = Instant::now() + ASK_AGAIN;
            self.pending.get_or_insert_default().extend(still);
            self.report_error(&format!("it cannot be told where partitions begin: {error}"));
        }
    }

    fn start_reading(&mut self, positions: Vec<StartPosition>) -> KafkaResult<()> {
        let offsets = positions.iter().map(|one| (&one.partition, Offset::Offset(one.next)));
        self.client.incremental_assign(&list(offsets)?)?;
        self.commit_start_positions(&positions);
        let mut contacts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        let assigned = positions.iter().map(|one| one.partition.clone()).collect();
        for StartPosition { partition, next, end, proof, beginning } in positions {
            match beginning {
                StartOrigin::Committed => {}
                StartOrigin::FirstContact(records) => *contacts.entry(partition.topic.clone()).or_default() += records,
                StartOrigin::Reset { expected, verdict } => {
                    self.report_loss(&partition, expected, next, RecordLoss::of(verdict, expected, next, 0));
                }
            }
            self.partitions.assign(partition, next, end, proof);
        }
        self.outbox.extend(contacts.into_iter().map(|(topic, records)| ConsumerEvent::FirstContact { topic, records }));
        self.outbox.push_back(ConsumerEvent::Assigned(assigned));
        Ok(())
    }

    /// Commits where reading begins if that is not where it was committed, before anything is finished: else a restart would meet the
    /// topic once more, later. Said outright, because the client by itself never commits an offset lower than the last.
    fn commit_start_positions(&self, positions: &[StartPosition]) {
        let new = positions.iter().filter(|one| one.beginning != StartOrigin::Committed);
        self.commit_now(new.map(|one| OffsetCommit {
            partition: one.partition.clone(),
            offset: one.next,
            metadata: one.proof.to_string(),
        }));
    }

    pub(super) fn commit_now(&self, all: impl Iterator<Item = OffsetCommit>) {
        let all: Vec<OffsetCommit> = all.collect();
        if all.is_empty() {
            return;
        }
        let Some(list) = self.store_offsets(all) else { return };
        if let Err(error) = self.client.commit(&list, CommitMode::Async) {
            tracing::warn!(consumer = self.plan.name, %error, "the offset where reading begins is not committed");
        }
    }

    pub(super) fn reread_abandoned(&mut self) {
        let abandoned = self.partitions.abandoned_partitions();
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
                self.report_error(&format!("{partition} cannot be read again: {error}"));
            }
        }
    }

    pub(super) fn reread(&mut self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let (_, proof) = self.partitions.reread_position(partition).unwrap_or_default();
        self.read_from(partition, offset, offset, proof)
    }

    pub(super) fn read_from(
        &mut self,
        partition: &TopicPartition,
        next: i64,
        end: i64,
        proof: PositionProof,
    ) -> KafkaResult<()> {
        self.resume_before_unassigning([partition])?;
        self.client.incremental_unassign(&list([(partition, Offset::Invalid)])?)?;
        self.client.incremental_assign(&list([(partition, Offset::Offset(next))])?)?;
        self.partitions.assign(partition.clone(), next, end, proof);
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
        self.client.resume(&list(paused.into_iter().map(|one| (one, Offset::Invalid)))?)
    }
}
