//! Removes records of the internal topics that every shard has read: these topics have no retention by age.

use super::{admin::TopicAdmin, error::TopicError, installation::InstallationMarks, requirements};
use crate::{consumer, settings::KafkaSettings};
use rdkafka::{Offset, TopicPartitionList, error::KafkaResult};
use saga_wire::record::TopicPartition;
use std::sync::Arc;

/// A partition whose beginning was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimmedPartition {
    /// The partition whose oldest records were removed.
    pub partition: TopicPartition,
    /// Offset of its oldest record now.
    pub oldest: i64,
}

/// Removes what lies below the committed offsets of `group` in `topic`. Meant for the inbox (with
/// [`KafkaSettings::shards_group`]) and for replies (with [`KafkaSettings::group`]), every few minutes, by any one
/// instance; several do no harm.
///
/// # Errors
/// The broker cannot be reached, or the topic is not marked as `installation`'s now: then nothing is removed. What the
/// broker refuses to remove is simply left.
pub async fn trim(
    settings: &KafkaSettings,
    group: &str,
    topic: &Arc<str>,
    installation: &str,
) -> Result<Vec<TrimmedPartition>, TopicError> {
    let (settings, group, topic) = (settings.clone(), group.to_owned(), topic.clone());
    let installation = installation.to_owned();
    let work = move || {
        InstallationMarks::connect(&settings)?.require(&requirements::mark_of(&topic), &topic, &installation)?;
        trim_now(&settings, &group, &topic)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(TopicError::Panicked(panic.to_string())))
}

fn trim_now(settings: &KafkaSettings, group: &str, topic: &Arc<str>) -> Result<Vec<TrimmedPartition>, TopicError> {
    let admin = TopicAdmin::connect(settings)?;
    let below = below_committed(settings, group, topic).map_err(|source| admin.unreachable(source))?;
    if below.count() == 0 {
        return Ok(Vec::new());
    }
    let answer = admin.delete_records(&below)?;
    let trimmed = answer.elements().into_iter().filter(|element| element.error().is_ok()).filter_map(|element| {
        let partition = TopicPartition { topic: topic.clone(), partition: element.partition() };
        element.offset().to_raw().map(|oldest| TrimmedPartition { partition, oldest })
    });
    Ok(trimmed.collect())
}

/// Partitions that have something below the committed offset, with that offset.
fn below_committed(settings: &KafkaSettings, group: &str, topic: &Arc<str>) -> KafkaResult<TopicPartitionList> {
    let mut below = TopicPartitionList::new();
    for (partition, committed) in consumer::offsets_to_trim(settings, group, topic)? {
        below.add_partition_offset(topic, partition, Offset::Offset(committed))?;
    }
    Ok(below)
}
