//! Short texts that the broker keeps, one for each partition of a topic: as the metadata of offsets that a group
//! without members commits. They need no topic of their own, a new text replaces the old one, and the broker forgets
//! them when none has been written for `offsets.retention.minutes`.

use super::settings::{KafkaSettings, USUAL_BATCH};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One request to the broker. A new client needs a second or two until it has found the group's coordinator.
const ASK: Duration = Duration::from_secs(5);

/// The text that is stored with the offset of each partition, by the number of the partition.
pub type PartitionTexts = BTreeMap<i32, String>;

/// Reads and writes them; is no member of the group. A cheap handle.
#[derive(Clone)]
pub struct OffsetMetadataStore {
    client: Arc<BaseConsumer>,
    topic: Arc<str>,
}

impl std::fmt::Debug for OffsetMetadataStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OffsetMetadataStore").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl OffsetMetadataStore {
    /// Those that `group` keeps for `topic`. Does not wait for the broker.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn connect(settings: &KafkaSettings, group: &str, topic: &Arc<str>) -> KafkaResult<OffsetMetadataStore> {
        let client = settings.bystander(group, USUAL_BATCH).create()?;
        Ok(OffsetMetadataStore { client: Arc::new(client), topic: Arc::clone(topic) })
    }

    /// All texts that are there.
    ///
    /// # Errors
    /// The broker does not answer, or may not tell us.
    pub async fn read(&self) -> KafkaResult<PartitionTexts> {
        let topic = Arc::clone(&self.topic);
        self.ask(move |client| {
            let metadata = client.fetch_metadata(Some(&topic), ASK)?;
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics().iter().flat_map(|found| found.partitions()) {
                list.add_partition(&topic, partition.id());
            }
            let found = client.committed_offsets(list, ASK)?;
            let texts = found.elements().into_iter().map(|one| (one.partition(), one.metadata().to_owned()));
            Ok(texts.filter(|(_, text)| !text.is_empty()).collect())
        })
        .await
    }

    /// Puts `text` in the place of what is kept for these partitions.
    ///
    /// # Errors
    /// The broker does not answer, or does not take it from us.
    pub async fn write(&self, partitions: Vec<i32>, text: String) -> KafkaResult<()> {
        let topic = Arc::clone(&self.topic);
        self.ask(move |client| {
            let mut list = TopicPartitionList::new();
            for partition in partitions {
                // The end, so that a monitor of consumer groups sees no group that falls behind.
                let (_, end) = client.fetch_watermarks(&topic, partition, ASK)?;
                let mut element = list.add_partition(&topic, partition);
                element.set_offset(Offset::Offset(end))?;
                element.set_metadata(&text);
            }
            client.commit(&list, CommitMode::Sync)
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let client = Arc::clone(&self.client);
        let asked = tokio::task::spawn_blocking(move || {
            // Events of the client would pile up, because nothing else polls it.
            let _ = client.poll(Duration::ZERO);
            question(&client)
        });
        asked.await.unwrap_or(Err(KafkaError::Canceled))
    }
}
