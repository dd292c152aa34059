//! Records and errors of the client.

use super::{ConsumerLoop, POLL_PAUSED, PollOutcome, inspection::PositionDoubt};
use crate::client_form;
use crate::consumer::{
    ConsumerEvent, DeliveredRecord,
    ack::{AckQueue, RecordAck},
    fingerprint::RecordFingerprint,
    partitions::PartitionTable,
};
use rdkafka::{
    Message,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
};
use saga_wire::record::{KafkaRecord, TopicPartition};
use std::time::Duration;

/// Records of one event: enough to spread the cost of waking the engine, few enough to be worked on at once.
const BATCH_RECORDS: usize = 256;

/// Bytes of one event beyond which no further record is added to it.
const BATCH_BYTES: usize = 1024 * 1024;

/// How long a poll waits for a record. Commands and acknowledgements wait as long.
const POLL: Duration = Duration::from_millis(50);

impl ConsumerLoop {
    /// Polls until a batch is full or nothing is there. Always polls at least once, paused or not: this is what keeps
    /// the member in the group.
    pub(super) fn poll(&mut self) -> PollOutcome {
        let mut wait = if self.partitions.is_over_limit() || self.stop.is_some() { POLL_PAUSED } else { POLL };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut error = None;
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            match self.client.kafka.poll(wait) {
                None => break,
                Some(Err(failed)) => {
                    error = Some(failed);
                    break;
                }
                Some(Ok(message)) => {
                    let name = self.client.names.intern(message.topic());
                    let record = client_form::from_message(&message, name);
                    bytes += record.size();
                    batch.extend(deliver(&mut self.partitions, &self.acks, record));
                }
            }
            if self.partitions.is_over_limit() {
                break;
            }
            wait = Duration::ZERO;
        }
        if !batch.is_empty() {
            self.handle.outbox.push(ConsumerEvent::Records(batch));
        }
        error.map_or(PollOutcome::Continue, |error| self.failed(&error))
    }

    fn failed(&mut self, error: &KafkaError) -> PollOutcome {
        let reason = self.client.kafka.context().take_reason();
        let message = reason.map_or_else(|| error.to_string(), |reason| format!("{error}: {reason}"));
        match error {
            KafkaError::MessageConsumptionFatal(_) => return PollOutcome::Failed(message),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                // The next offset of some partition does not exist, or its log was cut. The client does not say which
                // partition.
                self.inspection.raise_doubt(PositionDoubt::Client);
            }
            // One broker of several, or a lookup that is tried again: if all are gone, the client says so.
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            )
            | KafkaError::PartitionEOF(_) => tracing::debug!(consumer = self.plan.name, message, "kafka client"),
            _ => self.report_error(&message),
        }
        PollOutcome::Continue
    }
}

/// `None`: the partition is not read here any more, or the record is read again later.
fn deliver(partitions: &mut PartitionTable, acks: &AckQueue, record: KafkaRecord) -> Option<DeliveredRecord> {
    let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    let Some(permit) = acks.reserve() else {
        // All partitions are paused by now, so the client did not obey a pause. Waiting for room here would stop the
        // polling.
        partitions.refuse(&partition);
        return None;
    };
    let target = partitions.deliver(&partition, (RecordFingerprint::of(&record), record.timestamp), record.size())?;
    Some(DeliveredRecord { record, ack: RecordAck::new(target, permit) })
}
