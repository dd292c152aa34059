//! Partitions come and go: when the group assigns them, by hand, and again when their records were abandoned.

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

/// One request that the intake thread itself makes. Short, because nothing is polled meanwhile; a slow broker is asked
/// again.
const ASK: Duration = Duration::from_secs(3);

/// Pause before the broker is asked again where partitions begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How often partitions are listed where they are assigned by hand: about as fast as a person adds partitions.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// Which partitions are about to be read, and when the broker is asked about them.
#[derive(Debug)]
pub(super) struct AssignmentSchedule {
    /// Partitions that were assigned and whose start position is not known yet. An empty list differs from `None`: the
    /// group assigned nothing, and expects an answer.
    pending: Option<Vec<TopicPartition>>,
    /// Partitions of the open request for start positions, without those that were taken away since.
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
    /// Takes what the group wants. An assignment is answered when the start positions are known; a revocation at once.
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
                    // What is settled by now is committed together with the partition; the next owner begins after it.
                    self.collect_acks();
                    if let Err(error) = self.unassign(partitions) {
                        tracing::warn!(consumer = self.plan.name, %error, "partitions could not be given back");
                    }
                }
            }
        }
    }

    /// Answers an assignment without reading. The group waits for the answer even when nothing will be read any more.
    fn decline_assignment(&mut self) {
        self.assignment.pending = None;
        if let Err(error) = self.client.kafka.incremental_assign(&TopicPartitionList::new()) {
            tracing::debug!(consumer = self.plan.name, %error, "assignment not answered");
        }
    }

    /// Gives partitions back, those included whose start position is not known yet. The engine gets
    /// [`ConsumerEvent::Revoked`] also if the client refuses.
    pub(super) fn unassign(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        for unbegun in [&mut self.assignment.pending, &mut self.assignment.starting].into_iter().flatten() {
            unbegun.retain(|one| !partitions.contains(one));
        }
        // A failure here must not keep the group from getting its answer.
        if let Err(error) = self.resume_before_unassigning(&partitions) {
            tracing::warn!(consumer = self.plan.name, %error, "paused partitions could not be resumed before they are \
                given back");
        }
        let held: Vec<TopicPartition> = partitions.into_iter().filter(|one| self.partitions.revoke(one)).collect();
        let answered = self.client.kafka.incremental_unassign(&list(held.iter().map(|one| (one, Offset::Invalid)))?);
        // Before the error is returned: the records of these partitions are not finished here any more in any case.
        self.handle.outbox.push(ConsumerEvent::Revoked(held));
        answered
    }

    /// Where partitions are assigned by hand, new ones are found by listing all of them.
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
        // A partition whose start position was requested is neither in the table nor pending. Requested twice, it would
        // be begun twice.
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

    /// The inspector has answered. Partitions that were taken away since the request are left out. Partitions that came
    /// since are part of the next request.
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
            self.report_error(&format!("the start positions of partitions cannot be read: {error}"));
        }
    }

    /// Assigns the partitions to the client at these positions. The order matters: first the client, so that a refusal
    /// leaves the table as it was and the request is repeated; then the commit of new positions, before any record of
    /// them can be finished.
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

    /// Commits start positions that differ from the committed offset. Otherwise a restart before the first record is
    /// finished would take the topic for a new one, and begin later. Committed at once, because the client by itself
    /// never commits an offset that is lower than the last one.
    fn commit_start_positions(&self, positions: &[StartPosition]) {
        let new = positions.iter().filter(|one| one.beginning != StartOrigin::Committed);
        self.commit_now(new.map(|one| OffsetCommit {
            partition: one.partition.clone(),
            offset: one.next,
            metadata: one.proof.to_string(),
        }));
    }

    /// Resumes paused partitions before they are unassigned, because the client keeps a pause beyond an unassignment.
    ///
    /// Not after the next assignment: librdkafka starts that in a thread of its own, once the old fetch has stopped. A
    /// pause or a resumption in that moment makes it drop the start as outdated, and the partition would never be read
    /// again.
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
