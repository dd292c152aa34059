//! `saga serve`: checks and prepares everything in a fixed order. The first error stops the start and says what to do.

mod binding;
mod contacts;
mod definitions;
mod housekeeping;
mod internal;
mod reloading;
mod retry;
mod schemas;
mod topic_watch;

pub(crate) use definitions::{
    DefinitionFiles, LoadedDefinitions, ProvedFiles, WrittenType, load_files, plan_of_file, plan_of_text, prove_files,
};
pub(crate) use schemas::{embedded_registry, source as schema_source};

use crate::{
    api::{self, monitoring::MonitoringSources},
    config::EngineConfig,
    readiness::EngineReadiness,
    running::{EngineConsumers, RunningEngine},
    shutdown,
    source_files::lookup,
    start_profile::{StartStage, StartupProfile},
    telemetry::{
        self,
        otlp::{
            self,
            metrics_sender::{self, MetricsSender},
        },
    },
};
use anyhow::Context;
use binding::InstallationBinding;
use saga_base::{clock::EngineClock, operations};
use saga_engine::{
    EngineSettings, KafkaOutput, SagaEngine, SchemaSource,
    answer_watch::{self, AnswerSources, AnswerWatchContext},
    archiving::{require_folder, retention_of},
    catalog::DefinitionCatalog,
    definition_rollout::{self, DefinitionPublisher, PublisherContext},
    letters::LetterSource,
    observer::ObserverHandle,
    skew::{self, ClockSkew},
    step_back::saved_confirmations::SavedConfirmations,
    traces::TraceSettings,
};
use saga_event_store::{EventStore, StoreAccess};
use saga_kafka::{
    self, EndOffsetReader, KafkaConsumer, KafkaProducer, OffsetMetadataStore,
    consumer::{AssignmentMode, BackpressureLimits, ConsumerSettings, TopicStart},
    topics,
};
use saga_resilience::{
    outbound::OutboundAddresses,
    registry::{GuardRegistry, settings_of},
};
use std::{future::Future, sync::Arc};
use tokio::sync::watch;
use tracing::{info, warn};

/// What differs between `saga serve` and `saga dev`.
#[derive(Clone, Debug)]
pub(crate) struct StartupOptions {
    /// The kind of broker, which decides about groups and memory.
    pub broker: saga_kafka::BrokerKind,
    /// Sees every committed decision.
    pub observer: ObserverHandle,
}

/// Runs an engine until `stop` resolves, then ends it in order.
///
/// # Errors
/// When something that the engine needs is missing or wrong, or intake cannot go on.
pub(crate) async fn run(
    config: EngineConfig,
    files: DefinitionFiles,
    options: StartupOptions,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::pin!(stop);
    let running = tokio::select! {
        running = start(config, files, options) => running?,
        () = &mut stop => {
            info!("stopped during the start");
            return Ok(());
        }
    };
    shutdown::when(running, stop).await
}

/// Starts an engine; the engine works when this returns. If the store or the broker does not answer, the start waits
/// for it and logs each attempt. The API listens from the beginning: during the start it answers that the engine
/// starts.
///
/// # Errors
/// As [`run`].
pub(crate) async fn start(
    config: EngineConfig,
    files: DefinitionFiles,
    options: StartupOptions,
) -> anyhow::Result<RunningEngine> {
    operations::slow_from(config.slow_operation);
    telemetry::record_metrics(config.buckets.as_deref());
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let loaded = load_files(&files, &lookup)?;
    internal::require_unused(&config.topics, &loaded)?;
    internal::warn_of_unread(&config.topics, &loaded);
    require_archive_folder(&config, &loaded)?;
    schemas::require_registry(&config, &loaded)?;
    let mut kafka = kafka_settings(&config, options.broker)?;
    let door = api::ApiDoor::open(&config.access, config.listen, config.tls.is_some())?;
    let tls = config.tls.clone().map(api::ServerTls::open).transpose()?;
    let (readiness, ready_now) = watch::channel(EngineReadiness::Starting { waiting_for: None });
    let api = api::start(config.listen, tls, ready_now.clone()).await?;
    info!(address = %api.address, "the API and the web UI listen");
    let profile = StartupProfile::default();
    let store = profile.stage(StartStage::Store, open_store(&config, &readiness)).await?;
    profile.stage(StartStage::Clock, wait_for_clock(&config, store.as_ref(), &readiness)).await;
    let (binding, installation) = (InstallationBinding::of(&config), store.identity().installation.to_string());
    let bound = retry_while_store_is_unavailable(&config, &readiness, || binding.require(store.as_ref()));
    profile.stage(StartStage::Binding, bound).await?;
    let needed = needs(&config, &loaded);
    let ready = profile.stage(StartStage::Topics, ready_topics(&kafka, &needed, &installation, &readiness)).await?;
    retry_while_store_is_unavailable(&config, &readiness, || binding.adopt(store.as_ref(), EngineClock::Wall.now()))
        .await?;
    report(&ready);
    kafka.broker = ready.broker;
    let producer = KafkaProducer::start(&kafka).context("cannot start the producer of Kafka")?;
    producer.set_topic_limits(&ready.limits);
    let starts = || contacts::remember(store.as_ref(), &kafka, loaded.trigger_starts(), &readiness);
    let remembered = retry_while_store_is_unavailable(&config, &readiness, starts);
    let triggers = profile.stage(StartStage::Contacts, remembered).await?;
    let compared = compare_with_memory(&config, &kafka, store.as_ref(), &readiness);
    let memory = profile.stage(StartStage::Memory, compared).await?;
    let schemas = schemas::source(&files.schemas, config.schema_registry.as_ref(), &config.formats)?;
    let (traces, spans) = config.traces.map(|config| otlp::start(config, &instance_name())).transpose()?.unzip();
    let settings =
        engine_settings(&config, &loaded, (store, schemas), (&producer, &kafka), (options.observer, traces))?;
    let engine = profile.stage(StartStage::Engine, start_engine(&config, settings, &readiness)).await?;
    let memory = memory.map(|(kept, untrue)| engine.save_confirmations(kept, untrue));
    let context = engine.publisher_context();
    let publisher = profile.stage(StartStage::Publication, publish(&kafka, &context, &readiness)).await?;
    let (consumers, plan) = start_consumers(&config, triggers, &kafka, &engine, &ready)?;
    let follow = |publisher| {
        definition_rollout::follow(
            &engine.follower_context(),
            publisher,
            Arc::clone(&consumers.triggers),
            &kafka,
            &plan,
        )
    };
    let followed = publisher.map(follow);
    let watched = topic_watch::start(&kafka, needs(&config, &loaded))?;
    let ends = ends_reader(&kafka)?;
    let inbox = Arc::from(config.topics.inbox.as_str());
    let monitoring = MonitoringSources::new(&engine.query(), (ends.clone(), inbox), profile.clone());
    let state = api::ApiState::new(
        (engine.query(), engine.operator(), engine.letters()),
        ready_now,
        consumers.statuses(),
        watched.odd,
        (door, monitoring),
    );
    let metrics = push_metrics(&config, &state)?;
    api.work_on(state);
    let mut housekeeping = housekeeping::start(&config, &kafka, &producer, &engine, followed);
    housekeeping.add(watch_answers(ends, engine.answer_watch_context(), &consumers));
    engine.start_health_checks();
    readiness.send_replace(EngineReadiness::Ready);
    profile.tell();
    Ok(RunningEngine {
        engine,
        memory,
        producer,
        consumers,
        topics: watched.ends,
        api,
        readiness,
        housekeeping,
        spans,
        metrics,
    })
}

/// `None`: metrics are only scraped.
fn push_metrics(config: &EngineConfig, state: &api::ApiState) -> anyhow::Result<Option<MetricsSender>> {
    let Some(push) = &config.metrics_push else { return Ok(None) };
    let state = Arc::new(state.clone());
    let scrape = move || {
        let state = Arc::clone(&state);
        async move { api::scraped(&state).await }
    };
    metrics_sender::start(push, &instance_name(), scrape).map(Some)
}

/// Sagas that should go to an archive need a folder for it.
fn require_archive_folder(config: &EngineConfig, loaded: &LoadedDefinitions) -> anyhow::Result<()> {
    let retention = retention_of(loaded.plans.iter().map(|plan| plan.definition.as_ref()));
    require_folder(&retention, config.archive.folder.as_deref())?;
    Ok(())
}

async fn open_store(
    config: &EngineConfig,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<Arc<dyn EventStore>> {
    let access = StoreAccess::Write { shards: config.shards };
    let open = || async { Ok(config.open_store(access).await?) };
    retry_while_store_is_unavailable(config, readiness, open)
        .await
        .context("the event store cannot be used (key `store`)")
}

/// Runs `attempt` until the store answers, in whichever step of the start it becomes unavailable.
async fn retry_while_store_is_unavailable<T, F: Future<Output = anyhow::Result<T>>>(
    config: &EngineConfig,
    readiness: &watch::Sender<EngineReadiness>,
    attempt: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let what = format!("the event store (key `store`: {})", config.store.place());
    retry::until_it_answers(readiness, &what, attempt, is_store_unavailable).await
}

fn is_store_unavailable(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<saga_event_store::StoreError>());
    cause.is_some_and(saga_event_store::StoreError::is_worth_waiting_at_start)
}

async fn ready_topics(
    kafka: &saga_kafka::KafkaSettings,
    needs: &topics::RequiredTopics,
    installation: &str,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<topics::TopicSetup> {
    let ensure = || topics::ensure(kafka, needs, installation);
    let what = format!("Kafka (key `kafka.bootstrapServers`: {})", kafka.bootstrap_servers);
    retry::until_it_answers(readiness, &what, ensure, topics::TopicError::is_transient)
        .await
        .context("the topics are not ready")
}

/// How this configuration reaches Kafka.
///
/// # Errors
/// When a property is one that correctness depends on, or that librdkafka does not know.
pub(crate) fn kafka_settings(
    config: &EngineConfig,
    broker: saga_kafka::BrokerKind,
) -> anyhow::Result<saga_kafka::KafkaSettings> {
    let mut settings = saga_kafka::KafkaSettings::new(&config.kafka.bootstrap_servers, &config.kafka.group);
    settings.instance_id.clone_from(&config.kafka.instance_id);
    settings.properties.clone_from(&config.kafka.properties);
    settings.broker = broker;
    settings.check()?;
    Ok(settings)
}

fn needs(config: &EngineConfig, loaded: &LoadedDefinitions) -> topics::RequiredTopics {
    let shared = |names: Vec<String>| names.into_iter().map(Arc::from).collect::<Vec<Arc<str>>>();
    let mut written = shared(loaded.written_topics());
    written.extend(config.topics.events.as_ref().map(|events| Arc::clone(&events.name)));
    topics::RequiredTopics {
        group: Arc::from(config.kafka.group.as_str()),
        inbox: Arc::from(config.topics.inbox.as_str()),
        replies: Arc::from(config.topics.replies.as_str()),
        dlq: Arc::from(config.topics.dlq.as_str()),
        other_dlqs: config.topics.other_dlqs().into_iter().map(Arc::from).collect(),
        shards: config.shards,
        triggers: shared(loaded.trigger_topics()),
        written,
    }
}

fn report(ready: &topics::TopicSetup) {
    for topic in &ready.created {
        info!(%topic, "topic created");
    }
    for warning in &ready.warnings {
        warn!("{warning}");
    }
}

/// Before the engine works, nothing is decided by its clock: after a correction of the clock the comparison starts
/// again.
async fn wait_for_clock(config: &EngineConfig, store: &dyn EventStore, readiness: &watch::Sender<EngineReadiness>) {
    let skew = ClockSkew::new(config.max_clock_skew);
    // If the store does not answer, the clocks are compared again before a shard is claimed.
    while let Ok(Err(too_far)) = skew.compare(store, EngineClock::Wall).await {
        readiness.send_replace(EngineReadiness::Starting { waiting_for: Some(Arc::from(too_far.to_string())) });
        tokio::time::sleep(skew::LOOK_AGAIN).await;
        EngineClock::Wall.begin_anew();
    }
    readiness.send_replace(EngineReadiness::Starting { waiting_for: None });
}

async fn start_engine(
    config: &EngineConfig,
    settings: EngineSettings,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<SagaEngine> {
    let prepare = || async { Ok(SagaEngine::prepare(&settings).await?) };
    let prepared = retry_while_store_is_unavailable(config, readiness, prepare).await;
    Ok(SagaEngine::start(settings, prepared.context("the definitions cannot be stored")?))
}

fn engine_settings(
    config: &EngineConfig,
    loaded: &LoadedDefinitions,
    (store, schemas): (Arc<dyn EventStore>, SchemaSource),
    (producer, kafka): (&KafkaProducer, &saga_kafka::KafkaSettings),
    (observer, traces): (ObserverHandle, Option<TraceSettings>),
) -> anyhow::Result<EngineSettings> {
    let letters = Some(letter_source(config, kafka));
    let kafka = KafkaOutput {
        producer: producer.clone(),
        inbox: Arc::from(config.topics.inbox.as_str()),
        replies: Arc::from(config.topics.replies.as_str()),
        letters: config.topics.letter_routes(),
        dialects: config.letters.dialects.clone(),
    };
    Ok(EngineSettings {
        store,
        guarded: Arc::new(GuardRegistry::within(
            &settings_of(&loaded.participants),
            OutboundAddresses::new(config.outbound.clone()),
        )?),
        catalog: DefinitionCatalog::new(loaded.plans.clone()),
        participants: Arc::new(loaded.participants.clone()),
        participants_file: loaded.participants_file.clone(),
        shards: config.shards,
        instance: instance_name(),
        archive_folder: config.archive.folder.clone(),
        kafka: Some(kafka),
        events_topic: config.topics.events.clone(),
        letters,
        schemas,
        clock: EngineClock::Wall,
        most_skew: config.max_clock_skew,
        observer,
        traces,
    })
}

fn letter_source(config: &EngineConfig, kafka: &saga_kafka::KafkaSettings) -> LetterSource {
    LetterSource { kafka: kafka.clone(), routes: config.topics.letter_routes(), keep: config.letters.keep }
}

/// Before the first decision: finds confirmed writes of earlier engines that the store does not have. The mock broker
/// keeps no such memory.
async fn compare_with_memory(
    config: &EngineConfig,
    kafka: &saga_kafka::KafkaSettings,
    store: &dyn EventStore,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<Option<(OffsetMetadataStore, Vec<i32>)>> {
    if kafka.broker == saga_kafka::BrokerKind::Mock {
        return Ok(None);
    }
    let inbox = Arc::from(config.topics.inbox.as_str());
    let kept =
        OffsetMetadataStore::connect(kafka, &kafka.store_group(), &inbox).context("cannot create a client of Kafka")?;
    let left = SavedConfirmations::read(&kept, store.identity().installation, EngineClock::Wall).await;
    let compare = || async { Ok(left.compare(store).await?) };
    let untrue = retry_while_store_is_unavailable(config, readiness, compare).await?;
    Ok(Some((kept, untrue)))
}

/// As late as possible: from then on engines with older definitions do not read the topics whose definitions this
/// engine has newer. Only this engine uses the mock broker.
async fn publish(
    kafka: &saga_kafka::KafkaSettings,
    context: &PublisherContext,
    readiness: &watch::Sender<EngineReadiness>,
) -> anyhow::Result<Option<DefinitionPublisher>> {
    if kafka.broker == saga_kafka::BrokerKind::Mock {
        return Ok(None);
    }
    let publish = || DefinitionPublisher::start(context, kafka);
    let what = "what is published (event store and Kafka)";
    let published =
        retry::until_it_answers(readiness, what, publish, definition_rollout::PublisherError::is_transient).await;
    published.map(Some).context("the definitions cannot be published")
}

/// Name of this process in claims and logs.
fn instance_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}

fn start_consumers(
    config: &EngineConfig,
    triggers: Vec<TopicStart>,
    kafka: &saga_kafka::KafkaSettings,
    engine: &SagaEngine,
    ready: &topics::TopicSetup,
) -> anyhow::Result<(EngineConsumers, ConsumerSettings)> {
    let plan = |name, group, mode, topics| ConsumerSettings {
        name,
        group,
        mode,
        topics,
        limits: BackpressureLimits::default(),
        largest_batch: ready.largest_batch,
        compacted: ready.compacted.clone(),
    };
    let inbox = vec![TopicStart::earliest(&config.topics.inbox)];
    let inbox_mode = if config.store.is_shared() { AssignmentMode::Group } else { AssignmentMode::Manual };
    let of_shards = plan("shards", kafka.shards_group(), inbox_mode, inbox);
    let of_shards = ConsumerSettings { limits: BackpressureLimits::of_inbox(config.shards), ..of_shards };
    let (shards, shard_events) = KafkaConsumer::start(kafka, of_shards)?;
    let mut topics = triggers;
    topics.push(TopicStart::earliest(&config.topics.replies));
    let of_triggers = plan("triggers", kafka.group.clone(), trigger_mode(kafka.broker), topics);
    let (triggers, trigger_events) = KafkaConsumer::start(kafka, of_triggers.clone())?;
    let (triggers, shards) = (Arc::new(triggers), Arc::new(shards));
    let ownership = engine.ownership().follow(Arc::clone(&shards), shard_events);
    let intake = engine.intake().run(Arc::clone(&triggers), trigger_events);
    let consumers =
        EngineConsumers { triggers, shards, intake: tokio::spawn(intake), ownership: tokio::spawn(ownership) };
    Ok((consumers, of_triggers))
}

/// Starts the task that finds out which answers may still be unread: deadlines wait for it.
fn watch_answers(
    ends: EndOffsetReader,
    context: AnswerWatchContext,
    consumers: &EngineConsumers,
) -> tokio::task::JoinHandle<()> {
    let sources =
        AnswerSources { ends, triggers: Arc::clone(&consumers.triggers), shards: Arc::clone(&consumers.shards) };
    tokio::spawn(answer_watch::watch(context, sources))
}

fn ends_reader(kafka: &saga_kafka::KafkaSettings) -> anyhow::Result<EndOffsetReader> {
    EndOffsetReader::connect(kafka).context("cannot create the client of Kafka that asks where replies end")
}

/// Only this engine uses the mock broker, which lets the first member of a group wait.
fn trigger_mode(broker: saga_kafka::BrokerKind) -> AssignmentMode {
    match broker {
        saga_kafka::BrokerKind::Real => AssignmentMode::Group,
        saga_kafka::BrokerKind::Mock => AssignmentMode::Manual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::StoreError;

    #[test]
    fn a_store_that_goes_away_late_in_a_start_is_known_as_that() {
        let told = |error| anyhow::Error::new(error).context("the definitions cannot be stored");
        assert!(is_store_unavailable(&told(StoreError::Unavailable("no answer within 15s".into()))));
        assert!(is_store_unavailable(&told(StoreError::ReadOnly("a standby".into()))));
        assert!(!is_store_unavailable(&told(StoreError::Unusable("no such role".into()))));
        assert!(!is_store_unavailable(&anyhow::anyhow!("the store belongs to another inbox")));
    }
}
