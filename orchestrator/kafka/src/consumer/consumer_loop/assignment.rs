//! Partitions come and go: by the group's word, by hand, and again when their records were abandoned.

use super::ConsumerLoop;
use crate::consumer::{
    AssignmentMode, ConsumerEvent,
    context::RebalanceEvent,
    inspector::InspectionRequest,
    log_reader::{list, partitions_in},
    partitions::OffsetCommit,
    record_loss::RecordLoss,
    start_positions::{StartOrigin, StartPosition},
};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer, error::KafkaResult};
use saga_wire::record::TopicPartition;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// One question that intake itself asks. Short, because nothing else is polled meanwhile; a slow broker is asked again.
const ASK: Duration = Duration::from_secs(3);

/// Before the broker is asked again where partitions begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How often partitions are listed anew when they are assigned by hand: as fast as a person adds them.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// Which partitions are about to be read, and when the broker is asked about them.
#[derive(Debug)]
pub(super) struct AssignmentSchedule {
    /// Partitions that were assigned and whose start position is not known yet. Empty, but there: the group has none to
    /// give, and is answered.
    pending: Option<Vec<TopicPartition>>,
    /// Partitions of an open request for start positions that were not taken away since.
    starting: Option<Vec<TopicPartition>>,
    /// Before then no start positions are requested.
    ask_at: Instant,
    /// When partitions are listed anew, where they are assigned by hand.
    pub(super) list_at: Instant,
    /// When abandoned records are read again.
    pub(super) reread_at: Option<Instant>,
}

impl AssignmentSchedule {
    pub(super) fn new(now: Instant) -> AssignmentSchedule {
        AssignmentSchedule { pending: None, starting: None, ask_at: now, list_at: now, reread_at: None }
    }
}

impl ConsumerLoop {
    pub(super) fn handle_rebalances(&mut self) {
        while let Some(rebalance) = self.client.kafka.context().next_rebalance() {
            match rebalance {
                RebalanceEvent::Assign(partitions) => {
                    self.assignment.pending.get_or_insert_default().extend(partitions);
                    self.assignment.ask_at = Instant::now();
                    if self.client.kafka.closed() || self.stop.is_some() {
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
        self.assignment.pending = None;
        if let Err(error) = self.client.kafka.incremental_assign(&TopicPartitionList::new()) {
            tracing::debug!(consumer = self.plan.name, %error, "assignment not answered");
        }
    }

    pub(super) fn unassign(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        for unbegun in [&mut self.assignment.pending, &mut self.assignment.starting].into_iter().flatten() {
            unbegun.retain(|one| !partitions.contains(one));
        }
        // The group has to get its answer all the same.
        if let Err(error) = self.resume_before_unassigning(&partitions) {
            tracing::warn!(consumer = self.plan.name, %error, "paused partitions that are given back could not be resumed");
        }
        let held: Vec<TopicPartition> = partitions.into_iter().filter(|one| self.partitions.revoke(one)).collect();
        let answered = self.client.kafka.incremental_unassign(&list(held.iter().map(|one| (one, Offset::Invalid)))?);
        self.handle.outbox.push(ConsumerEvent::Revoked(held));
        answered
    }

    pub(super) fn list_partitions(&mut self) {
        let now = Instant::now();
        if self.plan.mode == AssignmentMode::Group || self.stop.is_some() || now < self.assignment.list_at {
            return;
        }
        self.assignment.list_at = now + LIST_EVERY;
        let mut wanted = Vec::new();
        for start in &self.plan.topics {
            let found = self.client.kafka.fetch_metadata(Some(&start.topic), ASK);
            match found.and_then(|found| partitions_in(&found, &start.topic)) {
                Ok(found) => wanted.extend(found),
                Err(error) => {
                    self.assignment.list_at = now + ASK_AGAIN;
                    let message = format!("partitions of {} cannot be listed: {error}", start.topic);
                    return self.report_error(&message);
                }
            }
        }
        let is_begun = |one: &TopicPartition| self.assignment.starting.as_ref().is_some_and(|all| all.contains(one));
        wanted.retain(|one| !self.partitions.contains(one) && !is_begun(one));
        if !wanted.is_empty() {
            self.assignment.pending = Some(wanted);
        }
    }

    pub(super) fn request_start_positions(&mut self) {
        if self.stop.is_some() || self.inspection.inspector.is_pending() || Instant::now() < self.assignment.ask_at {
            return;
        }
        match self.assignment.pending.take() {
            None => {}
            Some(wanted) if wanted.is_empty() => self.on_start_positions(wanted, Ok(Vec::new())),
            Some(wanted) => {
                self.assignment.starting = Some(wanted.clone());
                self.inspection
                    .inspector
                    .request(InspectionRequest::StartPositions { wanted, topics: self.plan.topics.clone() });
            }
        }
    }

    /// What was given up since the question is left out; of what came since, the next question asks.
    pub(super) fn on_start_positions(
        &mut self,
        wanted: Vec<TopicPartition>,
        positions: KafkaResult<Vec<StartPosition>>,
    ) {
        let still = self.assignment.starting.take().unwrap_or(wanted);
        let positions = positions.map(|all| all.into_iter().filter(|one| still.contains(&one.partition)).collect());
        if self.stop.is_some() {
            return;
        }
        if let Err(error) = positions.and_then(|positions| self.start_reading(positions)) {
            self.assignment.ask_at = Instant::now() + ASK_AGAIN;
            self.assignment.pending.get_or_insert_default().extend(still);
            self.report_error(&format!("it cannot be told where partitions begin: {error}"));
        }
    }

    fn start_reading(&mut self, positions: Vec<StartPosition>) -> KafkaResult<()> {
        let offsets = positions.iter().map(|one| (&one.partition, Offset::Offset(one.next)));
        self.client.kafka.incremental_assign(&list(offsets)?)?;
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
        contacts
            .into_iter()
            .for_each(|(topic, records)| self.handle.outbox.push(ConsumerEvent::FirstContact { topic, records }));
        self.handle.outbox.push(ConsumerEvent::Assigned(assigned));
        Ok(())
    }

    /// Commits where reading begins if that is not where it was committed, before anything is finished: else a restart
    /// would meet the topic once more, later. Said outright, because the client by itself never commits an offset lower
    /// than the last.
    fn commit_start_positions(&self, positions: &[StartPosition]) {
        let new = positions.iter().filter(|one| one.beginning != StartOrigin::Committed);
        self.commit_now(new.map(|one| OffsetCommit {
            partition: one.partition.clone(),
            offset: one.next,
            metadata: one.proof.to_string(),
        }));
    }

    /// The client keeps pauses beyond an unassignment, so they are lifted before it. Not after the next assignment:
    /// librdkafka starts that once the last has stopped, in a thread of its own, and a pause or a resumption that it
    /// meets just then makes it drop the start as outdated. Such a partition would never be read again.
    pub(super) fn resume_before_unassigning<'a>(
        &self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> KafkaResult<()> {
        let paused = self.partitions.paused(partitions);
        if paused.is_empty() {
            return Ok(());
        }
        self.client.kafka.resume(&list(paused.into_iter().map(|one| (one, Offset::Invalid)))?)
    }
}
