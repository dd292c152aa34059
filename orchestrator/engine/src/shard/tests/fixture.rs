//! A shard made of a store, a plan, a clock and channels.

use super::super::{ShardContext, ShardLoop, ShardOutputs, ShardStore};
use crate::{
    active_config::{ActiveConfig, ActiveConfigCell},
    admission::DecisionSources,
    answer_progress::AnswerProgress,
    catalog::DefinitionCatalog,
    committer::GroupCommitter,
    dead_letter::DeadLetterWriter,
    dispatch::{EffectSender, OutboundCall, OutboundEvent},
    journal::{JournalAccess, PlanCache},
    observer::ObserverHandle,
    partition_holds::PartitionHolds,
    router::{InboxForwarder, ShardRouter},
    saga_watch::SagaWatch,
    skew::ClockSkew,
    store_health::StoreHealth,
    traces::SagaTraces,
};
use saga_base::clock::EngineClock;
use saga_core::{answerable::ALWAYS, definition::ParticipantCatalog, id::ShardId, state::SagaPlan};
use saga_event_store::{EventStore, StoreAccess};
use saga_resilience::registry::GuardRegistry;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Effects that a test has not looked at yet.
const EFFECTS: usize = 16;

/// What a shard's task of a test works with.
pub(super) struct ShardFixture {
    pub(super) context: Arc<ShardContext>,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) journal: JournalAccess,
    pub(super) guards: Arc<GuardRegistry>,
    pub(super) router: ShardRouter,
    _folder: tempfile::TempDir,
}

impl ShardFixture {
    /// A shard of a new store, which has the plan.
    pub(super) async fn new(
        participants: ParticipantCatalog,
        plan: Arc<SagaPlan>,
        clock: EngineClock,
        effects: impl FnOnce(&Arc<GuardRegistry>, &ShardRouter) -> Arc<dyn EffectSender>,
        observer: ObserverHandle,
    ) -> ShardFixture {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        let store = saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store");
        let journal = JournalAccess::new(Arc::clone(&store), PlanCache::default());
        journal.publish(Arc::clone(&plan)).await.expect("the store takes the plan");
        let guards = Arc::new(GuardRegistry::from_participants(&participants).expect("guards"));
        let router = ShardRouter::new(1, InboxForwarder::Disabled);
        let effects = effects(&guards, &router);
        let health = Arc::<StoreHealth>::default();
        let (committer, _task) = GroupCommitter::start(Arc::clone(&store), Arc::clone(&health), 0);
        let skew = Arc::new(ClockSkew::new(Duration::from_secs(60)));
        let shard_store =
            ShardStore::new(journal.clone(), vec![committer], health, Arc::default(), skew, "test".into());
        let letters = DeadLetterWriter::new(None, Arc::clone(guards.topics()), clock, PartitionHolds::default());
        let outputs = ShardOutputs::new(
            effects,
            letters,
            router.clone(),
            (observer, SagaTraces::default(), SagaWatch::default()),
            TaskTracker::new(),
        );
        let catalog = DefinitionCatalog::new(vec![plan]);
        let config = ActiveConfigCell::new(ActiveConfig { catalog, participants: Arc::new(participants) });
        let sources = DecisionSources::new(Arc::clone(&guards), Arc::default(), None);
        let answers = Arc::new(AnswerProgress::new(false));
        let context = ShardContext::new(shard_store, sources, outputs, Arc::new(config), clock, answers);
        ShardFixture { context: Arc::new(context), store, journal, guards, router, _folder: folder }
    }

    /// The shard, claimed just now: its earlier owner is fenced.
    pub(super) async fn claim(&self) -> ShardLoop {
        let epoch = self.store.claim(0, "test").await.expect("the shard is claimed");
        ShardLoop::new(Arc::clone(&self.context), ShardId(0), epoch, ALWAYS.clone())
    }
}

/// Takes what the engine would send.
#[derive(Debug)]
pub(super) struct EffectChannel(mpsc::Sender<OutboundCall>);

impl EffectChannel {
    pub(super) fn new() -> (Arc<EffectChannel>, mpsc::Receiver<OutboundCall>) {
        let (sender, sent) = mpsc::channel(EFFECTS);
        (Arc::new(EffectChannel(sender)), sent)
    }
}

impl EffectSender for EffectChannel {
    fn call(&self, call: OutboundCall) {
        self.0.try_send(call).expect("the test looks at what is sent");
    }

    fn publish(&self, event: OutboundEvent) {
        panic!("nothing is published in these tests: {event:?}");
    }
}
