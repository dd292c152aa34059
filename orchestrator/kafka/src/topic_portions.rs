//! A topic read by portions, without a group: no offset is committed, no partition is taken from anybody. For commands
//! that look into a topic from its beginning, or back from its end.

use super::{
    client_form,
    consumer::{RecordFingerprint, is_of_connection, list, partitions_in},
    settings::{KafkaSettings, USUAL_BATCH},
};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use saga_core::time::Timestamp;
use saga_wire::record::{KafkaRecord, TopicPartition};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// One request to the broker. A new client needs a second or two until it is connected.
const ASK: Duration = Duration::from_secs(10);

/// How long a portion may bring nothing. A longer wait means that the broker cannot be reached.
const SILENCE: Duration = Duration::from_secs(20);

/// Bytes of records that one portion holds at most; one record may be larger, and is a portion then.
const PORTION_BYTES: usize = 16 * 1024 * 1024;

/// Which records of a range stay when it holds more than a portion may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortionEnd {
    /// The first ones: for reading on from a beginning.
    Oldest,
    /// The last ones: for reading back from an end.
    Newest,
}

/// Records of one partition, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPortion {
    /// The records that were there.
    pub records: Vec<KafkaRecord>,
    /// The offsets that the portion answers for: other offsets of the range were not read, or not kept.
    pub covers: Range<i64>,
}

/// Reads one topic, one portion after the other, or several in turn by one client.
pub struct TopicPortionReader {
    client: Arc<BaseConsumer>,
    topic: Arc<str>,
}

impl std::fmt::Debug for TopicPortionReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicPortionReader").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl TopicPortionReader {
    /// Does not wait for the broker.
    ///
    /// # Errors
    /// The client refuses the settings.
    pub fn connect(settings: &KafkaSettings, topic: &str) -> KafkaResult<TopicPortionReader> {
        let mut config = settings.bystander(&settings.group, USUAL_BATCH);
        config.set("enable.partition.eof", "true");
        // Where nothing is to come the answer has to come at once.
        config.set("fetch.wait.max.ms", "10");
        Ok(TopicPortionReader { client: Arc::new(config.create()?), topic: Arc::from(topic) })
    }

    /// Reads another topic from now on.
    pub fn turn_to(&mut self, topic: &str) {
        if *self.topic != *topic {
            self.topic = Arc::from(topic);
        }
    }

    /// For each partition, the first offset that is there and the one that the next record will have.
    ///
    /// # Errors
    /// The broker does not answer, or does not know the topic.
    pub async fn extents(&self) -> KafkaResult<BTreeMap<i32, Range<i64>>> {
        let topic = Arc::clone(&self.topic);
        self.ask(move |client| {
            let partitions = partitions(client, &topic)?;
            let of = |one: TopicPartition| {
                let (low, end) = client.fetch_watermarks(&topic, one.partition, ASK)?;
                Ok((one.partition, low..end))
            };
            partitions.into_iter().map(of).collect()
        })
        .await
    }

    /// Names of all topics that the broker shows, its own left out.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn topics(&self) -> KafkaResult<Vec<String>> {
        self.ask(|client| {
            let metadata = client.fetch_metadata(None, ASK)?;
            let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
            Ok(names.filter(|name| !name.starts_with("__")).collect())
        })
        .await
    }

    /// The first record of each partition at or after `time`; partitions without one are left out.
    ///
    /// # Errors
    /// The broker does not answer for every partition.
    pub async fn offsets_at(&self, time: Timestamp) -> KafkaResult<BTreeMap<i32, i64>> {
        let topic = Arc::clone(&self.topic);
        self.ask(move |client| {
            let partitions = partitions(client, &topic)?;
            let asked = list(partitions.iter().map(|one| (one, Offset::Offset(time.0))))?;
            let mut offsets = BTreeMap::new();
            for element in client.offsets_for_times(asked, ASK)?.elements() {
                element.error()?;
                if let Offset::Offset(offset) = element.offset() {
                    offsets.insert(element.partition(), offset);
                }
            }
            Ok(offsets)
        })
        .await
    }

    /// Reads `range` of `partition`, as much of it as a portion holds. On return `covers` is not empty unless `range`
    /// is; what no consumer can read yet, because its transaction is open, is not waited for.
    ///
    /// # Errors
    /// The broker cannot be reached, or no longer has the range.
    pub async fn read(&mut self, partition: i32, range: Range<i64>, keep: PortionEnd) -> KafkaResult<TopicPortion> {
        let topic = Arc::clone(&self.topic);
        self.ask(move |client| {
            if range.is_empty() {
                return Ok(TopicPortion { covers: range, ..TopicPortion::default() });
            }
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&topic, partition, Offset::Offset(range.start))?;
            client.assign(&assignment)?;
            let portion = polled(client, &topic, range, keep);
            client.unassign()?;
            portion
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let client = Arc::clone(&self.client);
        tokio::task::spawn_blocking(move || question(&client)).await.unwrap_or(Err(KafkaError::Canceled))
    }
}

/// A digest of timestamp, key, value and headers: at the same offset of the same log it is the same.
#[must_use]
pub fn digest(record: &KafkaRecord) -> u64 {
    RecordFingerprint::of(record).digest
}

/// Whether the broker, or its client, says that there is no such topic.
#[must_use]
pub fn is_unknown_topic(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))
}

fn partitions(client: &BaseConsumer, topic: &Arc<str>) -> KafkaResult<Vec<TopicPartition>> {
    let found = partitions_in(&client.fetch_metadata(Some(topic), ASK)?, topic)?;
    if found.is_empty() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    Ok(found)
}

fn polled(client: &BaseConsumer, topic: &Arc<str>, range: Range<i64>, keep: PortionEnd) -> KafkaResult<TopicPortion> {
    let mut kept = KeptRecords::new(range.clone(), keep);
    let (mut heard, mut lost) = (Instant::now(), None);
    loop {
        match client.poll(Duration::from_millis(100)) {
            None if heard.elapsed() > SILENCE => {
                return Err(lost.unwrap_or(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut)));
            }
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(kept.whole()),
            // The client connects again by itself.
            Some(Err(error)) if is_of_connection(&error) => lost = Some(error),
            Some(Err(error)) => return Err(error),
            Some(Ok(message)) => {
                heard = Instant::now();
                let record = client_form::from_message(&message, Arc::clone(topic));
                if record.offset >= range.end {
                    return Ok(kept.whole());
                }
                let is_last = record.offset + 1 == range.end;
                if let Some(portion) = kept.take(record) {
                    return Ok(portion);
                }
                if is_last {
                    return Ok(kept.whole());
                }
            }
        }
    }
}

/// The records of a range that fit into a portion.
struct KeptRecords {
    range: Range<i64>,
    keep: PortionEnd,
    records: VecDeque<KafkaRecord>,
    bytes: usize,
}

impl KeptRecords {
    fn new(range: Range<i64>, keep: PortionEnd) -> KeptRecords {
        KeptRecords { range, keep, records: VecDeque::new(), bytes: 0 }
    }

    /// The portion, if `record` is the first that does not fit any more.
    fn take(&mut self, record: KafkaRecord) -> Option<TopicPortion> {
        let size = record.size();
        if self.records.is_empty() || self.bytes + size <= PORTION_BYTES {
            self.bytes += size;
            self.records.push_back(record);
            return None;
        }
        match self.keep {
            PortionEnd::Oldest => {
                let covers = self.range.start..record.offset;
                Some(TopicPortion { records: std::mem::take(&mut self.records).into(), covers })
            }
            PortionEnd::Newest => {
                while self.bytes + size > PORTION_BYTES
                    && let Some(dropped) = self.records.pop_front()
                {
                    self.bytes -= dropped.size();
                    self.range.start = dropped.offset + 1;
                }
                self.bytes += size;
                self.records.push_back(record);
                None
            }
        }
    }

    /// What was kept; nothing more comes.
    fn whole(&mut self) -> TopicPortion {
        TopicPortion { records: std::mem::take(&mut self.records).into(), covers: self.range.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(offset: i64, bytes: usize) -> KafkaRecord {
        KafkaRecord {
            topic: "saga.dlq".into(),
            partition: 0,
            offset,
            timestamp: Timestamp(offset),
            key: None,
            value: Some(Bytes::from(vec![b'x'; bytes])),
            headers: Vec::new(),
        }
    }

    fn offsets(portion: &TopicPortion) -> Vec<i64> {
        portion.records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn a_portion_from_the_beginning_stops_before_what_does_not_fit() {
        let mut kept = KeptRecords::new(10..20, PortionEnd::Oldest);
        assert_eq!(kept.take(record(10, PORTION_BYTES / 2)), None);
        assert_eq!(kept.take(record(13, PORTION_BYTES / 2)), None);
        let portion = kept.take(record(15, 1)).expect("full");
        assert_eq!((offsets(&portion), portion.covers), (vec![10, 13], 10..15));
    }

    #[test]
    fn a_portion_from_the_end_forgets_the_oldest_and_says_so() {
        let mut kept = KeptRecords::new(10..20, PortionEnd::Newest);
        for offset in [10, 13, 15, 17] {
            assert_eq!(kept.take(record(offset, PORTION_BYTES / 2)), None);
        }
        let portion = kept.whole();
        assert_eq!((offsets(&portion), portion.covers), (vec![15, 17], 14..20));
    }

    #[test]
    fn one_record_that_is_too_large_is_a_portion() {
        for keep in [PortionEnd::Oldest, PortionEnd::Newest] {
            let mut kept = KeptRecords::new(0..1, keep);
            assert_eq!(kept.take(record(0, 2 * PORTION_BYTES)), None);
            assert_eq!((offsets(&kept.whole()), kept.range), (vec![0], 0..1));
        }
    }
}
