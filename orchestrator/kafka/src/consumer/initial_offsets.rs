//! The first contact with a topic: where reading of it began, partition by partition. The caller keeps it permanently,
//! because the committed offsets of a group do not last: the broker forgets those of a deleted topic at once, and all
//! of them when the group has had no members for `offsets.retention.minutes`.

use super::{
    TopicStart,
    continuity::OffsetRange,
    fingerprint::RecordFingerprint,
    log_reader::{LogReader, TopicPartitionOffset},
};
use crate::settings::{KafkaSettings, USUAL_BATCH};
use rdkafka::error::KafkaResult;
use saga_core::definition::TriggerStartPosition;
use saga_wire::record::TopicPartition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where reading of a topic began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicInitialOffsets {
    /// The partitions that existed then.
    pub(super) partitions: BTreeMap<i32, PartitionInitialOffset>,
}

/// Where reading of a partition began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionInitialOffset {
    pub(super) next: i64,
    /// The oldest offset then.
    pub(super) low: i64,
    /// The record before `next`, if there was one.
    #[serde(rename = "witness", skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<RecordFingerprint>,
}

/// Where reading of `start` begins if it begins now: at the committed offsets of the group where there are any, and
/// otherwise where `start` says.
///
/// # Errors
/// The broker did not answer for every partition.
pub async fn initial_offsets(
    settings: &KafkaSettings,
    group: &str,
    start: &TopicStart,
) -> KafkaResult<TopicInitialOffsets> {
    let (settings, group, start) = (settings.clone(), group.to_owned(), start.clone());
    let work = move || read_initial_offsets(&LogReader::open(&settings, &group, USUAL_BATCH)?, &start);
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(rdkafka::error::KafkaError::Canceled))
}

fn read_initial_offsets(reader: &LogReader, start: &TopicStart) -> KafkaResult<TopicInitialOffsets> {
    let partitions = reader.partitions_of(&start.topic)?;
    let extents = reader.extents(&partitions)?;
    let beginnings = beginnings(reader, start, &extents)?;
    let before: Vec<TopicPartitionOffset> = beginnings
        .iter()
        .filter(|(partition, next)| **next > extents[*partition].low && **next <= extents[*partition].end)
        .map(|(partition, next)| (partition.clone(), next - 1))
        .collect();
    let found = reader.records(&before)?;
    let place = |(partition, next): (&TopicPartition, &i64)| {
        let fingerprint = found.get(partition).and_then(|found| *found.get(&(next - 1))?);
        let fingerprint = fingerprint.filter(|found| found.offset < *next);
        (partition.partition, PartitionInitialOffset { next: *next, low: extents[partition].low, fingerprint })
    };
    Ok(TopicInitialOffsets { partitions: beginnings.iter().map(place).collect() })
}

fn beginnings(
    reader: &LogReader,
    start: &TopicStart,
    extents: &BTreeMap<TopicPartition, OffsetRange>,
) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let partitions: Vec<TopicPartition> = extents.keys().cloned().collect();
    let by_time = match start.from {
        TriggerStartPosition::Time(time) => reader.at_time(&partitions, time.0)?,
        TriggerStartPosition::Earliest | TriggerStartPosition::Latest => BTreeMap::new(),
    };
    let beginning = |(partition, committed): (TopicPartition, Option<(i64, String)>)| {
        let extent = extents[&partition];
        let by_definition = match start.from {
            TriggerStartPosition::Earliest => extent.low,
            TriggerStartPosition::Latest => extent.end,
            TriggerStartPosition::Time(_) => by_time.get(&partition).copied().unwrap_or(extent.end),
        };
        (partition, committed.map_or(by_definition, |(next, _)| next))
    };
    Ok(reader.committed(&partitions)?.into_iter().map(beginning).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_keeps_is_read_by_the_names_that_were_written() {
        let stored =
            r#"{"partitions":{"0":{"next":7,"low":2,"witness":{"offset":6,"digest":9}},"1":{"next":0,"low":0}}}"#;
        let read: TopicInitialOffsets = serde_json::from_str(stored).expect("it is what was written");
        assert_eq!(read.partitions[&0].fingerprint, Some(RecordFingerprint { offset: 6, digest: 9 }));
        assert_eq!(serde_json::to_string(&read).expect("it can be written"), stored);
    }
}
