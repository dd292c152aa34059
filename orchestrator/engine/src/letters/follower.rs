//! Fills the table of dead letters: the engine that owns the first shard follows the topic.
//!
//! Another engine that does the same by mistake does no harm: letters and position change in one transaction, and only
//! from the position that was read.

use super::{LetterSource, LetterStanding, reader::LetterReading, row::row_of, standing};
use crate::router::ShardRouter;
use rdkafka::error::KafkaError;
use saga_base::clock::EngineClock;
use saga_event_store::{EventStore, LetterPortion, LetterPosition, LetterSweep, MAX_PAGE, StoreError};
use saga_kafka::topic_portions::digest;
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
    #[error("the topic of dead letters cannot be read: {0}")]
    Kafka(#[from] KafkaError),
    /// The store does not take the letters.
    #[error("the event store does not take the letters: {0}")]
    Store(#[from] StoreError),
}

/// Follows the topic of dead letters.
pub(crate) struct LetterFollower {
    store: Arc<dyn EventStore>,
    router: ShardRouter,
    source: LetterSource,
    reading: LetterReading,
    standing: Arc<LetterStanding>,
    clock: EngineClock,
    swept: Option<Instant>,
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
        LetterFollower { store, router, source, reading, standing, clock, swept: None }
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
        match self.portions().await {
            Ok(behind) => {
                self.standing.goes_on(behind);
                if behind > 0 { began.elapsed() } else { LOOK_AGAIN }
            }
            Err(error) => {
                self.standing.stops(&error.to_string());
                TRY_AGAIN
            }
        }
    }

    /// Returns how many records are still to be read.
    async fn portions(&mut self) -> Result<i64, FollowError> {
        let extents = self.reading.extents().await?;
        let positions: BTreeMap<i32, LetterPosition> =
            self.store.letter_positions(&self.source.topic).await?.into_iter().collect();
        let mut behind = 0;
        for (partition, extent) in &extents {
            let from = positions.get(partition).cloned().unwrap_or_default();
            behind += self.portion(*partition, extent.clone(), from).await?;
        }
        self.sweep(&extents).await?;
        Ok(behind)
    }

    async fn portion(&mut self, partition: i32, extent: Range<i64>, from: LetterPosition) -> Result<i64, FollowError> {
        if from.log > 0 && from.offset == extent.end {
            return Ok(0);
        }
        let start = self.start(partition, &extent, &from).await?;
        let records = self.records(partition, start.offset, extent.end).await?;
        let Some(last) = records.last() else { return Ok(0) };
        let to = LetterPosition { log: start.log, offset: last.offset + 1, mark: Some(mark(last)) };
        let left = extent.end - to.offset;
        let letters = records.iter().map(row_of).collect();
        let portion = LetterPortion { topic: self.source.topic.to_string(), partition, from, to, letters };
        if self.store.add_letters(&portion).await? {
            standing::count_followed(portion.letters.len());
        }
        Ok(left)
    }

    /// Where to go on: where the table ends, or at the beginning of a topic that was made anew.
    async fn start(
        &mut self,
        partition: i32,
        extent: &Range<i64>,
        from: &LetterPosition,
    ) -> Result<LetterPosition, FollowError> {
        let begin = |log| LetterPosition { log, offset: extent.start, mark: None };
        if from.log == 0 {
            return Ok(begin(1));
        }
        if self.is_another_log(partition, extent, from).await? {
            warn!(
                topic = %self.source.topic, partition, read_until = from.offset,
                "the topic of dead letters is another one: it was deleted and made anew, or an election lost its \
                 newest records; the table begins with it again, and the letters of the former one are no longer shown"
            );
            return Ok(begin(from.log + 1));
        }
        Ok(LetterPosition { offset: from.offset.max(extent.start), ..from.clone() })
    }

    async fn is_another_log(
        &mut self,
        partition: i32,
        extent: &Range<i64>,
        from: &LetterPosition,
    ) -> Result<bool, FollowError> {
        if extent.end < from.offset {
            return Ok(true);
        }
        let last = from.offset - 1;
        let Some(mark_before) = from.mark.as_ref().filter(|_| extent.contains(&last)) else { return Ok(false) };
        let there = self.reading.read(partition, last..last + 1).await?;
        Ok(there.iter().find(|record| record.offset == last).is_some_and(|record| mark(record) != *mark_before))
    }

    /// The next records, a portion at most. What no consumer can read yet is not passed by: only records move the
    /// position.
    async fn records(&mut self, partition: i32, from: i64, end: i64) -> Result<Vec<KafkaRecord>, KafkaError> {
        let mut records = self.reading.read(partition, from..end.min(from + PORTION)).await?;
        if records.is_empty() && from + PORTION < end {
            records = self.reading.read(partition, from..end).await?;
            records.truncate(usize::try_from(PORTION).unwrap_or(usize::MAX));
        }
        Ok(records)
    }

    /// Forgets letters that ended long ago, and old ones whose record is gone.
    async fn sweep(&mut self, extents: &BTreeMap<i32, Range<i64>>) -> Result<(), StoreError> {
        if self.swept.is_some_and(|swept| swept.elapsed() < SWEEP) {
            return Ok(());
        }
        let keep = i64::try_from(self.source.keep.as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().0.saturating_sub(keep);
        let mut sweeps = vec![LetterSweep::EndedBefore(before)];
        sweeps.extend(extents.iter().map(|(partition, extent)| LetterSweep::Gone {
            topic: self.source.topic.to_string(),
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

fn mark(record: &KafkaRecord) -> String {
    format!("{:016x}", digest(record))
}
