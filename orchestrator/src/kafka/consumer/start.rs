//! Where reading of a partition begins: at the group's committed offset, and at first contact where the definition says.
//!
//! Only the first instance ever to see a topic sees it without any committed offset. So that "latest" means the same moment
//! for partitions that are assigned later, or to another instance, that moment goes into the metadata of every commit.

use super::{TopicStart, context::Context};
use crate::kafka::record::TopicPartition;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use saga_core::{definition::TriggerFrom, time::Timestamp};
use std::{collections::BTreeMap, time::Duration};

/// One question to the broker. Short, because nothing else is polled meanwhile; a slow broker is asked again.
const ASK: Duration = Duration::from_secs(3);

/// Begins the metadata of a commit that remembers when "latest" was.
const SINCE: &str = "saga.since=";

/// Where a partition begins.
#[derive(Debug)]
pub(super) struct Position {
    pub(super) partition: TopicPartition,
    pub(super) next: i64,
    pub(super) metadata: String,
    /// How many records lie ahead, if the group has no committed offset here.
    pub(super) fresh: Option<u64>,
}

/// Positions of all `wanted` partitions, or an error if the broker did not say everything.
pub(super) fn positions(
    client: &BaseConsumer<Context>,
    wanted: &[TopicPartition],
    topics: &[TopicStart],
    now: Timestamp,
) -> KafkaResult<Vec<Position>> {
    let mut contact = Contact { client, topics, now, known: BTreeMap::new() };
    let committed = client.committed_offsets(list(wanted.iter().map(|one| (one, Offset::Invalid)))?, ASK)?;
    let mut positions = Vec::with_capacity(wanted.len());
    for element in committed.elements() {
        element.error()?;
        let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
        positions.push(match element.offset() {
            Offset::Offset(next) => Position { partition, next, metadata: element.metadata().to_owned(), fresh: None },
            _ => contact.first(partition)?,
        });
    }
    Ok(positions)
}

/// The oldest and the next offset of a partition.
pub(super) fn bounds(client: &BaseConsumer<Context>, partition: &TopicPartition) -> KafkaResult<(i64, i64)> {
    client.fetch_watermarks(&partition.topic, partition.partition, ASK)
}

/// The client's form of partitions with offsets.
pub(super) fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    Ok(list)
}

/// All partitions of `topic`.
pub(super) fn partitions_of(client: &BaseConsumer<Context>, topic: &str) -> KafkaResult<Vec<TopicPartition>> {
    let metadata = client.fetch_metadata(Some(topic), ASK)?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic).flat_map(|found| found.partitions());
    Ok(found.map(|found| TopicPartition { topic: topic.into(), partition: found.id() }).collect())
}

/// What the group knows of a topic.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// No partition has a committed offset.
    Nothing,
    /// It was first met with a beginning at this time.
    Since(Timestamp),
    /// It was read from its oldest record.
    Whole,
}

struct Contact<'a> {
    client: &'a BaseConsumer<Context>,
    topics: &'a [TopicStart],
    now: Timestamp,
    known: BTreeMap<String, Known>,
}

impl Contact<'_> {
    fn first(&mut self, partition: TopicPartition) -> KafkaResult<Position> {
        let (low, high) = bounds(self.client, &partition)?;
        let (next, since) = self.beginning(&partition, low, high)?;
        let metadata = since.map(|since| format!("{SINCE}{}", since.0)).unwrap_or_default();
        let fresh = Some(u64::try_from(high - next).unwrap_or(0));
        Ok(Position { partition, next, metadata, fresh })
    }

    fn beginning(&mut self, partition: &TopicPartition, low: i64, high: i64) -> KafkaResult<(i64, Option<Timestamp>)> {
        let start = self.topics.iter().find(|start| start.topic == partition.topic);
        let from = start.map(|start| start.from).unwrap_or_default();
        Ok(match (from, self.known(&partition.topic)?) {
            (TriggerFrom::Earliest, _) | (_, Known::Whole) => (low, None),
            (TriggerFrom::Latest | TriggerFrom::Time(_), Known::Since(time))
            | (TriggerFrom::Time(time), Known::Nothing) => (self.at(partition, time)?.unwrap_or(high), Some(time)),
            (TriggerFrom::Latest, Known::Nothing) => (high, Some(self.now)),
        })
    }

    fn known(&mut self, topic: &str) -> KafkaResult<Known> {
        if let Some(known) = self.known.get(topic) {
            return Ok(*known);
        }
        let all = partitions_of(self.client, topic)?;
        let committed = self.client.committed_offsets(list(all.iter().map(|one| (one, Offset::Invalid)))?, ASK)?;
        let mut known = Known::Nothing;
        for element in committed.elements().iter().filter(|element| matches!(element.offset(), Offset::Offset(_))) {
            known = match (known, since(element.metadata())) {
                (_, Some(time)) | (Known::Since(time), None) => Known::Since(time),
                (Known::Nothing | Known::Whole, None) => Known::Whole,
            };
        }
        self.known.insert(topic.to_owned(), known);
        Ok(known)
    }

    /// The first record at or after `time`; `None` if there is none yet.
    fn at(&self, partition: &TopicPartition, time: Timestamp) -> KafkaResult<Option<i64>> {
        let asked = list([(partition, Offset::Offset(time.0))])?;
        let answer = self.client.offsets_for_times(asked, ASK)?;
        let found = answer.find_partition(&partition.topic, partition.partition).map(|element| element.offset());
        Ok(match found {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        })
    }
}

fn since(metadata: &str) -> Option<Timestamp> {
    metadata.strip_prefix(SINCE)?.parse().ok().map(Timestamp)
}
