//! Where topics end now, and how far a group has finished them: what tells whether everything that was there has been
//! read.

use super::{
    brokers::ClientRebootstrap,
    settings::{KafkaSettings, USUAL_BATCH},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use saga_wire::record::{self, KafkaRecord, OutgoingRecord, TopicPartition};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// One question to the broker. Whoever waits longer has no way to it.
const ASK: Duration = Duration::from_secs(2);

/// Tells a record of ours that says nothing: when it has been read, so has everything before it.
const MARK: &str = "saga_mark";

/// Asks the broker; reads no record and is no member of a group. A cheap handle.
#[derive(Clone)]
pub struct EndOffsetReader {
    client: Arc<BaseConsumer>,
    brokers: Arc<ClientRebootstrap>,
}

impl std::fmt::Debug for EndOffsetReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndOffsetReader").finish_non_exhaustive()
    }
}

impl EndOffsetReader {
    /// Does not wait for the broker. What is asked about offsets that are finished is about those of `settings.group`.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn connect(settings: &KafkaSettings) -> KafkaResult<EndOffsetReader> {
        let mut config = settings.consumer(&settings.group, USUAL_BATCH);
        // What lies behind a transaction that is still open is there, and nobody can read it.
        config.set("isolation.level", "read_uncommitted").set("enable.auto.commit", "false");
        if !settings.properties.contains_key("reconnect.backoff.max.ms") {
            config.set("reconnect.backoff.max.ms", "1000");
        }
        let brokers = Arc::new(ClientRebootstrap::new("ends", settings));
        Ok(EndOffsetReader { client: Arc::new(config.create()?), brokers })
    }

    /// The partitions of `topic`.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn partitions(&self, topic: &Arc<str>) -> KafkaResult<Vec<TopicPartition>> {
        let topic = Arc::clone(topic);
        self.ask(move |client| {
            let metadata = client.fetch_metadata(Some(&topic), ASK)?;
            let found = metadata.topics().iter().flat_map(|found| found.partitions());
            Ok(found.map(|one| TopicPartition { topic: Arc::clone(&topic), partition: one.id() }).collect())
        })
        .await
    }

    /// The offset that the next record of each partition will have.
    ///
    /// # Errors
    /// The broker does not answer, or not for all.
    pub async fn ends(&self, of: Vec<TopicPartition>) -> KafkaResult<HashMap<TopicPartition, i64>> {
        self.ask(move |client| {
            if of.is_empty() {
                return Ok(HashMap::new());
            }
            // What is asked by time, and the end is a time.
            offsets(&client.offsets_for_times(list(&of, Offset::End)?, ASK)?)
        })
        .await
    }

    /// How far the group has finished each partition; those of which it has not said anything are left out.
    ///
    /// # Errors
    /// The broker does not answer, or not for all.
    pub async fn finished(&self, of: Vec<TopicPartition>) -> KafkaResult<HashMap<TopicPartition, i64>> {
        self.ask(move |client| {
            if of.is_empty() {
                return Ok(HashMap::new());
            }
            offsets(&client.committed_offsets(list(&of, Offset::Invalid)?, ASK)?)
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let (client, brokers) = (Arc::clone(&self.client), Arc::clone(&self.brokers));
        let asked = tokio::task::spawn_blocking(move || {
            // What the client says of itself would pile up: nobody polls it.
            let _ = client.poll(Duration::ZERO);
            brokers.check(client.client());
            question(&client)
        });
        asked.await.unwrap_or_else(|_| Err(rdkafka::error::KafkaError::Canceled))
    }
}

/// A record for `partition` that says nothing.
#[must_use]
pub fn marker_record(partition: &TopicPartition) -> OutgoingRecord {
    let headers = vec![record::text_header(MARK, "1")];
    OutgoingRecord {
        topic: Arc::clone(&partition.topic),
        partition: Some(partition.partition),
        key: None,
        value: None,
        headers,
    }
}

/// Whether `record` says nothing.
#[must_use]
pub fn is_marker(record: &KafkaRecord) -> bool {
    record.value.is_none() && record.header(MARK).is_some()
}

fn list(partitions: &[TopicPartition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for one in partitions {
        list.add_partition_offset(&one.topic, one.partition, offset)?;
    }
    Ok(list)
}

fn offsets(list: &TopicPartitionList) -> KafkaResult<HashMap<TopicPartition, i64>> {
    let mut offsets = HashMap::with_capacity(list.count());
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(TopicPartition { topic: element.topic().into(), partition: element.partition() }, offset);
        }
    }
    Ok(offsets)
}
