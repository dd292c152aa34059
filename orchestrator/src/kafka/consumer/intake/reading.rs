//! Records and errors of the client.

use super::{Intake, POLL_PAUSED, Turn};
use crate::kafka::{
    consumer::{
        ConsumerEvent, Delivered,
        ack::{Ack, Settled},
        partitions::{Committable, Partitions},
        start,
    },
    record::{self, Record, TopicPartition},
};
use rdkafka::{
    Message,
    consumer::{CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{
    collections::HashMap,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

/// Records of one event: enough to spread the cost of a wake-up, few enough to be worked on at once.
const BATCH_RECORDS: usize = 256;

/// Bytes of one event beyond which no further record is added.
const BATCH_BYTES: usize = 1024 * 1024;

/// How long a poll waits for a record; orders and acknowledgements wait as long.
const POLL: Duration = Duration::from_millis(50);

impl Intake {
    pub(super) fn poll(&mut self) -> Turn {
        let mut wait = if self.partitions.pressed() || self.stop.is_some() { POLL_PAUSED } else { POLL };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut error = None;
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            match self.client.poll(wait) {
                None => break,
                Some(Err(failed)) => {
                    error = Some(failed);
                    break;
                }
                Some(Ok(message)) => {
                    let name = name(&mut self.names, message.topic());
                    let record = record::from_message(&message, name);
                    bytes += record.size();
                    batch.extend(deliver(&mut self.partitions, &self.settled.0, record));
                }
            }
            if self.partitions.pressed() {
                break;
            }
            wait = Duration::ZERO;
        }
        if !batch.is_empty() {
            self.outbox.push_back(ConsumerEvent::Records(batch));
        }
        error.map_or(Turn::Go, |error| self.failed(&error))
    }

    fn failed(&mut self, error: &KafkaError) -> Turn {
        let reason = self.client.context().take_reason();
        let message = reason.map_or_else(|| error.to_string(), |reason| format!("{error}: {reason}"));
        match error {
            KafkaError::MessageConsumptionFatal(_) => return Turn::Failed(message),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => self.find_lost_offsets(),
            // One broker of several, or a lookup that is tried again: if all are gone, the client says so.
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            )
            | KafkaError::PartitionEOF(_) => tracing::debug!(consumer = self.plan.name, message, "kafka client"),
            _ => self.complain(&message),
        }
        Turn::Go
    }

    /// The client says that some partition's next offset does not exist, and not which: ask about each.
    fn find_lost_offsets(&mut self) {
        for (partition, expected) in self.partitions.positions() {
            match start::bounds(&self.client, &partition) {
                Ok((low, high)) if expected < low || expected > high => self.resume_at(partition, expected, low),
                // The client may have stopped reading it all the same (a truncated log), so it is begun again where it was.
                Ok(_) => self.partitions.abandon(&partition),
                Err(error) => {
                    self.partitions.abandon(&partition);
                    self.complain(&format!("{partition} cannot be looked at: {error}"));
                }
            }
        }
    }

    fn resume_at(&mut self, partition: TopicPartition, expected: i64, resumed: i64) {
        if let Err(error) = self.reread(&partition, resumed) {
            return self.complain(&format!("{partition} cannot be read from {resumed}: {error}"));
        }
        let metadata = self.partitions.metadata(&partition);
        let list = self.store([Committable { partition: partition.clone(), offset: resumed, metadata }]);
        // Said outright, because the client by itself never commits an offset lower than the last.
        if let Some(Err(error)) = list.map(|list| self.client.commit(&list, CommitMode::Async)) {
            tracing::warn!(consumer = self.plan.name, %partition, %error, "the new offset is not committed");
        }
        self.outbox.push_back(ConsumerEvent::OffsetsLost { partition, expected, resumed });
    }
}

fn deliver(partitions: &mut Partitions, settled: &Sender<Settled>, record: Record) -> Option<Delivered> {
    let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    let slot = partitions.deliver(&partition, record.offset, record.size())?;
    Some(Delivered { record, ack: Ack::new(slot, settled.clone()) })
}

fn name(names: &mut HashMap<String, Arc<str>>, topic: &str) -> Arc<str> {
    if let Some(known) = names.get(topic) {
        return known.clone();
    }
    let new: Arc<str> = topic.into();
    names.insert(topic.to_owned(), new.clone());
    new
}
