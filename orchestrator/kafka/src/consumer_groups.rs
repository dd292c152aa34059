//! Questions about a consumer group from outside of it: its offsets in topics, and what its members read.

use super::settings::{KafkaSettings, USUAL_BATCH};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult},
};
use saga_core::time::Timestamp;
use saga_wire::record::TopicPartition;
use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

/// One request to the broker.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One offset for each partition of a topic, by the number of the partition.
pub type PartitionOffsets = BTreeMap<i32, i64>;

/// Offsets of a group in one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOffsets {
    /// Its committed offsets, of those partitions that have one.
    pub committed: PartitionOffsets,
    /// The offset after the last record of each partition.
    pub ends: PartitionOffsets,
}

impl GroupOffsets {
    /// Whether the group has a committed offset in the topic.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.committed.is_empty()
    }
}

/// Each call creates a client of its own, on a thread for blocking work.
#[derive(Clone, Debug)]
pub struct ConsumerGroupAdmin {
    settings: KafkaSettings,
}

impl ConsumerGroupAdmin {
    /// Of groups at the broker of `settings`.
    #[must_use]
    pub fn new(settings: &KafkaSettings) -> ConsumerGroupAdmin {
        ConsumerGroupAdmin { settings: settings.clone() }
    }

    /// The offsets of `group` in `topics`.
    ///
    /// # Errors
    /// The broker did not answer for every topic.
    pub async fn group_offsets(
        &self,
        group: &str,
        topics: &BTreeSet<String>,
    ) -> KafkaResult<BTreeMap<String, GroupOffsets>> {
        let topics = topics.clone();
        self.ask(group, move |client| {
            topics.iter().map(|topic| Ok((topic.clone(), topic_offsets(client, topic)?))).collect()
        })
        .await
    }

    /// The first record of each partition at or after `time`; partitions without one are left out.
    ///
    /// # Errors
    /// When the broker does not say everything.
    pub async fn offsets_at(&self, group: &str, topic: &str, time: Timestamp) -> KafkaResult<PartitionOffsets> {
        let topic = topic.to_owned();
        self.ask(group, move |client| {
            let asked = list(client, &topic, Offset::Offset(time.0))?;
            Ok(offsets(&client.offsets_for_times(asked, ANSWER_WITHIN)?))
        })
        .await
    }

    /// Commits offsets for `group`, which must have no members.
    ///
    /// # Errors
    /// When the broker does not take them.
    pub async fn commit(&self, group: &str, begins: Vec<(TopicPartition, i64)>) -> KafkaResult<()> {
        self.ask(group, move |client| {
            let mut list = TopicPartitionList::new();
            for (partition, offset) in &begins {
                list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*offset))?;
            }
            client.commit(&list, CommitMode::Sync)
        })
        .await
    }

    /// Deletes `group`, which must have no members, with its offsets.
    ///
    /// # Errors
    /// When the broker does not delete it.
    pub async fn delete(&self, group: &str) -> KafkaResult<()> {
        let admin: AdminClient<DefaultClientContext> = self.settings.client().create()?;
        let options = AdminOptions::new().request_timeout(Some(ANSWER_WITHIN));
        let deleted = admin.delete_groups(&[group], &options).await?;
        deleted.into_iter().try_for_each(|one| one.map(drop).map_err(|(_, code)| KafkaError::AdminOp(code)))
    }

    /// The topics that members of `group` read; `None` while the group is about to agree on who reads what.
    ///
    /// # Errors
    /// When the broker does not answer, or may not tell us.
    pub async fn subscribed_topics(&self, group: &str) -> KafkaResult<Option<BTreeSet<String>>> {
        let name = group.to_owned();
        self.ask(group, move |client| {
            let list = client.fetch_group_list(Some(&name), ANSWER_WITHIN)?;
            let Some(found) = list.groups().iter().find(|found| found.name() == name) else {
                return Ok(Some(BTreeSet::new()));
            };
            if !matches!(found.state(), "Stable" | "Empty" | "Dead") {
                return Ok(None);
            }
            Ok(Some(
                found.members().iter().flat_map(|member| subscription(member.metadata().unwrap_or_default())).collect(),
            ))
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        group: &str,
        question: impl FnOnce(&BaseConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let config = self.settings.consumer(group, USUAL_BATCH);
        let work = move || question(&config.create()?);
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(KafkaError::Canceled))
    }
}

fn topic_offsets(client: &BaseConsumer, topic: &str) -> KafkaResult<GroupOffsets> {
    let all = list(client, topic, Offset::Invalid)?;
    let partitions: Vec<i32> = all.elements().iter().map(|element| element.partition()).collect();
    let committed = offsets(&client.committed_offsets(all, ANSWER_WITHIN)?);
    let mut ends = PartitionOffsets::new();
    for partition in partitions {
        ends.insert(partition, client.fetch_watermarks(topic, partition, ANSWER_WITHIN)?.1);
    }
    Ok(GroupOffsets { committed, ends })
}

fn list(client: &BaseConsumer, topic: &str, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let metadata = client.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().filter(|found| found.name() == topic).flat_map(|found| found.partitions())
    {
        list.add_partition_offset(topic, partition.id(), offset)?;
    }
    Ok(list)
}

fn offsets(list: &TopicPartitionList) -> PartitionOffsets {
    let known = list.elements().into_iter().filter_map(|element| match element.offset() {
        Offset::Offset(offset) => Some((element.partition(), offset)),
        Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
    });
    known.collect()
}

/// The topics in a member's metadata: a version in two bytes, a number of topics in four, and for each its length in
/// two bytes and its name. Metadata of another form names no topic.
fn subscription(metadata: &[u8]) -> Vec<String> {
    let mut rest = metadata.get(2..).unwrap_or_default();
    let Some(count) = split_off(&mut rest, 4) else { return Vec::new() };
    let count = count.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let mut topics = Vec::new();
    for _ in 0..count {
        let Some(length) = split_off(&mut rest, 2) else { break };
        let Some(name) = split_off(&mut rest, usize::from(length[0]) << 8 | usize::from(length[1])) else { break };
        topics.push(String::from_utf8_lossy(name).into_owned());
    }
    topics
}

fn split_off<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_of_a_member_are_read_from_its_metadata() {
        let metadata = b"\0\x03\0\0\0\x02\0\x06orders\0\x07replies\0\0\0\0";
        assert_eq!(subscription(metadata), ["orders", "replies"]);
        for broken in [&b""[..], b"\0\x03", b"\0\x03\0\0\0\x02\0\xffo"] {
            assert!(subscription(broken).is_empty(), "{broken:?}");
        }
    }
}
