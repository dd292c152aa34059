//! The task that watches the answer path and tells the shards.
//!
//! It asks the broker where the replies end, waits until they have been read and finished up to there, by whichever
//! engine reads them, and then until what was handed on to a shard through the inbox has been; only then it tells the
//! shard.

mod sample;

use crate::{
    KafkaOutput,
    answer_progress::{AnswerProgress, AnswerWatermarkUpdate, DeadlinePause, LONGEST_STEP},
    message::ShardMessage,
    router::ShardRouter,
};
use saga_base::clock::EngineClock;
use saga_core::{id::ShardId, time::Timestamp};
use saga_event_store::{AttendanceRecord, EventStore, StoreError};
use saga_kafka::{EndOffsetReader, KafkaConsumer, end_offsets};
use saga_wire::TopicPartition;
use sample::EndOffsetSample;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// The time between two rounds that no deadline asked for: an outage is noticed within it.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks while something is read.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// An answer of the broker that takes longer tells that the way there was broken.
const SLOW: Duration = Duration::from_millis(1_500);
/// Between two records of how far shards are: what a crash adds to an outage.
const RECORD_EVERY: Duration = Duration::from_secs(2);
/// And for each shard, so that an engine with thousands of them does not keep the store busy.
const RECORD_EVERY_PER_SHARD: Duration = Duration::from_millis(4);
/// A store that has not confirmed anything for longer takes no rows.
const STORE_SILENT: Duration = Duration::from_secs(4);
/// How long participants need at most to find a broker that is back: clients look for it in growing distances,
/// librdkafka's up to 15 s.
const SETTLED_AFTER_MAX: Duration = Duration::from_secs(15);
/// What is said meanwhile: Kafka answers, and deadlines stand still all the same.
const SETTLING: &str = "Kafka answers again; participants that find it again later than this engine are waited for";
/// Before the partitions of the replies topic are listed again.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// The consumers that read answers, and the reader of their end offsets.
#[derive(Debug)]
pub struct AnswerSources {
    /// Asks the broker for the end offsets of partitions.
    pub ends: EndOffsetReader,
    /// The consumer that reads replies and triggers from their topics.
    pub triggers: Arc<KafkaConsumer>,
    /// The consumer that reads the inbox partitions of this engine's shards.
    pub shards: Arc<KafkaConsumer>,
}

/// The part that keeps answers from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerOutageCause {
    /// Kafka is unavailable. Participants may be without it as well.
    Kafka,
    /// The event store or this process is the cause.
    Ours,
}

/// What watching needs of the engine. A cheap handle.
#[derive(Clone, Debug)]
pub struct AnswerWatchContext {
    store: Arc<dyn EventStore>,
    router: ShardRouter,
    progress: Arc<AnswerProgress>,
    clock: EngineClock,
    kafka: Option<KafkaOutput>,
}

impl AnswerWatchContext {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        router: ShardRouter,
        progress: Arc<AnswerProgress>,
        clock: EngineClock,
        kafka: Option<KafkaOutput>,
    ) -> AnswerWatchContext {
        AnswerWatchContext { store, router, progress, clock, kafka }
    }
}

/// Watches until it is aborted; without Kafka there is nothing to watch.
pub async fn watch(context: AnswerWatchContext, sources: AnswerSources) {
    let Some(kafka) = context.kafka.clone() else { return };
    let mut watcher = AnswerWatcher::new(context, kafka, sources);
    loop {
        let outcome = watcher.turn().await;
        let next = match outcome {
            Ok(()) => watcher.next(),
            Err((trouble, reason)) => {
                watcher.broken(trouble, &reason);
                EVERY
            }
        };
        let progress = Arc::clone(&watcher.context.progress);
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = progress.watermark_requested(), if next > LOOK_AGAIN => watcher.is_wanted = true,
        }
    }
}

type AnswerWatchResult = Result<(), (AnswerOutageCause, String)>;

struct AnswerWatcher {
    context: AnswerWatchContext,
    kafka: KafkaOutput,
    sources: AnswerSources,
    replies: Vec<TopicPartition>,
    listed: Option<Instant>,
    is_wanted: bool,
    /// Where replies ended; they are being read up to there.
    reading: Option<EndOffsetSample>,
    /// Where the inbox of a shard ended after replies had been read.
    inbox: HashMap<ShardId, EndOffsetSample>,
    /// When the broker was last asked where replies end.
    asked: Option<Instant>,
    unbroken_since: Option<Timestamp>,
    /// Up to when replies had been read last.
    read_until: Option<(Timestamp, Instant)>,
    settles_at: Option<Instant>,
    trouble: Option<AnswerOutageCause>,
    recording: Option<JoinHandle<AttendanceWriteResult>>,
    record_at: Instant,
    recorded: Instant,
    store_trouble: Option<String>,
}

/// What could not be recorded comes back with the reason.
type AttendanceWriteResult = Result<(), (StoreError, Vec<AttendanceRecord>)>;

impl AnswerWatcher {
    fn new(context: AnswerWatchContext, kafka: KafkaOutput, sources: AnswerSources) -> AnswerWatcher {
        let now = Instant::now();
        AnswerWatcher {
            context,
            kafka,
            sources,
            replies: Vec::new(),
            listed: None,
            is_wanted: true,
            reading: None,
            inbox: HashMap::new(),
            asked: None,
            unbroken_since: None,
            read_until: None,
            settles_at: None,
            trouble: None,
            recording: None,
            record_at: now,
            recorded: now,
            store_trouble: None,
        }
    }

    fn path(&self) -> &AnswerProgress {
        &self.context.progress
    }

    /// The delay before the next look.
    fn next(&self) -> Duration {
        let samples = self.reading.iter().chain(self.inbox.values());
        match samples.map(|sample| sample.taken.elapsed()).min() {
            Some(lasts) if lasts > SLOW => LOOK_AGAIN * 10,
            Some(_) => LOOK_AGAIN,
            None if self.is_wanted && self.settles_at.is_none() => LOOK_AGAIN,
            None => EVERY,
        }
    }

    async fn turn(&mut self) -> AnswerWatchResult {
        self.record().await?;
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= EVERY);
        if is_due || (self.is_wanted && self.reading.is_none()) {
            self.sample().await?;
        }
        self.read().await?;
        self.read_inbox().await
    }

    /// Asks where replies end; that is also how a broken way to the broker is noticed while they are read.
    async fn sample(&mut self) -> AnswerWatchResult {
        if self.listed.is_none_or(|listed| listed.elapsed() >= LIST_EVERY) {
            self.replies = answered(self.sources.ends.partitions(&self.kafka.replies).await)?;
            self.listed = Some(Instant::now());
        }
        let (at, asked) = (self.context.clock.now(), Instant::now());
        let ends = answered(self.sources.ends.ends(self.replies.clone()).await)?;
        self.asked = Some(asked);
        in_time(asked)?;
        if self.is_settling(asked) {
            self.pause_deadlines(SETTLING);
            return Ok(());
        }
        self.unbroken_since.get_or_insert(at);
        if self.reading.is_none() {
            self.is_wanted = false;
            self.reading = Some(EndOffsetSample::new(at, ends, asked));
        }
        Ok(())
    }

    /// After an outage of Kafka participants find it again later than this engine did: as long again as it lasted, at
    /// most.
    fn is_settling(&mut self, now: Instant) -> bool {
        if self.trouble == Some(AnswerOutageCause::Kafka) && self.settles_at.is_none() {
            let lasted = self.read_until.map_or(Duration::ZERO, |(_, read)| now.duration_since(read));
            self.settles_at = Some(now + lasted.mul_f64(1.5).min(SETTLED_AFTER_MAX));
        }
        let settles = self.settles_at.is_some_and(|at| now < at);
        if !settles {
            self.settles_at = None;
        }
        settles
    }

    async fn read(&mut self) -> AnswerWatchResult {
        let Some(sample) = &mut self.reading else { return Ok(()) };
        let asked = Instant::now();
        let here = finished(&self.sources.triggers).await?;
        sample.finished(here.iter().map(|(partition, finished)| (partition, *finished)), asked);
        let is_here = |one: &TopicPartition| here.iter().any(|(partition, _)| partition == one);
        let elsewhere: Vec<TopicPartition> = sample.unread().filter(|one| !is_here(one)).cloned().collect();
        let finished = answered(self.sources.ends.finished(elsewhere).await)?;
        sample.finished(finished.iter().map(|(partition, finished)| (partition, *finished)), asked);
        for partition in sample.stuck(Instant::now()) {
            self.mark(&partition);
        }
        self.is_read().await
    }

    fn mark(&self, partition: &TopicPartition) {
        let (producer, mark) = (self.kafka.producer.clone(), end_offsets::marker_record(partition));
        tokio::spawn(async move {
            if let saga_kafka::producer::ProduceOutcome::Undelivered(undelivered) = producer.send(&mark).await {
                tracing::debug!(%undelivered, "a mark was not written");
            }
        });
    }

    /// Replies that were handed on are in the inbox by now: where it ends is asked only after they have been read.
    async fn is_read(&mut self) -> AnswerWatchResult {
        let Some(sample) = self.reading.take_if(|sample| sample.is_read()) else {
            self.tell_if_behind();
            return Ok(());
        };
        self.read_until = Some((sample.at, sample.taken));
        let owned: Vec<ShardId> = self.context.router.owned_shards().collect();
        self.inbox.retain(|shard, _| owned.contains(shard));
        if owned.is_empty() {
            self.resume_deadlines();
        }
        let new: Vec<ShardId> = owned.into_iter().filter(|shard| !self.inbox.contains_key(shard)).collect();
        let partitions = new.iter().map(|shard| self.partition(*shard)).collect();
        let asked = Instant::now();
        let ends = answered(self.sources.ends.ends(partitions).await)?;
        for shard in new {
            let partition = self.partition(shard);
            let end = ends.get(&partition).copied().unwrap_or_default();
            self.inbox.insert(shard, EndOffsetSample::new(sample.at, [(partition, end)].into(), asked));
        }
        Ok(())
    }

    fn partition(&self, shard: ShardId) -> TopicPartition {
        TopicPartition { topic: Arc::clone(&self.kafka.inbox), partition: i32::from(shard.0) }
    }

    async fn read_inbox(&mut self) -> AnswerWatchResult {
        if self.inbox.is_empty() {
            return Ok(());
        }
        let here = finished(&self.sources.shards).await?;
        let here: HashMap<TopicPartition, i64> = here.into_iter().collect();
        let read: Vec<ShardId> =
            self.inbox.iter_mut().filter_map(|(shard, sample)| is_read(*shard, sample, &here)).collect();
        for shard in read {
            if let Some(sample) = self.inbox.remove(&shard) {
                self.push_watermark(shard, sample.at);
            }
        }
        Ok(())
    }

    /// In the shard's queue, behind every answer that is in it. A queue that is full has answers before it that do not
    /// fit: the next round.
    fn push_watermark(&mut self, shard: ShardId, until: Timestamp) {
        let unbroken_since = self.unbroken_since.unwrap_or(until);
        self.context
            .router
            .try_send_here(shard, ShardMessage::read_until(AnswerWatermarkUpdate { until, unbroken_since }));
        self.resume_deadlines();
    }

    async fn record(&mut self) -> AnswerWatchResult {
        if let Some(recording) = self.recording.take_if(|recording| recording.is_finished()) {
            match recording.await {
                Ok(Ok(())) => (self.recorded, self.store_trouble) = (Instant::now(), None),
                Ok(Err((error, attended))) => {
                    self.path().give_back(attended);
                    self.record_at = Instant::now();
                    self.store_trouble = Some(format!("the event store takes no rows: {error}"));
                }
                Err(_) => {}
            }
        }
        if self.recording.is_none() && Instant::now() >= self.record_at {
            self.record_now();
        }
        if self.recording.is_some() && self.recorded.elapsed() > STORE_SILENT.max(self.record_every() * 2) {
            self.store_trouble.get_or_insert("the event store does not answer".into());
        }
        self.store_trouble.clone().map_or(Ok(()), |reason| Err((AnswerOutageCause::Ours, reason)))
    }

    fn record_every(&self) -> Duration {
        let shards = u32::try_from(self.context.router.owned()).unwrap_or(u32::MAX);
        RECORD_EVERY.max(RECORD_EVERY_PER_SHARD * shards)
    }

    fn record_now(&mut self) {
        let now = Instant::now();
        self.record_at = now + self.record_every();
        let attended = self.path().take_attended();
        if attended.is_empty() {
            (self.recorded, self.store_trouble) = (now, None);
            return;
        }
        let store = Arc::clone(&self.context.store);
        self.recording =
            Some(tokio::spawn(async move { store.attend(&attended).await.map_err(|error| (error, attended)) }));
    }

    fn broken(&mut self, trouble: AnswerOutageCause, reason: &str) {
        (self.reading, self.unbroken_since, self.settles_at) = (None, None, None);
        self.inbox.clear();
        // An outage of Kafka that is followed by one of ours is one of Kafka's all the same.
        if self.trouble != Some(AnswerOutageCause::Kafka) {
            self.trouble = Some(trouble);
        }
        self.pause_deadlines(reason);
    }

    fn tell_if_behind(&self) {
        let Some(sample) = self.reading.as_ref().filter(|sample| sample.taken.elapsed() > LONGEST_STEP) else { return };
        let left: Vec<String> = sample.unread().take(3).map(ToString::to_string).collect();
        self.pause_deadlines(&format!("replies are not read yet up to where they ended: {}", left.join(", ")));
    }

    fn pause_deadlines(&self, reason: &str) {
        let since = self.read_until.map_or_else(|| self.context.clock.now(), |(read, _)| read);
        let news = DeadlinePause { since, reason: reason.into() };
        let was = self.path().replace_pause(Some(news));
        if was.is_none() {
            metrics::gauge!("saga_deadlines_stand_still").set(1.0);
            warn!(reason, "no answer can be read: deadlines stand still until that is over");
        }
    }

    fn resume_deadlines(&mut self) {
        self.trouble = None;
        let Some(was) = self.path().replace_pause(None) else { return };
        let lasted = self.context.clock.now().since(was.since);
        metrics::gauge!("saga_deadlines_stand_still").set(0.0);
        metrics::counter!("saga_outage_seconds_total").increment(lasted.as_secs());
        info!(seconds = lasted.as_secs(), reason = &*was.reason, "answers are read again: deadlines go on");
    }
}

fn is_read(shard: ShardId, sample: &mut EndOffsetSample, here: &HashMap<TopicPartition, i64>) -> Option<ShardId> {
    sample.finished(here.iter().map(|(partition, finished)| (partition, *finished)), Instant::now());
    sample.is_read().then_some(shard)
}

fn answered<T>(answer: Result<T, rdkafka::error::KafkaError>) -> Result<T, (AnswerOutageCause, String)> {
    answer.map_err(|error| (AnswerOutageCause::Kafka, format!("Kafka does not answer: {error}")))
}

fn in_time(asked: Instant) -> AnswerWatchResult {
    match asked.elapsed() {
        took if took <= SLOW => Ok(()),
        took => Err((AnswerOutageCause::Kafka, format!("Kafka took {} ms to answer", took.as_millis()))),
    }
}

/// Of a consumer that has ended nothing: other engines may read what it read.
async fn finished(consumer: &KafkaConsumer) -> Result<Vec<(TopicPartition, i64)>, (AnswerOutageCause, String)> {
    match tokio::time::timeout(LONGEST_STEP, consumer.finished()).await {
        Ok(finished) => Ok(finished.unwrap_or_default()),
        Err(_) => Err((AnswerOutageCause::Kafka, "a consumer waits for Kafka".into())),
    }
}
