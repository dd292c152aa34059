//! Records permanently where reading of a trigger topic began. Committed offsets are deleted with their topic, and
//! expire if no engine runs for long. Without this record `from: latest` would begin again at a later offset and skip
//! the records in between.

use super::retry;
use crate::readiness::EngineReadiness;
use anyhow::Context;
use saga_core::definition::TriggerStartPosition;
use saga_event_store::EventStore;
use saga_kafka::{
    self,
    consumer::{self, TopicInitialOffsets, TopicStart},
};
use std::sync::Arc;
use tokio::sync::watch;

/// Kind of these documents in the store; the topic's name is the key.
const KIND: &str = "first-contact";

/// Adds the recorded first offsets to `starts`; offsets that are not recorded yet are asked from Kafka and recorded. If
/// several engines start at once, the first record holds for all.
pub(super) async fn remember(
    store: &dyn EventStore,
    kafka: &saga_kafka::KafkaSettings,
    mut starts: Vec<TopicStart>,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<Vec<TopicStart>> {
    for start in &mut starts {
        start.initial_offsets = match start.from {
            // Always begins at the oldest record.
            TriggerStartPosition::Earliest => None,
            TriggerStartPosition::Latest | TriggerStartPosition::Time(_) => {
                Some(Arc::new(contact(store, kafka, start, readiness).await?))
            }
        };
    }
    Ok(starts)
}

async fn contact(
    store: &dyn EventStore,
    kafka: &saga_kafka::KafkaSettings,
    start: &TopicStart,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<TopicInitialOffsets> {
    let topic = &start.topic;
    if store.get_document(KIND, topic).await?.is_none() {
        let what = format!("the offsets of topic {topic}");
        let look = || consumer::initial_offsets(kafka, &kafka.group, start);
        let found = retry::until_it_answers(readiness, &what, look, |_| true).await?;
        store.put_document(KIND, topic, &serde_json::to_string(&found)?).await?;
    }
    let on_record = store.get_document(KIND, topic).await?.unwrap_or_default();
    serde_json::from_str(&on_record)
        .with_context(|| format!("the record of the first contact with {topic} cannot be read"))
}
