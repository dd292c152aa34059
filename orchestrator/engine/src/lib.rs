//! The engine: one writer per shard, group commit, effects after the commit.
//!
//! ```text
//! kafka ─ intake ─┐                       ┌─ committer ─ event store
//! inbox ─ ownership ─ router ─ shard task ┤
//! calls, operators ┘                      └─ dispatch ─ participants (after the commit)
//! ```
//!
//! Nothing is async while state changes: a shard's task decides, evolves and queues the append without awaiting.

pub mod answer_path;
pub mod answer_watch;
mod answers;
pub mod bulk;
pub mod catalog;
mod committer;
mod crowd;
pub mod current;
pub mod dead_letter;
mod definition_generations;
pub mod definition_rollout;
mod departure;
mod dispatch;
mod due;
pub mod intake;
pub mod journal;
pub mod mending;
pub mod message;
pub mod notes;
pub mod observer;
pub mod operate;
pub mod overrides;
pub mod ownership;
mod partition_holds;
pub mod prospect;
pub mod reload;
pub mod router;
pub(crate) mod row;
pub mod seeding;
mod sending;
pub mod sequel;
mod shard;
pub mod skew;
mod starting;
pub mod step_back;
pub mod store_health;
mod turns;

pub use sending::KafkaOutput;

use answer_path::AnswerProgress;
use answers::AnswerCache;
use catalog::DefinitionCatalog;
use committer::GroupCommitter;
use current::{ActiveConfig, ActiveConfigCell};
use dead_letter::DeadLetterWriter;
use definition_generations::GenerationTracker;
use journal::PlanCache;
use observer::ObserverHandle;
use overrides::OverrideLog;
use partition_holds::PartitionHolds;
use reload::WatchedFile;
use router::{InboxForwarder, ShardRouter};
use saga_base::clock::EngineClock;
use saga_core::definition::ParticipantCatalog;
use saga_event_store::EventStore;
use saga_resilience::registry::GuardRegistry;
use skew::ClockSkew;
use std::sync::Arc;
use step_back::StepBackRecovery;
use store_health::StoreHealth;
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

/// Transactions that may be under way at once: one fills while one is written out.
const COMMITTERS: usize = 2;

/// Reads of journals at once: half of the store's connections stay for commits and claims.
const READS: usize = 4;

/// Portions of open sagas that new owners have in memory at once, of all shards: each is some megabytes.
const RECOVERING: usize = 4;

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineSettings {
    /// Where the journal is.
    pub store: Arc<dyn EventStore>,
    /// Who performs the calls.
    pub guarded: Arc<GuardRegistry>,
    /// What may start.
    pub catalog: DefinitionCatalog,
    /// Whose timeouts and retries new sagas of a forwarded trigger get.
    pub participants: Arc<ParticipantCatalog>,
    /// Where participants.yaml is read again when it changes; `None`: never.
    pub participants_file: Option<WatchedFile>,
    /// How many shards the installation has.
    pub shards: u16,
    /// Name of this process in claims and logs.
    pub instance: String,
    /// Where commands and events are produced; `None` without Kafka.
    pub kafka: Option<KafkaOutput>,
    /// Where the time is read.
    pub clock: EngineClock,
    /// How far the clock may be from that of the store.
    pub most_skew: std::time::Duration,
    /// Who watches.
    pub observer: ObserverHandle,
}

/// What the engine's tasks share.
#[derive(Debug)]
pub struct Parts {
    /// Where the journal is.
    pub store: Arc<dyn EventStore>,
    /// Whether it takes writes.
    pub store_health: Arc<StoreHealth>,
    /// What is to be done after it lost commits.
    pub step_back: StepBackRecovery,
    /// Definitions by their hashes, as far as they were read.
    pub plans: PlanCache,
    /// The guards and the transport of all participants.
    pub guarded: Arc<GuardRegistry>,
    /// What people decided about guards.
    pub acts: Arc<OverrideLog>,
    /// What new sagas start by.
    pub current: ActiveConfigCell,
    /// What starts sagas, by the word of all engines.
    pub published: Arc<GenerationTracker>,
    /// Where participants.yaml is; `None`: it cannot be reloaded.
    pub participants_file: Option<WatchedFile>,
    /// Held by whoever reloads it.
    reloading: Mutex<()>,
    pub(crate) instance: String,
    pub(crate) kafka: Option<KafkaOutput>,
    /// Where the time is read.
    pub clock: EngineClock,
    /// How far the clock is from that of the store.
    pub skew: ClockSkew,
    pub(crate) observer: ObserverHandle,
    /// What participants answered to read-only commands.
    pub(crate) answers: AnswerCache,
    /// The way to the shards.
    pub router: ShardRouter,
    /// Whether answers can be read, and up to when they have been.
    pub answer_path: AnswerProgress,
    /// Partitions that the consumers hold back.
    pub(crate) holds: PartitionHolds,
    /// Partitions that are held back because too many sagas wait for a topic.
    crowd: Arc<crowd::TriggerBackpressure>,
    /// Turns to read journals.
    pub(crate) reads: Semaphore,
    /// Turns to have a portion of open sagas in memory.
    pub(crate) recovering: Arc<Semaphore>,
    /// Turns to work on sagas whose time has come.
    turns: turns::LoadSemaphore,
    /// Places for operators' acts on their way to their shards.
    acting: Arc<Semaphore>,
    committers: Vec<GroupCommitter>,
    pub(crate) letters: DeadLetterWriter,
    /// Calls under way; they end by themselves, at their attempt's timeout at the latest.
    calls: TaskTracker,
}

/// A running engine, without its consumers.
#[derive(Debug)]
pub struct SagaEngine {
    /// What its tasks share.
    pub parts: Arc<Parts>,
    writers: Vec<JoinHandle<()>>,
    follower: JoinHandle<()>,
    /// Calls who waits for a guard.
    lines: JoinHandle<()>,
    /// Lets partitions go on that were held back because too many sagas waited.
    crowds: JoinHandle<()>,
    /// Proves that the store takes writes.
    heartbeat: JoinHandle<()>,
    /// Waits for a store that lost commits.
    watcher: JoinHandle<()>,
}

/// What has to be in the store, and known from it, before an engine starts.
#[derive(Debug)]
pub struct EnginePreparation {
    plans: PlanCache,
    acts: Arc<OverrideLog>,
}

impl SagaEngine {
    /// Stores the definitions, and puts into effect what people decided about guards. Can be repeated.
    ///
    /// # Errors
    /// When the store does not take the definitions, or does not say what is on record.
    pub async fn prepare(settings: &EngineSettings) -> Result<EnginePreparation, saga_event_store::StoreError> {
        let plans = PlanCache::default();
        for plan in settings.catalog.plans() {
            plans.publish(settings.store.as_ref(), Arc::clone(plan)).await?;
        }
        let acts = Arc::new(OverrideLog::new(Arc::clone(&settings.store), Arc::clone(&settings.guarded)));
        acts.catch_up().await?;
        Ok(EnginePreparation { plans, acts })
    }

    /// Starts the committers and what else runs beside the shards. No shard is owned yet, and so nobody was called.
    #[must_use]
    pub fn start(settings: EngineSettings, prepared: EnginePreparation) -> SagaEngine {
        let EnginePreparation { plans, acts } = prepared;
        let store_health = Arc::<StoreHealth>::default();
        let (following, health) = (Arc::clone(&acts), Arc::clone(&store_health));
        let missed = move |error: &saga_event_store::StoreError| health.missed("read the record of guard acts", error);
        let follower = tokio::spawn(async move { following.follow(missed).await });
        let start = |number| GroupCommitter::start(Arc::clone(&settings.store), Arc::clone(&store_health), number);
        let (committers, writers) = (0..COMMITTERS).map(start).unzip();
        let (store, health) = (Arc::clone(&settings.store), Arc::clone(&store_health));
        let heartbeat =
            tokio::spawn(store_health::keep_proving(store, settings.instance.clone(), settings.clock, health));
        let inbox = settings.kafka.as_ref().map_or(InboxForwarder::Nowhere, |kafka| InboxForwarder::Topic {
            topic: Arc::clone(&kafka.inbox),
            producer: kafka.producer.clone(),
            topics: Arc::clone(settings.guarded.topics()),
        });
        let lines = tokio::spawn(Arc::clone(&settings.guarded).keep_lines());
        let holds = PartitionHolds::default();
        let crowded = settings.guarded.crowded_topics();
        let crowd = Arc::new(crowd::TriggerBackpressure::new(crowded, holds.clone()));
        let topics = Arc::clone(settings.guarded.topics());
        let letters = DeadLetterWriter::new(settings.kafka.clone(), topics, settings.clock, holds.clone());
        let parts = Parts {
            router: ShardRouter::new(settings.shards, inbox),
            answer_path: AnswerProgress::new(settings.kafka.is_some()),
            store: settings.store,
            store_health,
            step_back: StepBackRecovery::default(),
            plans,
            guarded: settings.guarded,
            acts,
            current: ActiveConfigCell::new(ActiveConfig {
                catalog: settings.catalog,
                participants: settings.participants,
            }),
            published: Arc::default(),
            participants_file: settings.participants_file,
            reloading: Mutex::default(),
            instance: settings.instance,
            kafka: settings.kafka,
            clock: settings.clock,
            skew: ClockSkew::new(settings.most_skew),
            observer: settings.observer,
            answers: AnswerCache::default(),
            holds,
            crowd,
            reads: Semaphore::new(READS),
            recovering: Arc::new(Semaphore::new(RECOVERING)),
            turns: turns::LoadSemaphore::default(),
            acting: Arc::new(Semaphore::new(operate::MOST_ACTS)),
            committers,
            letters,
            calls: TaskTracker::new(),
        };
        let parts = Arc::new(parts);
        let crowds = tokio::spawn(Arc::clone(&parts.crowd).follow());
        let watcher = tokio::spawn(step_back::follow(Arc::clone(&parts)));
        SagaEngine { parts, writers, follower, lines, crowds, heartbeat, watcher }
    }

    /// Waits for the calls under way, at most `patience`, then for the committers. All shards must have been released. Whatever call is
    /// still open then is sent again, under the same id, by the shard's next owner.
    pub async fn finish(self, patience: std::time::Duration) {
        self.parts.calls.close();
        if tokio::time::timeout(patience, self.parts.calls.wait()).await.is_err() {
            tracing::info!(calls = self.parts.calls.len(), "calls still open are sent again by the next owner");
        }
        let others = [self.follower, self.lines, self.crowds, self.heartbeat, self.watcher];
        for task in self.writers.into_iter().chain(others) {
            task.abort();
        }
    }
}

impl Parts {
    pub(crate) fn committer(&self, shard: saga_core::id::ShardId) -> &GroupCommitter {
        &self.committers[usize::from(shard.0) % self.committers.len()]
    }
}
