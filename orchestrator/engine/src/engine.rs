//! An engine: what it is made of, its start, its handles, its end.

use super::{
    KafkaOutput,
    act_preview::ActPreviewer,
    act_sender::ActSender,
    active_config::{ActiveConfig, ActiveConfigCell},
    admission::DecisionSources,
    answer_progress::AnswerProgress,
    answer_watch::AnswerWatchContext,
    archiving::{
        ArchiveKeeper,
        erasing::{ArchiveEraser, RewriteTask},
    },
    catalog::DefinitionCatalog,
    committer::GroupCommitter,
    dead_letter::DeadLetterWriter,
    definition_generations::GenerationTracker,
    definition_lookup::DefinitionLookup,
    definition_pauses::PauseLog,
    definition_rollout::{FollowerContext, PublisherContext},
    dispatch::OutboundCalls,
    events_topic::{EventsTopic, EventsTopicStanding, EventsTopicWorker, TopicBookmark},
    inbox_intake::InboxIntake,
    journal::{JournalAccess, PlanCache},
    key_rotation::KeyRotation,
    key_sweep::KeySweeper,
    letters::{LetterCourierParts, LetterDesk, LetterFollower, LetterSource, LetterStanding},
    message::{MessageContent, MessageReceipt, ShardMessage},
    observer::ObserverHandle,
    operator::OperatorHandle,
    overrides::OverrideLog,
    ownership::ShardOwnership,
    partition_holds::PartitionHolds,
    partitions::PartitionKeeper,
    projection::ProjectionWorker,
    query::{EngineHealth, QueryHandle},
    reload::{ReloadHandle, WatchedFile},
    rerun_sender::RerunSender,
    router::{InboxForwarder, MessageSource, ShardRouter},
    saga_watch::SagaWatch,
    schema_source::SchemaSource,
    shard::{ShardContext, ShardOutputs, ShardStore},
    skew::ClockSkew,
    start_sender::StartSender,
    step_back::{StepBackFollower, StepBackRecovery, saved_confirmations::ConfirmationSaver},
    store_health::{self, StoreHealth},
    traces::{SagaTraces, TraceSettings},
    trigger_backpressure::TriggerBackpressure,
    trigger_intake::TriggerIntake,
};
use saga_base::clock::EngineClock;
use saga_core::{definition::ParticipantCatalog, id::ShardId, input::SagaStart, state::SagaPlan};
use saga_event_store::{EventStore, StoreError};
use saga_kafka::OffsetMetadataStore;
use saga_resilience::{overrides::OverrideState, registry::GuardRegistry};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Transactions that may be under way at once: one fills while one is written out.
const COMMITTERS: usize = 2;

/// The settings that an engine starts with.
#[derive(Debug)]
pub struct EngineSettings {
    /// The event store that has the journal.
    pub store: Arc<dyn EventStore>,
    /// The guards and the transport of all participants.
    pub guarded: Arc<GuardRegistry>,
    /// The definitions that may start sagas.
    pub catalog: DefinitionCatalog,
    /// The participants whose timeouts and retries new sagas of a forwarded trigger get.
    pub participants: Arc<ParticipantCatalog>,
    /// The participants.yaml that the engine reads again when it changes; `None`: the engine never reads it again.
    pub participants_file: Option<WatchedFile>,
    /// How many shards the installation has.
    pub shards: u16,
    /// Name of this process in claims and logs.
    pub instance: String,
    /// Where the files of archives are, for erasures of archived sagas and for projections that are built anew; `None`:
    /// none is configured.
    pub archive_folder: Option<PathBuf>,
    /// Where commands and events are produced; `None` without Kafka.
    pub kafka: Option<KafkaOutput>,
    /// The topic that gets all events; `None`: there is none. It needs Kafka.
    pub events_topic: Option<EventsTopic>,
    /// The topic of dead letters that the table in the store follows; `None`: none is followed. It needs Kafka.
    pub letters: Option<LetterSource>,
    /// Where the schemas of records in Avro are.
    pub schemas: SchemaSource,
    /// The clock that the engine reads the time from.
    pub clock: EngineClock,
    /// The largest allowed difference between the engine's clock and the store's clock.
    pub most_skew: Duration,
    /// The observer that the engine calls for every commit.
    pub observer: ObserverHandle,
    /// Where spans of sagas go; `None`: nothing is told of any.
    pub traces: Option<TraceSettings>,
}

/// What has to be in the store, and known from it, before an engine starts.
#[derive(Debug)]
pub struct EnginePreparation {
    plans: PlanCache,
    overrides: Arc<OverrideLog>,
    pauses: Arc<PauseLog>,
}

/// A running engine, without its consumers.
#[derive(Debug)]
pub struct SagaEngine {
    shared: EngineShared,
    shard: Arc<ShardContext>,
    intake: TriggerIntake,
    operator: OperatorHandle,
    calls: OutboundCalls,
    /// Short tasks that are no calls: messages on their way to the inbox, acts on their way to their shards.
    short_tasks: TaskTracker,
    /// Tasks that run until the engine ends: the committers among them.
    tasks: Vec<JoinHandle<()>>,
}

/// The parts that several handles share.
#[derive(Debug)]
struct EngineShared {
    journal: JournalAccess,
    guards: Arc<GuardRegistry>,
    overrides: Arc<OverrideLog>,
    pauses: Arc<PauseLog>,
    config: Arc<ActiveConfigCell>,
    generations: Arc<GenerationTracker>,
    watch: SagaWatch,
    router: ShardRouter,
    letters: DeadLetterWriter,
    holds: PartitionHolds,
    answers: Arc<AnswerProgress>,
    store_health: Arc<StoreHealth>,
    step_back: Arc<StepBackRecovery>,
    skew: Arc<ClockSkew>,
    clock: EngineClock,
    kafka: Option<KafkaOutput>,
    events_topic: Option<(EventsTopic, Arc<EventsTopicStanding>)>,
    letter_source: Option<(LetterSource, Arc<LetterStanding>)>,
    schemas: SchemaSource,
    instance: String,
    archive_folder: Option<PathBuf>,
}

impl SagaEngine {
    /// Stores the definitions and where the topic of all events begins, and puts into effect what operators decided
    /// about guards. Can be repeated.
    ///
    /// # Errors
    /// When the store does not take the definitions, or does not say what is on record.
    pub async fn prepare(settings: &EngineSettings) -> Result<EnginePreparation, StoreError> {
        let plans = PlanCache::default();
        for plan in settings.catalog.plans() {
            plans.publish(settings.store.as_ref(), Arc::clone(plan)).await?;
        }
        if let Some(topic) = &settings.events_topic {
            TopicBookmark::read_or_begin(settings.store.as_ref(), topic).await?;
        }
        let overrides = Arc::new(OverrideLog::new(Arc::clone(&settings.store), Arc::clone(&settings.guarded)));
        overrides.catch_up().await?;
        overrides.end_pauses(settings.clock.now());
        let pauses = Arc::new(PauseLog::new(Arc::clone(&settings.store)));
        pauses.catch_up().await?;
        Ok(EnginePreparation { plans, overrides, pauses })
    }

    /// Starts the committers and what else runs beside the shards. No shard is owned yet, and so no participant was
    /// called.
    #[must_use]
    pub fn start(settings: EngineSettings, prepared: EnginePreparation) -> SagaEngine {
        let observer = settings.observer.clone();
        let traces = settings.traces.clone();
        let watched = settings.participants_file.clone();
        let shared = EngineShared::new(settings, prepared);
        let (committers, mut tasks) = shared.start_committers();
        let (traces, late) = SagaTraces::new(traces, &shared.guards);
        tasks.extend(late.map(|late| tokio::spawn(late.run(shared.journal.clone()))));
        let short_tasks = TaskTracker::new();
        let sources = shared.decision_sources();
        let calls = OutboundCalls::new(
            Arc::clone(&shared.guards),
            shared.kafka.clone(),
            shared.schemas.clone(),
            shared.router.clone(),
        );
        let outputs = ShardOutputs::new(
            Arc::new(calls.clone()),
            shared.letters.clone(),
            shared.router.clone(),
            (observer, traces, shared.watch.clone()),
            short_tasks.clone(),
        );
        let shard = shared.shard_context(committers, sources.clone(), outputs);
        let crowded = shared.guards.overloaded_topics();
        let backpressure = Arc::new(TriggerBackpressure::new(crowded, shared.holds.clone()));
        let intake = shared.intake(Arc::clone(&backpressure));
        let (operator, rewriting) = shared.operator((sources, intake.clone()), watched, short_tasks.clone());
        tasks.extend(shared.start_followers());
        tasks.push(tokio::spawn(rewriting.run()));
        tasks.push(tokio::spawn(backpressure.follow()));
        SagaEngine { shared, shard: Arc::new(shard), intake, operator, calls, short_tasks, tasks }
    }

    /// Waits for the calls under way, at most `most`, then for the committers. All shards must have been released. The
    /// next owner of a shard sends again whatever call is still open then, under the same id.
    pub async fn finish(self, most: Duration) {
        self.short_tasks.close();
        // Side by side: together they take no longer than the caller waits.
        drop(tokio::join!(self.calls.finish(most), tokio::time::timeout(most, self.short_tasks.wait())));
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The handles to the parts of the engine.
impl SagaEngine {
    /// The handle that takes the records of trigger and reply topics.
    #[must_use]
    pub fn intake(&self) -> TriggerIntake {
        self.intake.clone()
    }

    /// A new shard ownership, which owns no shard yet.
    #[must_use]
    pub fn ownership(&self) -> ShardOwnership {
        let shared = &self.shared;
        let inbox = InboxIntake::new(
            self.intake.clone(),
            shared.router.clone(),
            shared.journal.clone(),
            Arc::clone(&shared.config),
            shared.letters.clone(),
            Arc::clone(&shared.store_health),
        );
        ShardOwnership::new(Arc::clone(&self.shard), inbox, shared.router.clone())
    }

    /// The handle for the acts of operators on sagas and guards.
    #[must_use]
    pub fn operator(&self) -> OperatorHandle {
        self.operator.clone()
    }

    /// The handle for dead letters; `None`: none are followed.
    #[must_use]
    pub fn letters(&self) -> Option<LetterDesk> {
        let shared = &self.shared;
        let ((source, standing), kafka) = shared.letter_source.as_ref().zip(shared.kafka.as_ref())?;
        let parts = LetterCourierParts {
            store: Arc::clone(shared.journal.store()),
            intake: self.intake.clone(),
            letters: shared.letters.clone(),
            clock: shared.clock,
            config: Arc::clone(&shared.config),
            definitions: DefinitionLookup::new(shared.journal.clone(), Arc::clone(&shared.config)),
            schemas: shared.schemas.clone(),
            previewer: shared.previewer(shared.decision_sources()),
            topics: (Arc::clone(&kafka.replies), Arc::clone(&kafka.inbox)),
        };
        Some(LetterDesk::new(parts, source.clone(), Arc::clone(standing)))
    }

    /// The handle that puts another participants.yaml into effect.
    #[must_use]
    pub fn reload(&self) -> ReloadHandle {
        self.operator.reload().clone()
    }

    /// The handle that answers queries about sagas, guards and the engine's health.
    #[must_use]
    pub fn query(&self) -> QueryHandle {
        let shared = &self.shared;
        let health = EngineHealth::new(
            Arc::clone(&shared.store_health),
            Arc::clone(&shared.skew),
            Arc::clone(&shared.step_back),
            shared.router.clone(),
            Arc::clone(&shared.answers),
            shared.events_topic.as_ref().map(|(_, standing)| Arc::clone(standing)),
            shared.schemas.clone(),
        );
        QueryHandle::new(
            shared.journal.clone(),
            (Arc::clone(&shared.guards), Arc::clone(&shared.overrides), Arc::clone(&shared.pauses)),
            Arc::clone(&shared.config),
            Arc::clone(&shared.generations),
            (health, shared.watch.clone()),
            shared.clock,
        )
    }

    /// What the publisher of this engine's definitions needs.
    #[must_use]
    pub fn publisher_context(&self) -> PublisherContext {
        let shared = &self.shared;
        PublisherContext::new(
            Arc::clone(shared.journal.store()),
            Arc::clone(&shared.config),
            Arc::clone(&shared.generations),
            shared.clock,
            shared.instance.clone(),
        )
    }

    /// What the task that follows the published definitions needs.
    #[must_use]
    pub fn follower_context(&self) -> FollowerContext {
        let shared = &self.shared;
        let store_health = Arc::clone(&shared.store_health);
        FollowerContext::new(Arc::clone(&shared.generations), self.intake.clone(), store_health)
    }

    /// What the task that watches how far answers have been read needs.
    #[must_use]
    pub fn answer_watch_context(&self) -> AnswerWatchContext {
        let shared = &self.shared;
        AnswerWatchContext::new(
            Arc::clone(shared.journal.store()),
            shared.router.clone(),
            Arc::clone(&shared.answers),
            shared.clock,
            shared.kafka.clone(),
        )
    }

    /// Begins to keep in Kafka what the store is known to have; `untrue`: partitions whose text is to be replaced
    /// first.
    #[must_use]
    pub fn save_confirmations(&self, kept: OffsetMetadataStore, untrue: Vec<i32>) -> ConfirmationSaver {
        ConfirmationSaver::start(Arc::clone(self.shared.journal.store()), self.shared.router.clone(), kept, untrue)
    }

    /// A new sweeper, which removes old business keys.
    #[must_use]
    pub fn key_sweeper(&self) -> KeySweeper {
        KeySweeper::new(self.shared.journal.clone(), Arc::clone(&self.shared.config), self.shared.clock)
    }

    /// A new keeper, which creates partitions of this width in the store.
    #[must_use]
    pub fn partition_keeper(&self, width: Duration) -> PartitionKeeper {
        PartitionKeeper::new(self.shared.journal.clone(), self.shared.clock, width)
    }

    /// The handle that wraps data keys by the current key of the configuration.
    #[must_use]
    pub fn key_rotation(&self) -> KeyRotation {
        KeyRotation::new(self.shared.journal.clone())
    }

    /// A new keeper, which lets ended sagas leave the store: to files in `folder`, a period of `width` at a time.
    #[must_use]
    pub fn archive_keeper(&self, folder: Option<PathBuf>, width: Duration) -> ArchiveKeeper {
        let shared = &self.shared;
        ArchiveKeeper::new(shared.journal.clone(), Arc::clone(&shared.config), shared.clock, (folder, width))
    }

    /// The identity of the installation, as the store has it.
    #[must_use]
    pub fn installation(&self) -> Uuid {
        self.shared.journal.store().identity().installation
    }

    /// How many shards the installation has.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shared.router.shards()
    }
}

/// What a process does with its engine.
impl SagaEngine {
    /// Asks participants how they are, until [`SagaEngine::stop_health_checks`].
    pub fn start_health_checks(&self) {
        self.shared.guards.health_checks().start();
    }

    /// Asks no participant any more.
    pub fn stop_health_checks(&self) {
        self.shared.guards.health_checks().stop();
    }

    /// Puts `given` into effect for a participant, on this engine only and without a record.
    pub fn override_guards(&self, participant: &str, given: &OverrideState) {
        self.shared.guards.apply(participant, given);
    }

    /// Brings a start that is in no topic to its shard, and waits for room in its queue. It is lost with the process
    /// unless it is committed.
    pub async fn start_saga(&self, plan: &Arc<SagaPlan>, start: SagaStart) {
        let shard = ShardId::of(&plan.definition.name, &start.key, self.shards());
        let body = MessageContent::Start { plan: Arc::clone(plan), start: Box::new(start) };
        let message = ShardMessage { body, record: None, receipt: MessageReceipt::None };
        self.shared.router.route(shard, message, MessageSource::Call).await;
    }
}

impl EngineShared {
    fn new(settings: EngineSettings, prepared: EnginePreparation) -> EngineShared {
        let EnginePreparation { plans, overrides, pauses } = prepared;
        let (holds, topics) = (PartitionHolds::default(), Arc::clone(settings.guarded.topics()));
        let inbox = settings.kafka.as_ref().map_or(InboxForwarder::Disabled, |kafka| InboxForwarder::Topic {
            topic: Arc::clone(&kafka.inbox),
            producer: kafka.producer.clone(),
            topics: Arc::clone(&topics),
        });
        let config = ActiveConfig { catalog: settings.catalog, participants: settings.participants };
        let events_topic = settings.events_topic.map(|topic| {
            let standing = EventsTopicStanding::new(Arc::clone(&topic.name), Arc::clone(&topics));
            (topic, Arc::new(standing))
        });
        EngineShared {
            journal: JournalAccess::new(settings.store, plans),
            guards: settings.guarded,
            overrides,
            pauses,
            config: Arc::new(ActiveConfigCell::new(config)),
            generations: Arc::default(),
            watch: SagaWatch::default(),
            router: ShardRouter::new(settings.shards, inbox),
            letters: DeadLetterWriter::new(settings.kafka.clone(), topics, settings.clock, holds.clone()),
            holds,
            answers: Arc::new(AnswerProgress::new(settings.kafka.is_some())),
            store_health: Arc::default(),
            step_back: Arc::default(),
            skew: Arc::new(ClockSkew::new(settings.most_skew)),
            clock: settings.clock,
            kafka: settings.kafka,
            events_topic,
            letter_source: settings.letters.map(|source| (source, Arc::default())),
            schemas: settings.schemas,
            instance: settings.instance,
            archive_folder: settings.archive_folder,
        }
    }

    fn start_committers(&self) -> (Vec<GroupCommitter>, Vec<JoinHandle<()>>) {
        let start =
            |number| GroupCommitter::start(Arc::clone(self.journal.store()), Arc::clone(&self.store_health), number);
        (0..COMMITTERS).map(start).unzip()
    }

    /// The tasks that prove that the store takes writes, follow its steps back and the acts on guards, and notify the
    /// calls that wait for a guard, keep projections up to date, and write the topic of all events.
    fn start_followers(&self) -> Vec<JoinHandle<()>> {
        let (overrides, health) = (Arc::clone(&self.overrides), Arc::clone(&self.store_health));
        let clock = self.clock;
        let (pauses, pauses_health) = (Arc::clone(&self.pauses), Arc::clone(&self.store_health));
        let missed_pauses = move |error: &StoreError| pauses_health.missed("read the record of pauses", error);
        let missed = move |error: &StoreError| health.missed("read the record of guard acts", error);
        let (store, health) = (Arc::clone(self.journal.store()), Arc::clone(&self.store_health));
        let heartbeat = store_health::keep_proving(store, self.instance.clone(), self.clock, health);
        let step_back =
            StepBackFollower::new(self.journal.clone(), Arc::clone(&self.step_back), Arc::clone(&self.store_health));
        let mut tasks = vec![
            tokio::spawn(async move { overrides.follow(clock, missed).await }),
            tokio::spawn(async move { pauses.follow(missed_pauses).await }),
            tokio::spawn(heartbeat),
            tokio::spawn(step_back.follow()),
            tokio::spawn(ProjectionWorker::new(&self.journal, self.router.clone(), self.archive_folder.clone()).run()),
            tokio::spawn(Arc::clone(&self.guards).run_wait_scheduler()),
        ];
        tasks.extend(self.events_topic_worker().map(|worker| tokio::spawn(worker.run())));
        tasks.extend(self.letter_follower().map(|follower| tokio::spawn(follower.run())));
        tasks
    }

    fn events_topic_worker(&self) -> Option<EventsTopicWorker> {
        let ((topic, standing), kafka) = self.events_topic.as_ref().zip(self.kafka.as_ref())?;
        let (topics, standing) = (Arc::clone(self.guards.topics()), Arc::clone(standing));
        Some(EventsTopicWorker::new(&self.journal, self.router.clone(), (topic.clone(), kafka), topics, standing))
    }

    fn letter_follower(&self) -> Option<LetterFollower> {
        let (source, standing) = self.letter_source.as_ref()?;
        let (store, standing) = (Arc::clone(self.journal.store()), Arc::clone(standing));
        Some(LetterFollower::new(store, self.router.clone(), source.clone(), standing, self.clock))
    }

    fn previewer(&self, sources: DecisionSources) -> ActPreviewer {
        ActPreviewer::new(self.journal.clone(), sources, Arc::clone(&self.config), self.clock)
    }

    fn decision_sources(&self) -> DecisionSources {
        DecisionSources::new(Arc::clone(&self.guards), Arc::clone(&self.generations), self.kafka.clone())
    }

    fn shard_context(
        &self,
        committers: Vec<GroupCommitter>,
        sources: DecisionSources,
        outputs: ShardOutputs,
    ) -> ShardContext {
        let store = ShardStore::new(
            self.journal.clone(),
            committers,
            Arc::clone(&self.store_health),
            Arc::clone(&self.step_back),
            Arc::clone(&self.skew),
            self.instance.clone(),
        );
        let (config, answers) = (Arc::clone(&self.config), Arc::clone(&self.answers));
        ShardContext::new(store, sources, outputs, config, self.clock, answers)
    }

    fn intake(&self, backpressure: Arc<TriggerBackpressure>) -> TriggerIntake {
        TriggerIntake::new(
            self.router.clone(),
            Arc::clone(&self.config),
            Arc::clone(&self.generations),
            self.letters.clone(),
            (backpressure, self.holds.clone()),
            (self.schemas.clone(), Arc::clone(&self.pauses)),
            self.kafka.as_ref().map(|kafka| Arc::clone(&kafka.replies)),
        )
    }

    fn operator(
        &self,
        (sources, intake): (DecisionSources, TriggerIntake),
        watched: Option<WatchedFile>,
        tasks: TaskTracker,
    ) -> (OperatorHandle, RewriteTask) {
        let previewer = self.previewer(sources);
        let archives = self.archive_folder.clone();
        let (eraser, rewriting) =
            ArchiveEraser::new(self.journal.clone(), previewer.clone(), archives.clone(), self.clock);
        let deciders = (previewer.clone(), eraser);
        let acts = ActSender::new(self.journal.clone(), deciders, self.router.clone(), tasks.clone());
        let reruns = RerunSender::new(self.journal.clone(), previewer, self.router.clone(), tasks.clone());
        let (journal, config) = (self.journal.clone(), Arc::clone(&self.config));
        let starts = StartSender::new(journal, intake, config, (self.clock, tasks));
        let reload = ReloadHandle::new(
            self.journal.clone(),
            Arc::clone(&self.guards),
            Arc::clone(&self.config),
            Arc::clone(&self.overrides),
            watched,
            (self.instance.clone(), self.clock),
        );
        let definitions = DefinitionLookup::new(self.journal.clone(), Arc::clone(&self.config));
        let overrides = (Arc::clone(&self.overrides), Arc::clone(&self.pauses));
        let senders = (acts, reruns, starts);
        let operator =
            OperatorHandle::new(self.journal.clone(), senders, definitions, overrides, reload, (self.clock, archives));
        (operator, rewriting)
    }
}
