//! Partitions that are read again from a position, because records were abandoned or because the topic has another log.

use super::ConsumerLoop;
use crate::consumer::{fingerprint::PositionProof, log_reader::list};
use rdkafka::{Offset, consumer::Consumer, error::KafkaResult};
use saga_wire::record::TopicPartition;
use std::time::{Duration, Instant};

/// Pause before abandoned records are read again, so that a fault that repeats does not become a busy loop.
const REREAD_AFTER: Duration = Duration::from_secs(1);

impl ConsumerLoop {
    /// The pause begins with the first abandoned record, and covers all that are abandoned until it ends.
    pub(super) fn reread_abandoned(&mut self) {
        let abandoned = self.partitions.abandoned_partitions();
        if abandoned.is_empty() || self.stop.is_some() {
            return;
        }
        let now = Instant::now();
        let due = *self.assignment.reread_at.get_or_insert(now + REREAD_AFTER);
        if now < due {
            return;
        }
        self.assignment.reread_at = None;
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

    /// Reads `partition` from `next` on as a new assignment: acknowledgements of records that were delivered before
    /// change nothing any more.
    pub(super) fn read_from(
        &mut self,
        partition: &TopicPartition,
        next: i64,
        end: i64,
        proof: PositionProof,
    ) -> KafkaResult<()> {
        self.resume_before_unassigning([partition])?;
        self.client.kafka.incremental_unassign(&list([(partition, Offset::Invalid)])?)?;
        self.client.kafka.incremental_assign(&list([(partition, Offset::Offset(next))])?)?;
        self.partitions.assign(partition.clone(), next, end, proof);
        Ok(())
    }
}
