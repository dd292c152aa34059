//! A client beside the consumer's own. It lists what partitions hold, and reads single records of them. It reads with
//! the same permissions and the same isolation as the consumer, so what this client can read, the consumer can read
//! too.

use super::{
    continuity::{FoundFingerprints, OffsetRange},
    fingerprint::RecordFingerprint,
};
use crate::client_form;
use crate::{brokers::ClientRebootstrap, settings::KafkaSettings};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    groups::GroupList,
    metadata::Metadata,
};
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// One request to the broker. No record waits for it; a slow broker is asked again.
pub(super) const ASK: Duration = Duration::from_secs(5);

/// How long records that are asked for together may take to arrive.
const READ: Duration = Duration::from_secs(5);

/// Bytes that one response may hold of one partition, unless a single batch is larger. Only one record is wanted.
const PARTITION_BYTES: &str = "65536";

/// Never a member of the group.
pub(crate) struct LogReader {
    client: BaseConsumer<LogReaderContext>,
    brokers: ClientRebootstrap,
}

struct LogReaderContext;

impl ClientContext for LogReaderContext {
    /// What it complains of the consumer's own client meets, too.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "kafka client");
    }

    /// The call that fails says so, too.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for LogReaderContext {}

/// An offset that the group committed, and its metadata.
pub(super) type CommittedOffset = (i64, String);

/// A partition and an offset of it.
pub(super) type TopicPartitionOffset = (TopicPartition, i64);

impl LogReader {
    pub(crate) fn open(settings: &KafkaSettings, group: &str, largest_batch: usize) -> KafkaResult<LogReader> {
        let mut config = settings.bystander(group, largest_batch);
        config.set("enable.partition.eof", "true");
        config.set("max.partition.fetch.bytes", PARTITION_BYTES);
        config.set("queued.min.messages", "1");
        // Where nothing is to come the answer has to come at once.
        config.set("fetch.wait.max.ms", "10");
        let brokers = ClientRebootstrap::new("inspector", settings);
        Ok(LogReader { client: config.create_with_context(LogReaderContext)?, brokers })
    }

    /// Before every question of a reader that is kept.
    pub(super) fn check_brokers(&self) {
        self.brokers.check(self.client.client());
    }

    /// Leaves the client to the end of the process: dropping it could wait for the broker without a deadline.
    pub(super) fn abandon(self) {
        std::mem::forget(self.client);
    }

    /// Positions that the group committed, with their metadata; `None` where there is none.
    pub(super) fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> KafkaResult<Vec<(TopicPartition, Option<CommittedOffset>)>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.client.committed_offsets(list(partitions.iter().map(|one| (one, Offset::Invalid)))?, ASK)?;
        let read = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            element.error()?;
            let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
            Ok(match element.offset() {
                Offset::Offset(next) => (partition, Some((next, element.metadata().to_owned()))),
                _ => (partition, None),
            })
        };
        answer.elements().iter().map(read).collect()
    }

    /// What the partitions hold.
    pub(super) fn extents(&self, partitions: &[TopicPartition]) -> KafkaResult<BTreeMap<TopicPartition, OffsetRange>> {
        let low = self.offsets(partitions, Offset::Beginning)?;
        let end = self.offsets(partitions, Offset::End)?;
        let of = |offsets: &BTreeMap<TopicPartition, i64>, one: &TopicPartition| {
            offsets.get(one).copied().ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable))
        };
        let extent = |one: &TopicPartition| Ok((one.clone(), OffsetRange { low: of(&low, one)?, end: of(&end, one)? }));
        partitions.iter().map(extent).collect()
    }

    /// The first record at or after `time_ms`, where there is one.
    pub(super) fn at_time(
        &self,
        partitions: &[TopicPartition],
        time_ms: i64,
    ) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        self.offsets(partitions, Offset::Offset(time_ms))
    }

    fn offsets(&self, partitions: &[TopicPartition], which: Offset) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let answer = self.client.offsets_for_times(list(partitions.iter().map(|one| (one, which)))?, ASK)?;
        let mut offsets = BTreeMap::new();
        for element in answer.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                offsets
                    .insert(TopicPartition { topic: element.topic().into(), partition: element.partition() }, offset);
            }
        }
        Ok(offsets)
    }

    /// For each of `wanted`, which have to lie within what the partition holds or at its end, the first record at or
    /// after it.
    pub(super) fn records(
        &self,
        wanted: &[TopicPartitionOffset],
    ) -> KafkaResult<BTreeMap<TopicPartition, FoundFingerprints>> {
        let mut found: BTreeMap<TopicPartition, FoundFingerprints> = BTreeMap::new();
        let mut left: BTreeSet<TopicPartitionOffset> = wanted.iter().cloned().collect();
        // One offset of each partition of one topic at a time: the client reports the end of a partition without its
        // topic.
        while let Some((first, _)) = left.first().cloned() {
            let mut round: BTreeMap<i32, i64> = BTreeMap::new();
            for (partition, offset) in left.iter().filter(|(one, _)| one.topic == first.topic) {
                round.entry(partition.partition).or_insert(*offset);
            }
            for (partition, fingerprint) in self.round(&first.topic, &round)? {
                let at = TopicPartition { topic: first.topic.clone(), partition };
                let offset = round[&partition];
                left.remove(&(at.clone(), offset));
                found.entry(at).or_default().insert(offset, fingerprint);
            }
        }
        Ok(found)
    }

    fn round(
        &self,
        topic: &Arc<str>,
        wanted: &BTreeMap<i32, i64>,
    ) -> KafkaResult<BTreeMap<i32, Option<RecordFingerprint>>> {
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in wanted {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        // This client is not polled between the rounds. Errors of connections that were lost meanwhile are queued, and
        // must not count as an answer to this round.
        while self.client.poll(Duration::ZERO).is_some() {}
        self.client.assign(&assignment)?;
        let answer = self.await_round(topic, wanted);
        self.client.unassign()?;
        answer
    }

    fn await_round(
        &self,
        topic: &Arc<str>,
        wanted: &BTreeMap<i32, i64>,
    ) -> KafkaResult<BTreeMap<i32, Option<RecordFingerprint>>> {
        let mut seen = BTreeMap::new();
        let mut lost = None;
        let give_up = Instant::now() + READ;
        while seen.len() < wanted.len() {
            if Instant::now() >= give_up {
                return Err(lost.unwrap_or(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
            }
            match self.client.poll(Duration::from_millis(20)) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    seen.entry(partition).or_insert(None);
                }
                // The client connects again by itself.
                Some(Err(error)) if is_of_connection(&error) => lost = Some(error),
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    let record = client_form::from_message(&message, topic.clone());
                    let asked = wanted.get(&record.partition).is_some_and(|offset| record.offset >= *offset);
                    if asked {
                        seen.entry(record.partition).or_insert_with(|| Some(RecordFingerprint::of(&record)));
                    }
                }
            }
        }
        Ok(seen)
    }

    /// All partitions of `topic`.
    pub(super) fn partitions_of(&self, topic: &Arc<str>) -> KafkaResult<Vec<TopicPartition>> {
        partitions_in(&self.client.fetch_metadata(Some(topic), ASK)?, topic)
    }

    /// Members of the group.
    pub(super) fn group(&self, group: &str) -> KafkaResult<GroupList> {
        self.client.fetch_group_list(Some(group), ASK)
    }
}

/// Whether it says nothing of what was asked for: the way to the broker is at fault.
pub(crate) fn is_of_connection(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    error
        .rdkafka_error_code()
        .is_some_and(|code| [AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve].contains(&code))
}

/// All partitions of `topic`, or why the broker does not tell them.
pub(crate) fn partitions_in(metadata: &Metadata, topic: &Arc<str>) -> KafkaResult<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    for found in metadata.topics().iter().filter(|found| found.name() == &**topic) {
        if let Some(error) = found.error() {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::from(error)));
        }
        partitions
            .extend(found.partitions().iter().map(|one| TopicPartition { topic: topic.clone(), partition: one.id() }));
    }
    Ok(partitions)
}

/// The client's form of partitions with offsets.
pub(crate) fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset)?;
    }
    Ok(list)
}
