//! Where topics end now, and how far a group has finished them. Both together show whether everything that was there
//! has been read.

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

/// One request to the broker. A longer wait means that the broker cannot be reached.
const ASK: Duration = Duration::from_secs(2);

/// Header of a marker record, which carries nothing: when it has been read, everything before it has been read.
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
    /// Does not wait for the broker. Finished offsets are those of the group `settings.group`.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn connect(settings: &KafkaSettings) -> KafkaResult<EndOffsetReader> {
        let mut config = settings.consumer(&settings.group, USUAL_BATCH);
        // Records behind an open transaction exist, although no consumer can read them yet.
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
            // Asked by time: the end is a special time, and one request covers all partitions.
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
            // Events of the client would pile up, because nothing else polls it.
            let _ = client.poll(Duration::ZERO);
            brokers.check(client.client());
            question(&client)
        });
        asked.await.unwrap_or_else(|_| Err(rdkafka::error::KafkaError::Canceled))
    }
}

/// A record for `partition` that carries nothing but the header that marks it.
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

/// Whether `record` is a marker.
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
