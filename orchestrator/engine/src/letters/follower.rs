//! Fills the table of dead letters: the engine that owns the first shard follows their topics. A topic that the
//! configuration no longer has is followed as long as it is there: engines with the former configuration write to it.
//!
//! Another engine that does the same by mistake does no harm: letters and position change in one transaction, and only
//! from the position that was read.

use super::{LetterSource, LetterStanding, reader::LetterReading, row::letter_row, standing};
use crate::router::ShardRouter;
use rdkafka::error::KafkaError;
use saga_base::clock::EngineClock;
use saga_event_store::{EventStore, LetterPortion, LetterPosition, LetterSweep, MAX_PAGE, StoreError};
use saga_kafka::topic_portions::{digest, is_unknown_topic};
use saga_wire::KafkaRecord;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// Time between two looks at the topic, where there is nothing to do.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// When what did not work is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Offsets of one portion, as many as one change of the store takes in some milliseconds.
const PORTION: i64 = 4_096;
/// Time between two looks for letters to forget.
const SWEEP: Duration = Duration::from_secs(600);

/// Why the table does not go on.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    /// The topic cannot be read.
    #[error("the topic of dead letters {topic} cannot be read: {error}")]
    Kafka {
        /// Name of the topic.
        topic: Arc<str>,
        /// What the client says.
        error: KafkaError,
    },
    /// The store does not take the letters.
    #[error("the event store does not take the letters: {0}")]
    Store(#[from] StoreError),
}

/// Where the records of each partition of a topic begin and end.
type TopicExtents = BTreeMap<i32, Range<i64>>;

/// Follows the topics of dead letters.
pub(crate) struct LetterFollower {
    store: Arc<dyn EventStore>,
    router: ShardRouter,
    source: LetterSource,
    reading: LetterReading,
    standing: Arc<LetterStanding>,
    clock: EngineClock,
    swept: Option<Instant>,
    /// Topics that could not be followed, and when.
    failed: BTreeMap<Arc<str>, Instant>,
}

impl LetterFollower {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        router: ShardRouter,
        source: LetterSource,
        standing: Arc<LetterStanding>,
        clock: EngineClock,
    ) -> LetterFollower {
        let reading = LetterReading::new(source.clone());
        LetterFollower { store, router, source, reading, standing, clock, swept: None, failed: BTreeMap::new() }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let rest = if self.router.owns_first_shard() {
                self.follow().await
            } else {
                self.standing.left();
                LOOK_AGAIN
            };
            tokio::time::sleep(rest).await;
        }
    }

    /// Reads a portion of each partition. Returns how long to rest: as long as it has worked, because sagas come first.
    async fn follow(&mut self) -> Duration {
        let began = Instant::now();
        let (mut behind, mut extents) = (0, BTreeMap::new());
        for topic in self.topics().await {
            if self.failed.get(&topic).is_some_and(|failed| failed.elapsed() < TRY_AGAIN) {
                continue;
            }
            match self.portions(&topic).await {
                Ok((left, of_topic)) => {
                    self.failed.remove(&topic);
                    self.standing.goes_on(&topic, left);
                    behind += left;
                    extents.insert(topic, of_topic);
                }
                Err(error) if self.is_former(&topic) && error.is_of_no_topic() => self.standing.forget(&topic),
                Err(error) => {
                    self.standing.stops(&topic, &error.to_string());
                    self.failed.insert(topic, Instant::now());
                }
            }
        }
        if let Err(error) = self.sweep(&extents).await {
            warn!(%error, "no rows of old dead letters leave the table for now; the engine tries again");
        }
        if behind > 0 { began.elapsed() } else { LOOK_AGAIN }
    }

    /// Those of the configuration, and those of which the table has read something.
    async fn topics(&self) -> Vec<Arc<str>> {
        let mut topics = self.source.routes.all();
        // What the store does not say now it says at the next look.
        let known = self.store.letter_topics().await.unwrap_or_default();
        topics.extend(known.into_iter().map(Arc::from).filter(|topic| self.is_former(topic)));
        topics
    }

    fn is_former(&self, topic: &str) -> bool {
        !self.source.routes.has(topic)
    }

    /// Returns how many records are still to be read, and what the topic has.
    async fn portions(&mut self, topic: &Arc<str>) -> Result<(i64, TopicExtents), FollowError> {
        let extents = self.reading.extents(topic).await.map_err(of_topic(topic))?;
        let positions: BTreeMap<i32, LetterPosition> = self.store.letter_positions(topic).await?.into_iter().collect();
        let mut behind = 0;
        for (partition, extent) in &extents {
            let from = positions.get(partition).cloned().unwrap_or_default();
            behind += self.portion(topic, *partition, extent.clone(), from).await?;
        }
        Ok((behind, extents))
    }

    async fn portion(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        extent: Range<i64>,
        from: LetterPosition,
    ) -> Result<i64, FollowError> {
        if from.log > 0 && from.offset == extent.end {
            return Ok(0);
        }
        let start = self.start(topic, partition, (&extent, &from)).await?;
        let records = self.records(topic, partition, start.offset..extent.end).await.map_err(of_topic(topic))?;
        let to = match records.last() {
            Some(last) => LetterPosition { log: start.log, offset: last.offset + 1, mark: Some(mark(last)) },
            // Letters of a former topic are over although the one that was made anew has none yet.
            None if from.log > 0 && start.log != from.log => start,
            None => return Ok(0),
        };
        let left = extent.end - to.offset;
        let letters = records.iter().map(letter_row).collect();
        let portion = LetterPortion { topic: topic.to_string(), partition, from, to, letters };
        if self.store.add_letters(&portion).await? {
            standing::count_followed(portion.letters.len());
        }
        Ok(left)
    }

    /// Where to go on: where the table ends, or at the beginning of a topic that was made anew.
    async fn start(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        (extent, from): (&Range<i64>, &LetterPosition),
    ) -> Result<LetterPosition, FollowError> {
        let begin = |log| LetterPosition { log, offset: extent.start, mark: None };
        if from.log == 0 {
            return Ok(begin(1));
        }
        if self.is_another_log(topic, partition, (extent, from)).await? {
            warn!(
                %topic, partition, read_until = from.offset,
                "the topic of dead letters is another one: it was deleted and made anew, or an election lost its \
                 newest records; the table begins with it again, and the letters of the former one are no longer shown"
            );
            return Ok(begin(from.log + 1));
        }
        Ok(LetterPosition { offset: from.offset.max(extent.start), ..from.clone() })
    }

    async fn is_another_log(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        (extent, from): (&Range<i64>, &LetterPosition),
    ) -> Result<bool, FollowError> {
        if extent.end < from.offset {
            return Ok(true);
        }
        let last = from.offset - 1;
        let Some(mark_before) = from.mark.as_ref().filter(|_| extent.contains(&last)) else { return Ok(false) };
        let there = self.reading.read(topic, partition, last..last + 1).await.map_err(of_topic(topic))?;
        Ok(there.iter().find(|record| record.offset == last).is_some_and(|record| mark(record) != *mark_before))
    }

    /// The next records, a portion at most. What no consumer can read yet is not passed by: only records move the
    /// position.
    async fn records(
        &mut self,
        topic: &str,
        partition: i32,
        range: Range<i64>,
    ) -> Result<Vec<KafkaRecord>, KafkaError> {
        let Range { start: from, end } = range;
        let mut records = self.reading.read(topic, partition, from..end.min(from + PORTION)).await?;
        if records.is_empty() && from + PORTION < end {
            records = self.reading.read(topic, partition, from..end).await?;
            records.truncate(usize::try_from(PORTION).unwrap_or(usize::MAX));
        }
        Ok(records)
    }

    /// Forgets letters that ended long ago, and old ones whose record is gone.
    async fn sweep(&mut self, extents: &BTreeMap<Arc<str>, TopicExtents>) -> Result<(), StoreError> {
        if self.swept.is_some_and(|swept| swept.elapsed() < SWEEP) {
            return Ok(());
        }
        let keep = i64::try_from(self.source.keep.as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().0.saturating_sub(keep);
        let mut sweeps = vec![LetterSweep::EndedBefore(before)];
        let partitions = extents.iter().flat_map(|(topic, of)| of.iter().map(move |one| (topic, one)));
        sweeps.extend(partitions.map(|(topic, (partition, extent))| LetterSweep::Gone {
            topic: topic.to_string(),
            partition: *partition,
            first_offset: extent.start,
            written_before_ms: before,
        }));
        let (mut forgotten, mut is_whole) = (0, true);
        for sweep in &sweeps {
            let removed = self.store.forget_letters(sweep, MAX_PAGE).await?;
            forgotten += removed;
            is_whole &= removed < u64::from(MAX_PAGE);
        }
        if forgotten > 0 {
            info!(forgotten, "rows of old dead letters left the table");
        }
        if is_whole {
            self.swept = Some(Instant::now());
        }
        Ok(())
    }
}

impl FollowError {
    /// Whether the broker knows no such topic.
    fn is_of_no_topic(&self) -> bool {
        match self {
            FollowError::Kafka { error, topic: _ } => is_unknown_topic(error),
            FollowError::Store(_) => false,
        }
    }
}

fn of_topic(topic: &Arc<str>) -> impl FnOnce(KafkaError) -> FollowError {
    let topic = Arc::clone(topic);
    |error| FollowError::Kafka { topic, error }
}

fn mark(record: &KafkaRecord) -> String {
    format!("{:016x}", digest(record))
}
