//! What the tasks of all shards share, and nothing that a shard does not need.

use crate::{
    active_config::ActiveConfigCell, admission::DecisionSources, answer_progress::AnswerProgress,
    committer::GroupCommitter, dead_letter::DeadLetterWriter, dispatch::EffectSender, journal::JournalAccess,
    load_permits::LoadSemaphore, observer::ObserverHandle, router::ShardRouter, saga_watch::SagaWatch, skew::ClockSkew,
    step_back::StepBackRecovery, store_health::StoreHealth, traces::SagaTraces,
};
use saga_base::clock::EngineClock;
use saga_core::id::ShardId;
use saga_event_store::EventStore;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Reads of journals at once: half of the store's connections stay for commits and claims.
const READS: usize = 4;

/// Portions of open sagas that new owners have in memory at once, of all shards: each is some megabytes.
const RECOVERING: usize = 4;

/// Snapshots that are written at once, of all shards: each has a copy of a state in memory, and one connection.
const SNAPSHOTS: usize = 2;

/// The parts of the engine that a shard's task uses.
#[derive(Debug)]
pub(crate) struct ShardContext {
    pub(super) store: ShardStore,
    pub(super) sources: DecisionSources,
    pub(super) outputs: ShardOutputs,
    /// The active definitions and participants: replies are read according to them.
    pub(super) config: Arc<ActiveConfigCell>,
    pub(super) clock: EngineClock,
    pub(super) answer_path: Arc<AnswerProgress>,
    /// Permits to bring sagas into memory because their time has come.
    pub(super) load_permits: LoadSemaphore,
}

impl ShardContext {
    pub(crate) fn new(
        store: ShardStore,
        sources: DecisionSources,
        outputs: ShardOutputs,
        config: Arc<ActiveConfigCell>,
        clock: EngineClock,
        answer_path: Arc<AnswerProgress>,
    ) -> ShardContext {
        ShardContext { store, sources, outputs, config, clock, answer_path, load_permits: LoadSemaphore::default() }
    }
}

/// A shard's way to the event store.
#[derive(Debug)]
pub(crate) struct ShardStore {
    pub(super) journal: JournalAccess,
    committers: Vec<GroupCommitter>,
    pub(super) health: Arc<StoreHealth>,
    pub(super) step_back: Arc<StepBackRecovery>,
    pub(super) skew: Arc<ClockSkew>,
    /// Name of this process in claims.
    pub(super) instance: String,
    /// Permits to read journals, shared by the shards.
    pub(super) reads: Semaphore,
    /// Permits to have a portion of open sagas in memory.
    pub(super) recovering: Arc<Semaphore>,
    /// Permits to write snapshots.
    pub(super) snapshots: Arc<Semaphore>,
}

impl ShardStore {
    pub(crate) fn new(
        journal: JournalAccess,
        committers: Vec<GroupCommitter>,
        health: Arc<StoreHealth>,
        step_back: Arc<StepBackRecovery>,
        skew: Arc<ClockSkew>,
        instance: String,
    ) -> ShardStore {
        let (reads, recovering) = (Semaphore::new(READS), Arc::new(Semaphore::new(RECOVERING)));
        let snapshots = Arc::new(Semaphore::new(SNAPSHOTS));
        ShardStore { journal, committers, health, step_back, skew, instance, reads, recovering, snapshots }
    }

    pub(super) fn events(&self) -> &dyn EventStore {
        self.journal.store().as_ref()
    }

    pub(super) fn committer(&self, shard: ShardId) -> &GroupCommitter {
        &self.committers[usize::from(shard.0) % self.committers.len()]
    }
}

/// The outputs that a shard's work goes to.
#[derive(Debug)]
pub(crate) struct ShardOutputs {
    pub(super) effects: Arc<dyn EffectSender>,
    pub(super) letters: DeadLetterWriter,
    pub(super) router: ShardRouter,
    pub(super) observer: ObserverHandle,
    pub(super) traces: SagaTraces,
    /// Readers that wait for commits.
    pub(super) watch: SagaWatch,
    /// Short tasks that outlive their cause: messages that are handed to the inbox, rows beside the journal.
    pub(super) tasks: TaskTracker,
}

impl ShardOutputs {
    pub(crate) fn new(
        effects: Arc<dyn EffectSender>,
        letters: DeadLetterWriter,
        router: ShardRouter,
        (observer, traces, watch): (ObserverHandle, SagaTraces, SagaWatch),
        tasks: TaskTracker,
    ) -> ShardOutputs {
        ShardOutputs { effects, letters, router, observer, traces, watch, tasks }
    }
}
