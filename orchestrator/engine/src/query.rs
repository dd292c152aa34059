//! What can be asked of an engine. Nothing is changed by it.

use super::{
    active_config::{ActiveConfig, ActiveConfigCell},
    answer_progress::{AnswerProgress, DeadlinePause},
    bulk::{self, BulkJobRecord},
    definition_generations::GenerationTracker,
    definition_pauses::{DefinitionPause, PauseLog},
    events_topic::{EventsTopicStanding, EventsTopicView},
    feed::FeedReader,
    journal::{
        JournalAccess, JournalError, LetterNames, RecordedSaga, UnknownFilterName,
        counts::{self, CountDimension, SagaGroup},
        difference::SagaDifference,
        point::HistoryPoint,
        reading::{self, RefreshScope, SagaLine, SagaLookup, SagaQuery},
        reruns,
        search::{self, FoundSagas},
        sensitive::SensitiveDetail,
        shown::{self, LookBackError, SagaDisplay},
    },
    letters::OpenLetters,
    naming,
    overrides::{ActiveOverride, OverrideLog, RecordedOverride},
    projection::{self, ProjectionPage, ProjectionView, UnknownProjection},
    replay::audit::{self, AuditReport, AuditRequest},
    router::{LaggingShard, ShardRouter},
    saga_watch::{SagaWaker, SagaWatch},
    schema_source::{RegistryOutage, SchemaSource},
    skew::ClockSkew,
    step_back::StepBackRecovery,
    store_health::StoreHealth,
};
use saga_base::clock::EngineClock;
use saga_core::{
    definition::{SensitivePaths, participants::CriticalPath},
    describe::{SagaView, StepPhase},
    id::SagaId,
    state::{SagaPlan, SagaStatus},
    time::Timestamp,
};
use saga_event_store::{EventStore, SessionUsage, StoreError, StreamFlagCount, StreamStatusCount, WaitTarget};
use saga_registry::RegistryError;
use saga_resilience::{
    guard_events::GuardEvent,
    registry::{GuardRegistry, blocking_guard::BlockingGuardView},
    snapshot::ParticipantSnapshot,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

/// Reads what an engine knows. A cheap handle.
#[derive(Clone, Debug)]
pub struct QueryHandle {
    journal: JournalAccess,
    guards: Arc<GuardRegistry>,
    overrides: Arc<OverrideLog>,
    pauses: Arc<PauseLog>,
    config: Arc<ActiveConfigCell>,
    generations: Arc<GenerationTracker>,
    health: EngineHealth,
    watch: SagaWatch,
    clock: EngineClock,
}

/// How an engine stands with what it depends on. A cheap handle.
#[derive(Clone, Debug)]
pub struct EngineHealth {
    store: Arc<StoreHealth>,
    skew: Arc<ClockSkew>,
    step_back: Arc<StepBackRecovery>,
    router: ShardRouter,
    answers: Arc<AnswerProgress>,
    events_topic: Option<Arc<EventsTopicStanding>>,
    schemas: SchemaSource,
}

impl EngineHealth {
    pub(crate) fn new(
        store: Arc<StoreHealth>,
        skew: Arc<ClockSkew>,
        step_back: Arc<StepBackRecovery>,
        router: ShardRouter,
        answers: Arc<AnswerProgress>,
        events_topic: Option<Arc<EventsTopicStanding>>,
        schemas: SchemaSource,
    ) -> EngineHealth {
        EngineHealth { store, skew, step_back, router, answers, events_topic, schemas }
    }

    /// Why the engine does not work as it should, as text for operators; empty: it does.
    #[must_use]
    pub fn troubles(&self, now: Instant) -> Vec<String> {
        let step_back = self.step_back.trouble(self.router.owned_shards());
        self.skew.trouble().into_iter().chain(self.store.trouble(now)).chain(step_back).collect()
    }

    /// How long ago the store confirmed a write; `None`: it has confirmed none yet.
    #[must_use]
    pub fn write_confirmed_ago(&self, now: Instant) -> Option<Duration> {
        self.store.confirmed_ago(now)
    }

    /// How many shards this engine owns.
    #[must_use]
    pub fn owned_shards(&self) -> usize {
        self.router.owned()
    }

    /// Shards that are owned here and do not take their messages.
    #[must_use]
    pub fn lagging_shards(&self) -> Vec<LaggingShard> {
        self.router.lagging()
    }

    /// Why deadlines stand still in this engine; `None`: they do not.
    #[must_use]
    pub fn deadline_pause(&self) -> Option<DeadlinePause> {
        self.answers.deadline_pause()
    }

    /// How the topic of all events stands; `None`: there is none, or another engine writes to it.
    #[must_use]
    pub fn events_topic(&self, now: Timestamp) -> Option<EventsTopicView> {
        self.events_topic.as_ref()?.view(now)
    }

    /// Asks the schema registry whether it is there; `None`: there is none.
    pub async fn ping_registry(&self) -> Option<Result<(), RegistryError>> {
        self.schemas.ping().await
    }

    /// The outage of the schema registry that records wait for; `None`: none waits for it.
    #[must_use]
    pub fn registry_outage(&self) -> Option<RegistryOutage> {
        self.schemas.outage()
    }
}

impl QueryHandle {
    pub(crate) fn new(
        journal: JournalAccess,
        (guards, overrides, pauses): (Arc<GuardRegistry>, Arc<OverrideLog>, Arc<PauseLog>),
        config: Arc<ActiveConfigCell>,
        generations: Arc<GenerationTracker>,
        (health, watch): (EngineHealth, SagaWatch),
        clock: EngineClock,
    ) -> QueryHandle {
        QueryHandle { journal, guards, overrides, pauses, config, generations, health, watch, clock }
    }

    /// The time by which the engine works.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How the engine stands with what it depends on.
    #[must_use]
    pub fn health(&self) -> &EngineHealth {
        &self.health
    }

    /// The definitions and participants that new sagas start with now.
    #[must_use]
    pub fn config(&self) -> Arc<ActiveConfig> {
        self.config.keep()
    }

    /// Definitions that start no sagas for now, by name, and why.
    #[must_use]
    pub fn paused_definitions(&self) -> BTreeMap<String, DefinitionPause> {
        self.pauses.all()
    }

    /// Topics that are left to engines which know more, and why.
    #[must_use]
    pub fn yielded_topics(&self) -> BTreeMap<String, String> {
        self.generations.yielded_topics()
    }

    /// Every plan that this process has used.
    #[must_use]
    pub fn known_plans(&self) -> Vec<Arc<SagaPlan>> {
        self.journal.plans().all()
    }

    /// What is sensitive in records of this topic, or of this definition, by the texts that this process has used.
    #[must_use]
    pub fn sensitive_in(&self, topic: Option<&str>, definition: Option<&str>) -> SensitivePaths {
        let plans = self.known_plans();
        let is_asked = |plan: &&Arc<SagaPlan>| {
            definition == Some(plan.definition.name.as_str()) || topic == Some(plan.definition.trigger.topic.as_str())
        };
        SensitivePaths::union(plans.iter().filter(is_asked).map(|plan| &plan.definition.sensitive))
    }

    /// How many shards the installation has.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.store().identity().shards
    }

    /// The sessions that the store has with its database, as they are now.
    #[must_use]
    pub fn store_sessions(&self) -> SessionUsage {
        self.store().sessions()
    }

    /// Asks the store for its time.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        self.store().clock_ms().await.map(drop)
    }

    fn store(&self) -> &dyn EventStore {
        self.journal.store().as_ref()
    }
}

/// Queries about sagas and their journals.
impl QueryHandle {
    /// Sagas as the read model has them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self, wanted: &SagaQuery) -> Result<Vec<SagaLine>, StoreError> {
        reading::list(self.store(), wanted).await
    }

    /// A page of sagas, for which the store reads a bounded number of them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn search(&self, wanted: &SagaQuery) -> Result<FoundSagas, StoreError> {
        search::search(self.store(), wanted).await
    }

    /// Brings lines up to date from the journals; returns the steps of the sagas that were looked at.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn refresh(
        &self,
        lines: &mut [SagaLine],
        scope: RefreshScope,
    ) -> Result<HashMap<SagaId, Vec<(String, StepPhase)>>, StoreError> {
        reading::refresh(self.store(), self.journal.plans(), lines, scope).await
    }

    /// The saga with this id or business key, of this definition if it is given.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find(&self, name: &str, definition: Option<&str>) -> Result<SagaLookup, StoreError> {
        reading::find(self.store(), name, definition).await
    }

    /// The saga with this business key, of this definition if it is given.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn find_key(&self, key: &str, definition: Option<&str>) -> Result<SagaLookup, StoreError> {
        reading::find_key(self.store(), key, definition).await
    }

    /// The saga as it can be shown, also where its journal cannot be read; as it was at `at`, or as it is. `None`:
    /// there is none.
    ///
    /// # Errors
    /// When the store does not answer, or the saga has no state at `at`.
    pub async fn show(&self, saga: SagaId, at: Option<HistoryPoint>) -> Result<Option<SagaDisplay>, LookBackError> {
        shown::show(self.store(), self.journal.plans(), saga, at).await
    }

    /// What changed in the saga between two points of its history; `None`: there is no such saga.
    ///
    /// # Errors
    /// When the saga cannot be read, or has no state at one of the points.
    pub async fn difference(
        &self,
        saga: SagaId,
        points: [HistoryPoint; 2],
        sensitive: SensitiveDetail,
    ) -> Result<Option<SagaDifference>, LookBackError> {
        shown::difference(self.store(), self.journal.plans(), saga, points, sensitive).await
    }

    /// The saga with the id of the one that runs it again, if one does.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn with_rerun(&self, saga: SagaView) -> Result<SagaView, StoreError> {
        reruns::told(self.store(), saga).await
    }

    /// The version of the last row of a saga; `None`: there is no such saga.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn last_version(&self, saga: SagaId) -> Result<Option<u32>, StoreError> {
        self.store().last_version(saga.uuid()).await
    }

    /// A reader that commits of this engine to the saga wake.
    #[must_use]
    pub fn watch(&self, saga: SagaId) -> SagaWaker {
        self.watch.of(saga)
    }

    /// The saga as its journal tells it; `None`: there is none.
    ///
    /// # Errors
    /// When the saga cannot be read.
    pub async fn read(&self, saga: SagaId) -> Result<Option<RecordedSaga>, JournalError> {
        self.journal.read(saga).await
    }

    /// Groups of sagas, by what they have in common.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn count(&self, wanted: &SagaQuery, by: &[CountDimension]) -> Result<Vec<SagaGroup>, StoreError> {
        counts::count(self.store(), wanted, by).await
    }

    /// Open sagas by definition and status.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open_by_status(&self) -> Result<Vec<StreamStatusCount>, StoreError> {
        self.store().standing().await
    }

    /// Sagas with open incidents, by kind.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn incident_counts(&self) -> Result<Vec<StreamFlagCount>, StoreError> {
        self.store().flagged().await
    }

    /// Sagas that guards hold back, by guard.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
        self.store().waiting_counts().await
    }

    /// A name in `wanted` that nothing has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn misnamed(&self, wanted: &SagaQuery) -> Result<Option<UnknownFilterName>, StoreError> {
        naming::misnamed(self.store(), self.journal.plans(), wanted, &self.guards.names()).await
    }

    /// What a question about dead letters, of the topic `dlq` or of all, names and nothing has; as
    /// [`naming::misnamed_letters`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn misnamed_letters(
        &self,
        dlq: Option<&str>,
        wanted: &LetterNames<'_>,
    ) -> Result<Option<UnknownFilterName>, StoreError> {
        naming::misnamed_letters(self.store(), self.journal.plans(), dlq, wanted, &[]).await
    }

    /// What acts are asked for, if nothing has this name; as [`naming::unknown_target`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unknown_target(&self, name: &str) -> Result<Option<UnknownFilterName>, StoreError> {
        naming::unknown_target(self.store(), self.journal.plans(), name).await
    }

    /// The definition with this name, if nothing here has it; as [`naming::unknown_saga`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unknown_saga(&self, name: &str) -> Result<Option<UnknownFilterName>, StoreError> {
        naming::unknown_saga(self.store(), self.journal.plans(), name).await
    }

    /// Whether a saga has ended, as the read model says; `None`: the store does not have it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn has_ended(&self, saga: SagaId) -> Result<Option<bool>, StoreError> {
        let summary = self.store().summary(saga.uuid()).await?;
        Ok(summary.map(|it| it.status.parse().is_ok_and(|status: SagaStatus| status.is_terminal())))
    }

    /// A reader of the feed of all events.
    #[must_use]
    pub fn feed(&self) -> FeedReader {
        FeedReader::with_plans(Arc::clone(self.journal.store()), self.journal.shared_plans())
    }

    /// Every projection, and how far it is.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn projections(&self) -> Result<Vec<ProjectionView>, StoreError> {
        projection::views(self.store()).await
    }

    /// Rows of a projection whose keys begin with a prefix, after a key; as [`projection::page`].
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn projection_page(
        &self,
        name: &str,
        (prefix, after): (&str, &str),
        limit: u32,
    ) -> Result<Result<ProjectionPage, UnknownProjection>, StoreError> {
        projection::page(self.store(), name, (prefix, after), limit).await
    }

    /// When the oldest committed event was recorded that the feed cannot show yet; `None`: it shows all.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn feed_held_since_ms(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.store().feed_extent().await?.held_since_ms)
    }

    /// The dead letters that nobody has redriven or discarded.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn open_letters(&self) -> Result<OpenLetters, StoreError> {
        OpenLetters::count(self.store()).await
    }

    /// A page of what operators and deployments did, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn audit(&self, wanted: &AuditRequest) -> Result<AuditReport, StoreError> {
        audit::audit(Arc::clone(self.journal.store()), wanted).await
    }

    /// Jobs on record, the latest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recorded_jobs(&self) -> Result<Vec<BulkJobRecord>, StoreError> {
        bulk::on_record(self.store()).await
    }
}

/// Queries about the guards of participants.
impl QueryHandle {
    /// The names of all participants that are configured, sorted.
    #[must_use]
    pub fn participants(&self) -> Vec<String> {
        self.guards.names()
    }

    /// The state of the guards of all participants.
    #[must_use]
    pub fn guards(&self) -> Vec<ParticipantSnapshot> {
        self.guards.snapshot()
    }

    /// The guards of one participant; `None`: it is not configured.
    #[must_use]
    pub fn guard_of(&self, participant: &str) -> Option<ParticipantSnapshot> {
        self.guards.snapshot_of(participant)
    }

    /// How the guards stand that a saga waits for, as this engine sees them.
    #[must_use]
    pub fn blocking_guards(&self, waits_on: &[String]) -> Vec<BlockingGuardView> {
        self.guards.blocking_guards(waits_on)
    }

    /// The chain of participants that need each other whose attempts take longest.
    #[must_use]
    pub fn critical_path(&self) -> Option<CriticalPath> {
        self.guards.critical_path()
    }

    /// Receives the changes of guards from now on.
    #[must_use]
    pub fn guard_events(&self) -> broadcast::Receiver<Arc<GuardEvent>> {
        self.guards.changes().follow()
    }

    /// What operators put in force for a participant; `None`: nothing.
    #[must_use]
    pub fn override_in_force(&self, participant: &str) -> Option<ActiveOverride> {
        self.overrides.in_force(participant)
    }

    /// The last `limit` acts on guards, newest first, of one participant or of all.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn overrides(
        &self,
        participant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecordedOverride>, StoreError> {
        self.overrides.list(participant, limit).await
    }
}
