//! What the client reports in callbacks, kept until the thread reads it. Nothing is decided in a callback.

use super::statistics::{self, FetchProgress};
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use saga_base::sync::UnpoisonedMutex;
use saga_wire::record::TopicPartition;
use std::collections::{BTreeMap, VecDeque};

/// A change of the assignment that the group asks for and that has to be answered.
#[derive(Debug)]
pub(super) enum RebalanceEvent {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
}

/// Locked only by the polling thread, inside the callbacks and right after them; the lock is there because the client
/// asks for `Sync`.
#[derive(Debug)]
pub(super) struct CallbackContext {
    name: &'static str,
    events: UnpoisonedMutex<CallbackEvents>,
}

#[derive(Debug, Default)]
struct CallbackEvents {
    rebalances: VecDeque<RebalanceEvent>,
    /// The client's own words for its last error; the error that poll returns carries only a code.
    reason: Option<String>,
    commit_refused: Option<String>,
    statistics: Option<BTreeMap<TopicPartition, FetchProgress>>,
}

impl CallbackContext {
    pub(super) fn new(name: &'static str) -> CallbackContext {
        CallbackContext { name, events: UnpoisonedMutex::default() }
    }

    pub(super) fn next_rebalance(&self) -> Option<RebalanceEvent> {
        self.with(|events| events.rebalances.pop_front())
    }

    pub(super) fn take_reason(&self) -> Option<String> {
        self.with(|events| events.reason.take())
    }

    pub(super) fn take_commit_refused(&self) -> Option<String> {
        self.with(|events| events.commit_refused.take())
    }

    pub(super) fn take_statistics(&self) -> Option<BTreeMap<TopicPartition, FetchProgress>> {
        self.with(|events| events.statistics.take())
    }

    fn with<T>(&self, act: impl FnOnce(&mut CallbackEvents) -> T) -> T {
        act(&mut self.events.lock())
    }
}

impl ClientContext for CallbackContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(self.name, level, facility, message);
    }

    fn stats_raw(&self, json: &[u8]) {
        let read = statistics::read(json);
        self.with(|events| events.statistics = Some(read));
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        self.with(|events| events.reason = Some(reason.to_owned()));
    }
}

impl ConsumerContext for CallbackContext {
    fn rebalance(&self, _: &BaseConsumer<CallbackContext>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let listed = list(partitions);
        let rebalance = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => RebalanceEvent::Assign(listed),
            // Any other code means that the assignment is lost.
            _ => RebalanceEvent::Revoke(listed),
        };
        self.with(|events| events.rebalances.push_back(rebalance));
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.with(|events| events.commit_refused = Some(error.to_string()));
        }
    }
}

/// Log lines of the client. What it retries by itself is a warning at most.
pub(crate) fn log(client: &'static str, level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(client, facility, message, "kafka client"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(client, facility, message, "kafka client");
        }
    }
}

fn list(partitions: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = partitions.elements();
    elements.iter().map(|one| TopicPartition { topic: one.topic().into(), partition: one.partition() }).collect()
}
