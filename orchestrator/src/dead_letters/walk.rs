//! DLQ topics from their ends back to their beginnings, by portions: memory does not grow with the topic.

use super::{LetterAddress, LetterEntry, LetterFilter, LetterPlace};
use saga_core::time::Timestamp;
use saga_event_store::LetterCoordinates;
use saga_kafka::{
    KafkaSettings, TopicPortionReader,
    topic_portions::{PortionEnd, TopicPortion, is_unknown_topic},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

/// Offsets of the first portion back from an end: a page of a list.
const FIRST_STEP: i64 = 256;

/// Offsets of a portion at most. One assignment of the client costs some milliseconds, so that larger ones gain little.
const LONGEST_STEP: i64 = 4096;

/// Names of one kind that are remembered: other programs may write any.
const MOST_SEEN: usize = 1000;

/// DLQ topics, with the offsets that they had when they were opened.
#[derive(Debug)]
pub(crate) struct LetterTopics {
    reader: TopicPortionReader,
    extents: BTreeMap<(Arc<str>, i32), Range<i64>>,
    /// Letters that were written before are left out.
    not_before: Option<Timestamp>,
}

/// What the client of Kafka says about a topic that cannot be read.
pub(crate) type LetterResult<T> = Result<T, rdkafka::error::KafkaError>;

/// A topic that cannot be read, and what the client of Kafka says.
#[derive(Debug, thiserror::Error)]
#[error("the topic {topic} cannot be read")]
pub(crate) struct LetterTopicError {
    /// Name of the topic.
    pub topic: String,
    source: rdkafka::error::KafkaError,
}

impl LetterTopicError {
    /// Whether the broker does not know the topic.
    pub(crate) fn is_unknown(&self) -> bool {
        is_unknown_topic(&self.source)
    }
}

impl LetterTopics {
    /// Opens `topics` as they are now; what is written later is not read.
    ///
    /// # Errors
    /// The broker does not answer, or does not know one of them.
    pub(crate) async fn open(settings: &KafkaSettings, topics: &[String]) -> Result<LetterTopics, LetterTopicError> {
        let of = |topic: &str| {
            let topic = topic.to_owned();
            move |source| LetterTopicError { topic, source }
        };
        let first = topics.first().map(String::as_str).unwrap_or_default();
        let mut reader = TopicPortionReader::connect(settings, first).map_err(of(first))?;
        let mut extents = BTreeMap::new();
        for topic in topics {
            reader.turn_to(topic);
            let name: Arc<str> = Arc::from(topic.as_str());
            let found = reader.extents().await.map_err(of(topic))?;
            extents.extend(found.into_iter().map(|(partition, extent)| ((Arc::clone(&name), partition), extent)));
        }
        Ok(LetterTopics { reader, extents, not_before: None })
    }

    /// Names of the topics that the broker knows, for who misspelt `name`.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) async fn topics(settings: &KafkaSettings, name: &str) -> LetterResult<Vec<String>> {
        TopicPortionReader::connect(settings, name)?.topics().await
    }

    /// Leaves out what was written before `time`. Where the broker names no offset although the newest record is not
    /// older, as a broker does that keeps no index of times, the letters themselves say it.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) async fn begin_at(&mut self, time: Option<Timestamp>) -> LetterResult<()> {
        let Some(time) = time else { return Ok(()) };
        let topics: BTreeSet<Arc<str>> = self.extents.keys().map(|(topic, _)| Arc::clone(topic)).collect();
        for name in topics {
            self.reader.turn_to(&name);
            let offsets = self.reader.offsets_at(time).await?;
            for ((_, partition), extent) in self.extents.iter_mut().filter(|((topic, _), _)| *topic == name) {
                let begin = match offsets.get(partition) {
                    Some(offset) => *offset,
                    None if is_newest_from(&mut self.reader, *partition, extent.clone(), time).await? => extent.start,
                    None => extent.end,
                };
                extent.start = extent.start.max(begin).min(extent.end);
            }
        }
        self.not_before = Some(time);
        Ok(())
    }

    /// Leaves out what is at these places and behind them; a partition without a place keeps all. `usual`: the topic of
    /// places that name none.
    pub(crate) fn end_before(&mut self, places: &[LetterAddress], usual: &str) {
        for LetterAddress { topic, place } in places {
            let key = (Arc::from(topic.as_deref().unwrap_or(usual)), place.partition);
            if let Some(extent) = self.extents.get_mut(&key) {
                extent.end = extent.end.min(place.offset).max(extent.start);
            }
        }
    }

    /// The letter at `place`, if it is there.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub(crate) async fn at(&mut self, place: &LetterCoordinates) -> LetterResult<Option<LetterEntry>> {
        let key = (Arc::from(place.topic.as_str()), place.partition);
        let Some(extent) = self.extents.get(&key).filter(|extent| extent.contains(&place.offset)) else {
            return Ok(None);
        };
        let range = place.offset..extent.end.min(place.offset + 1);
        self.reader.turn_to(&place.topic);
        let portion = self.reader.read(place.partition, range, PortionEnd::Oldest).await?;
        Ok(portion.records.into_iter().map(LetterEntry::of).find(|entry| entry.coordinates() == *place))
    }

    /// All letters, the newest first.
    pub(crate) fn newest(self) -> NewestLetters {
        let tail = |((topic, partition), left): ((Arc<str>, i32), Range<i64>)| PartitionTail {
            topic,
            partition,
            left,
            step: FIRST_STEP,
            read: Vec::new(),
        };
        let tails = self.extents.into_iter().map(tail).collect();
        NewestLetters { reader: self.reader, tails, seen: SeenNames::default(), not_before: self.not_before }
    }
}

/// Letters from the ends of DLQ topics back to their beginnings. Of several partitions the one whose next letter was
/// written last comes first.
#[derive(Debug)]
pub(crate) struct NewestLetters {
    reader: TopicPortionReader,
    tails: Vec<PartitionTail>,
    seen: SeenNames,
    not_before: Option<Timestamp>,
}

/// Names in letters that were read, chosen or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenNames {
    /// Of definitions.
    pub(crate) sagas: BTreeSet<String>,
    /// Of topics of originals.
    pub(crate) topics: BTreeSet<String>,
}

/// What of a partition is still to come.
#[derive(Debug)]
struct PartitionTail {
    topic: Arc<str>,
    partition: i32,
    /// Offsets that were not read yet.
    left: Range<i64>,
    step: i64,
    /// What was read and is still to come, oldest first.
    read: Vec<LetterEntry>,
}

impl NewestLetters {
    /// Where a list goes on that ends here: the place, for each partition, before which nothing was given out yet.
    /// `usual`: the topic whose places name none.
    pub(crate) fn cursor(&self, usual: &str) -> Vec<LetterAddress> {
        let next = |tail: &PartitionTail| {
            let offset = tail.read.last().map_or(tail.left.end, |entry| entry.place.offset + 1);
            let topic = (*tail.topic != *usual).then(|| tail.topic.to_string());
            LetterAddress { topic, place: LetterPlace { partition: tail.partition, offset } }
        };
        self.tails.iter().map(next).collect()
    }

    /// The names in all letters that were read so far.
    pub(crate) fn seen(&self) -> &SeenNames {
        &self.seen
    }

    /// The next letter that `filter` takes; `None`: there is none any more.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub(crate) async fn next(&mut self, filter: &LetterFilter) -> LetterResult<Option<LetterEntry>> {
        for tail in &mut self.tails {
            while tail.read.is_empty() && !tail.left.is_empty() {
                tail.read_back(&mut self.reader, (filter, self.not_before), &mut self.seen).await?;
            }
        }
        let newest = |tail: &&mut PartitionTail| tail.read.last().map(|entry| (entry.written_at, entry.place));
        let next = self.tails.iter_mut().filter(|tail| !tail.read.is_empty()).max_by_key(newest);
        Ok(next.and_then(|tail| tail.read.pop()))
    }
}

/// Whether the newest record of the partition was written at `time` or later.
async fn is_newest_from(
    reader: &mut TopicPortionReader,
    partition: i32,
    extent: Range<i64>,
    time: Timestamp,
) -> LetterResult<bool> {
    if extent.is_empty() {
        return Ok(false);
    }
    let portion = reader.read(partition, extent.end - 1..extent.end, PortionEnd::Newest).await?;
    Ok(portion.records.into_iter().map(LetterEntry::of).any(|entry| entry.written_at >= time))
}

impl SeenNames {
    fn add(&mut self, entry: &LetterEntry) {
        let Ok(letter) = &entry.letter else { return };
        if self.sagas.len() < MOST_SEEN
            && let Some(name) = letter.definition.as_ref().filter(|name| !self.sagas.contains(*name))
        {
            self.sagas.insert(name.clone());
        }
        if self.topics.len() < MOST_SEEN && !self.topics.contains(&*letter.origin.topic) {
            self.topics.insert(letter.origin.topic.to_string());
        }
    }
}

impl PartitionTail {
    async fn read_back(
        &mut self,
        reader: &mut TopicPortionReader,
        (filter, not_before): (&LetterFilter, Option<Timestamp>),
        seen: &mut SeenNames,
    ) -> LetterResult<()> {
        let asked = self.left.start.max(self.left.end - self.step)..self.left.end;
        let (begin, end) = (asked.start, asked.end);
        reader.turn_to(&self.topic);
        let TopicPortion { records, covers } = reader.read(self.partition, asked, PortionEnd::Newest).await?;
        // Large records fill a portion early: asking for as many again would read the older ones twice.
        self.step = if covers.start > begin { (end - covers.start).max(1) } else { (2 * self.step).min(LONGEST_STEP) };
        self.left.end = covers.start;
        let entries = records.into_iter().map(LetterEntry::of).inspect(|entry| seen.add(entry));
        let is_young = |entry: &LetterEntry| not_before.is_none_or(|time| entry.written_at >= time);
        self.read = entries.filter(|entry| is_young(entry) && filter.takes(entry)).collect();
        Ok(())
    }
}
