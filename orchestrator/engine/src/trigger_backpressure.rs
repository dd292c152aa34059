//! New sagas are not let in while too many wait for a topic that they would publish to: each of those is a place in a
//! line.

use super::partition_holds::PartitionHolds;
use saga_base::sync::UnpoisonedMutex;
use saga_core::{
    definition::{SagaDefinition, StepAction},
    state::SagaPlan,
};
use saga_wire::{KafkaRecord, TopicPartition};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use tokio::sync::watch;
use tracing::{info, warn};

/// The partitions of triggers that are held back for it.
#[derive(Debug)]
pub(super) struct TriggerBackpressure {
    topics: watch::Receiver<BTreeSet<Arc<str>>>,
    held: UnpoisonedMutex<HashSet<TopicPartition>>,
    holds: PartitionHolds,
}

impl TriggerBackpressure {
    pub(super) fn new(topics: watch::Receiver<BTreeSet<Arc<str>>>, holds: PartitionHolds) -> TriggerBackpressure {
        TriggerBackpressure { topics, held: UnpoisonedMutex::default(), holds }
    }

    /// Reads no more of the record's partition, once it is clear that what `plan` starts would only wait. What was read
    /// already goes on.
    pub(super) fn hold_back(&self, plan: &SagaPlan, record: &KafkaRecord) {
        let Some(topic) = self.of(&plan.definition) else { return };
        let partition = TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition };
        if self.held.lock().insert(partition.clone()) {
            warn!(%partition, waits_for = %topic, "too many sagas wait for a topic: the partition is paused until \
             there are fewer");
            self.holds.hold(&partition);
        }
    }

    /// Releases the partitions when fewer sagas wait. Never ends while the guards live.
    pub(super) async fn follow(self: Arc<TriggerBackpressure>) {
        let mut topics = self.topics.clone();
        while topics.changed().await.is_ok() {
            // Those that are still held back for another topic are held again by their next record.
            let held = std::mem::take(&mut *self.held.lock());
            if !held.is_empty() {
                info!(partitions = held.len(), "the topics that sagas wait for have changed: partitions go on");
                for partition in &held {
                    self.holds.release(partition);
                }
            }
        }
    }

    /// The topic of `definition` for which too many wait, if there is one.
    fn of(&self, definition: &SagaDefinition) -> Option<Arc<str>> {
        let crowded = self.topics.borrow();
        if crowded.is_empty() {
            return None;
        }
        published(definition).find_map(|topic| crowded.get(topic).map(Arc::clone))
    }
}

fn published(definition: &SagaDefinition) -> impl Iterator<Item = &str> {
    let steps = definition.steps.iter().filter_map(|step| match &step.action {
        StepAction::Publish { topic, .. } => Some(topic.as_str()),
        StepAction::Call(_) | StepAction::Wait(_) => None,
    });
    let outcomes = [&definition.on_completed, &definition.on_compensated];
    steps.chain(outcomes.into_iter().flatten().map(|event| event.topic.as_str()))
}
