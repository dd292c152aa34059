//! Records of our own topics that everybody has read are removed: these topics have no retention by age.

use super::{admin::Admin, error::Error, installation::Marks, needs};
use crate::kafka::{
    record::TopicPartition,
    settings::{Settings, USUAL_BATCH},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use std::{sync::Arc, time::Duration};

/// One question to the broker.
const ASK: Duration = Duration::from_secs(10);

/// A partition whose beginning was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Which.
    pub partition: TopicPartition,
    /// Its oldest record now.
    pub oldest: i64,
}

/// Removes what lies below the committed offsets of `group` in `topic`. Meant for the inbox (with [`Settings::shards_group`])
/// and for replies (with [`Settings::group`]), every few minutes, by any one instance; several do no harm.
///
/// # Errors
/// The broker cannot be reached, or the topic is not marked as `installation`'s now: then nothing is removed. What the broker refuses to remove
/// is simply left.
pub async fn trim(
    settings: &Settings,
    group: &str,
    topic: &Arc<str>,
    installation: &str,
) -> Result<Vec<Trimmed>, Error> {
    let (settings, group, topic) = (settings.clone(), group.to_owned(), topic.clone());
    let installation = installation.to_owned();
    let work = move || {
        Marks::connect(&settings)?.require(&needs::mark_of(&topic), &topic, &installation)?;
        trim_now(&settings, &group, &topic)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::Panicked(panic.to_string())))
}

fn trim_now(settings: &Settings, group: &str, topic: &Arc<str>) -> Result<Vec<Trimmed>, Error> {
    let admin = Admin::connect(settings)?;
    let below = finished(settings, group, topic).map_err(|source| admin.unreachable(source))?;
    if below.count() == 0 {
        return Ok(Vec::new());
    }
    let answer = admin.delete_records(&below)?;
    let trimmed = answer.elements().into_iter().filter(|element| element.error().is_ok()).filter_map(|element| {
        let partition = TopicPartition { topic: topic.clone(), partition: element.partition() };
        element.offset().to_raw().map(|oldest| Trimmed { partition, oldest })
    });
    Ok(trimmed.collect())
}

/// Partitions that have something below the committed offset, with that offset.
fn finished(settings: &Settings, group: &str, topic: &str) -> KafkaResult<TopicPartitionList> {
    let consumer: BaseConsumer = settings.consumer(group, USUAL_BATCH).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ASK)?;
    let mut asked = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|found| found.partitions()) {
        asked.add_partition(topic, partition.id());
    }
    let mut below = TopicPartitionList::new();
    for element in consumer.committed_offsets(asked, ASK)?.elements() {
        let Offset::Offset(committed) = element.offset() else { continue };
        let (low, _) = consumer.fetch_watermarks(topic, element.partition(), ASK)?;
        if committed > low {
            below.add_partition_offset(topic, element.partition(), Offset::Offset(committed))?;
        }
    }
    Ok(below)
}
