//! `saga serve`: everything is checked and made ready in one order, and the first thing that is wrong stops the start with an error that
//! says what to do.

mod binding;
mod contacts;
mod definitions;
mod housekeeping;
mod internal;
mod patience;
mod reloading;
mod topic_watch;
mod unread;
mod variables;

pub use definitions::{Files, Loaded, load_files, paths, read_source};
pub use housekeeping::Housekeeping;
pub use unread::{misnamed, unused_schemas};
pub use variables::lookup;

use crate::{
    api,
    config::Config,
    engine::{
        Engine, KafkaSide, Parts, Settings,
        answer_path::{self, watch::Sources},
        catalog::Catalog,
        clock::Clock,
        intake,
        observer::Observer,
        ownership::Ownership,
        published::{self, Publisher},
        skew::{self, Skew},
        step_back::outside::{Keeping, Left},
    },
    guarded::Guarded,
    kafka::{
        self, Consumer, Ends, Kept, Producer,
        consumer::{Limits, Mode, Plan as ConsumerPlan, TopicStart},
        topics,
    },
    shutdown::{self, Running},
};
use anyhow::Context;
use binding::Binding;
use saga_event_store::{Access, EventStore};
use std::{future::Future, sync::Arc};
use tokio::sync::watch;
use tracing::{info, warn};

/// Whether this engine takes work, for load balancers and people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It is about to.
    Starting {
        /// What does not answer yet, if that is what keeps it; for people, without secrets.
        waiting_for: Option<Arc<str>>,
    },
    /// It takes no more.
    Stopping,
}

/// What differs between `saga serve` and `saga dev`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which kind of broker answers.
    pub broker: kafka::Broker,
    /// Who watches decisions.
    pub observer: Observer,
}

/// Runs an engine until `stop` resolves, then ends it in order.
///
/// # Errors
/// When something that the engine needs is missing or wrong, or intake cannot go on.
pub async fn run(config: Config, files: Files, options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::pin!(stop);
    let running = tokio::select! {
        running = start(config, files, options) => running?,
        () = &mut stop => {
            info!("stopped before the start was over");
            return Ok(());
        }
    };
    shutdown::when(running, stop).await
}

/// Starts an engine; it works when this returns. A store or a broker that does not answer is waited for, and the log says so. The API listens
/// before anything is waited for: until the engine works, it answers that it starts.
///
/// # Errors
/// As [`run`].
pub async fn start(config: Config, files: Files, options: Options) -> anyhow::Result<Running> {
    let loaded = load_files(&files, &variables::lookup)?;
    internal::require_unused(&config.topics, &loaded)?;
    let mut kafka = kafka_settings(&config, options.broker)?;
    let (readiness, ready_now) = watch::channel(Readiness::Starting { waiting_for: None });
    let api = api::start(config.listen, ready_now.clone()).await?;
    info!(address = %api.address, "the API and the web UI listen");
    let store = open_store(&config, &readiness).await?;
    agree_on_the_time(&config, store.as_ref(), &readiness).await;
    let (binding, installation) = (Binding::of(&config), store.identity().installation.to_string());
    while_the_store_is_away(&config, &readiness, || binding.require(store.as_ref())).await?;
    let ready = ready_topics(&kafka, &needs(&config, &loaded), &installation, &readiness).await?;
    while_the_store_is_away(&config, &readiness, || binding.adopt(store.as_ref(), Clock::Wall.now())).await?;
    report(&ready);
    kafka.broker = ready.broker;
    let producer = Producer::start(&kafka).context("cannot start the producer of Kafka")?;
    producer.learn(&ready.limits);
    let starts = || contacts::remember(store.as_ref(), &kafka, loaded.trigger_starts(), &readiness);
    let triggers = while_the_store_is_away(&config, &readiness, starts).await?;
    let memory = compare_with_memory(&config, &kafka, store.as_ref(), &readiness).await?;
    let settings = engine_settings(&config, &loaded, store, &producer, options.observer)?;
    let engine = start_engine(&config, settings, &readiness).await?;
    let memory = memory.map(|(kept, untrue)| Keeping::start(Arc::clone(&engine.parts), kept, untrue));
    let publisher = publish(&kafka, &engine.parts, &readiness).await?;
    let (consumers, plan) = start_consumers(&config, triggers, &kafka, &engine.parts, &ready)?;
    let follow =
        |publisher| published::follow(&engine.parts, publisher, Arc::clone(&consumers.triggers), &kafka, &plan);
    let followed = publisher.map(follow);
    let watched = topic_watch::start(&kafka, needs(&config, &loaded))?;
    api.work_on(api::Backend::new(Arc::clone(&engine.parts), ready_now, consumers.statuses(), watched.odd));
    let mut housekeeping = housekeeping::start(&config, &kafka, &producer, &engine.parts, followed);
    housekeeping.add(watch_answers(&kafka, &engine.parts, &consumers)?);
    engine.parts.guarded.health_checks().start();
    readiness.send_replace(Readiness::Ready);
    Ok(Running { engine, memory, producer, consumers, topics: watched.ends, api, readiness, housekeeping })
}

async fn open_store(config: &Config, readiness: &watch::Sender<Readiness>) -> anyhow::Result<Arc<dyn EventStore>> {
    let access = Access::Write { shards: config.shards };
    let open = || async { Ok(config.store.open(access).await?) };
    while_the_store_is_away(config, readiness, open).await.context("the event store cannot be used (key `store`)")
}

/// Asks the store until it answers, at whichever step of the start it goes away.
async fn while_the_store_is_away<T, F: Future<Output = anyhow::Result<T>>>(
    config: &Config,
    readiness: &watch::Sender<Readiness>,
    attempt: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let what = format!("the event store (key `store`: {})", config.store.place());
    patience::until_it_answers(readiness, &what, attempt, is_store_away).await
}

fn is_store_away(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<saga_event_store::Error>());
    cause.is_some_and(saga_event_store::Error::is_worth_waiting_at_start)
}

async fn ready_topics(
    kafka: &kafka::Settings,
    needs: &topics::Needs,
    installation: &str,
    readiness: &watch::Sender<Readiness>,
) -> anyhow::Result<topics::Ready> {
    let ensure = || topics::ensure(kafka, needs, installation);
    let what = format!("Kafka (key `kafka.bootstrapServers`: {})", kafka.bootstrap_servers);
    patience::until_it_answers(readiness, &what, ensure, topics::Error::is_transient)
        .await
        .context("the topics are not ready")
}

/// How this configuration reaches Kafka.
///
/// # Errors
/// When a property is one that correctness depends on, or that librdkafka does not know.
pub fn kafka_settings(config: &Config, broker: kafka::Broker) -> anyhow::Result<kafka::Settings> {
    let mut settings = kafka::Settings::new(&config.kafka.bootstrap_servers, &config.kafka.group);
    settings.instance_id.clone_from(&config.kafka.instance_id);
    settings.properties.clone_from(&config.kafka.properties);
    settings.broker = broker;
    settings.check()?;
    Ok(settings)
}

fn needs(config: &Config, loaded: &Loaded) -> topics::Needs {
    let shared = |names: Vec<String>| names.into_iter().map(Arc::from).collect();
    topics::Needs {
        group: Arc::from(config.kafka.group.as_str()),
        inbox: Arc::from(config.topics.inbox.as_str()),
        replies: Arc::from(config.topics.replies.as_str()),
        dlq: Arc::from(config.topics.dlq.as_str()),
        shards: config.shards,
        triggers: shared(loaded.trigger_topics()),
        written: shared(loaded.written_topics()),
    }
}

fn report(ready: &topics::Ready) {
    for topic in &ready.created {
        info!(%topic, "topic created");
    }
    for warning in &ready.warnings {
        warn!("{warning}");
    }
}

/// Until the engine works nothing has been decided by its clock: one that was wrong and is set right begins anew.
async fn agree_on_the_time(config: &Config, store: &dyn EventStore, readiness: &watch::Sender<Readiness>) {
    let skew = Skew::new(config.max_clock_skew);
    // A store that does not answer is asked again by whoever claims a shard.
    while let Ok(Err(too_far)) = skew.compare(store, Clock::Wall).await {
        readiness.send_replace(Readiness::Starting { waiting_for: Some(Arc::from(too_far.to_string())) });
        tokio::time::sleep(skew::LOOK_AGAIN).await;
        Clock::Wall.begin_anew();
    }
    readiness.send_replace(Readiness::Starting { waiting_for: None });
}

async fn start_engine(
    config: &Config,
    settings: Settings,
    readiness: &watch::Sender<Readiness>,
) -> anyhow::Result<Engine> {
    let prepare = || async { Ok(Engine::prepare(&settings).await?) };
    let prepared = while_the_store_is_away(config, readiness, prepare).await;
    Ok(Engine::start(settings, prepared.context("the definitions cannot be stored")?))
}

fn engine_settings(
    config: &Config,
    loaded: &Loaded,
    store: Arc<dyn EventStore>,
    producer: &Producer,
    observer: Observer,
) -> anyhow::Result<Settings> {
    let kafka = KafkaSide {
        producer: producer.clone(),
        inbox: Arc::from(config.topics.inbox.as_str()),
        replies: Arc::from(config.topics.replies.as_str()),
        dlq: Arc::from(config.topics.dlq.as_str()),
    };
    Ok(Settings {
        store,
        guarded: Arc::new(Guarded::from_participants(&loaded.participants)?),
        catalog: Catalog::new(loaded.plans.clone()),
        participants: Arc::new(loaded.participants.clone()),
        participants_file: loaded.participants_file.clone(),
        shards: config.shards,
        instance: instance_name(),
        kafka: Some(kafka),
        clock: Clock::Wall,
        most_skew: config.max_clock_skew,
        observer,
    })
}

/// Before anything is decided: what the store lacks of what earlier engines knew is told. The mock broker remembers nothing.
async fn compare_with_memory(
    config: &Config,
    kafka: &kafka::Settings,
    store: &dyn EventStore,
    readiness: &watch::Sender<Readiness>,
) -> anyhow::Result<Option<(Kept, Vec<i32>)>> {
    if kafka.broker == kafka::Broker::Mock {
        return Ok(None);
    }
    let inbox = Arc::from(config.topics.inbox.as_str());
    let kept = Kept::connect(kafka, &kafka.store_group(), &inbox).context("cannot create a client of Kafka")?;
    let left = Left::read(&kept, store.identity().installation, Clock::Wall).await;
    let compare = || async { Ok(left.compare(store).await?) };
    let untrue = while_the_store_is_away(config, readiness, compare).await?;
    Ok(Some((kept, untrue)))
}

/// As late as possible: from then on engines with older files read nothing of what this one knows better. The mock broker belongs to this
/// engine alone.
async fn publish(
    kafka: &kafka::Settings,
    parts: &Arc<Parts>,
    readiness: &watch::Sender<Readiness>,
) -> anyhow::Result<Option<Publisher>> {
    if kafka.broker == kafka::Broker::Mock {
        return Ok(None);
    }
    let publish = || Publisher::start(parts, kafka);
    let what = "what is published (event store and Kafka)";
    let published = patience::until_it_answers(readiness, what, publish, published::Error::is_transient).await;
    published.map(Some).context("the definitions cannot be published")
}

/// Name of this process in claims and logs.
fn instance_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    format!("{}/{}", host.trim(), std::process::id())
}

/// The two consumers and the tasks that take what they deliver.
#[derive(Debug)]
pub struct Consumers {
    /// Of trigger and reply topics.
    pub triggers: Arc<Consumer>,
    /// Of the inbox.
    pub shards: Arc<Consumer>,
    /// Ends when the consumer of triggers has.
    pub intake: tokio::task::JoinHandle<intake::Ended>,
    /// Ends when the consumer of the inbox has and all shards are released.
    pub ownership: tokio::task::JoinHandle<intake::Ended>,
}

impl Consumers {
    /// How both are doing.
    fn statuses(&self) -> [watch::Receiver<kafka::consumer::Status>; 2] {
        [self.triggers.status(), self.shards.status()]
    }
}

fn start_consumers(
    config: &Config,
    triggers: Vec<TopicStart>,
    kafka: &kafka::Settings,
    parts: &Arc<Parts>,
    ready: &topics::Ready,
) -> anyhow::Result<(Consumers, ConsumerPlan)> {
    let plan = |name, group, mode, topics| ConsumerPlan {
        name,
        group,
        mode,
        topics,
        limits: Limits::default(),
        largest_batch: ready.largest_batch,
        compacted: ready.compacted.clone(),
    };
    let inbox = vec![TopicStart::earliest(&config.topics.inbox)];
    let inbox_mode = if config.store.is_shared() { Mode::Group } else { Mode::Manual };
    let of_shards = plan("shards", kafka.shards_group(), inbox_mode, inbox);
    let of_shards = ConsumerPlan { limits: Limits::of_inbox(config.shards), ..of_shards };
    let (shards, shard_events) = Consumer::start(kafka, of_shards)?;
    let mut topics = triggers;
    topics.push(TopicStart::earliest(&config.topics.replies));
    let of_triggers = plan("triggers", kafka.group.clone(), trigger_mode(kafka.broker), topics);
    let (triggers, trigger_events) = Consumer::start(kafka, of_triggers.clone())?;
    let (triggers, shards) = (Arc::new(triggers), Arc::new(shards));
    let ownership = Ownership::new(Arc::clone(parts)).follow(Arc::clone(&shards), shard_events);
    let intake = intake::run(Arc::clone(parts), Arc::clone(&triggers), trigger_events);
    let consumers = Consumers { triggers, shards, intake: tokio::spawn(intake), ownership: tokio::spawn(ownership) };
    Ok((consumers, of_triggers))
}

/// Deadlines wait for what this task says of the answers.
fn watch_answers(
    kafka: &kafka::Settings,
    parts: &Arc<Parts>,
    consumers: &Consumers,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let ends = Ends::connect(kafka).context("cannot create the client of Kafka that asks where replies end")?;
    let sources = Sources { ends, triggers: Arc::clone(&consumers.triggers), shards: Arc::clone(&consumers.shards) };
    Ok(tokio::spawn(answer_path::watch::watch(Arc::clone(parts), sources)))
}

/// The mock broker belongs to this engine alone, and would make the first member of a group wait.
fn trigger_mode(broker: kafka::Broker) -> Mode {
    match broker {
        kafka::Broker::Real => Mode::Group,
        kafka::Broker::Mock => Mode::Manual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::Error;

    #[test]
    fn a_store_that_goes_away_late_in_a_start_is_known_as_that() {
        let told = |error| anyhow::Error::new(error).context("the definitions cannot be stored");
        assert!(is_store_away(&told(Error::Unavailable("no answer within 15s".into()))));
        assert!(is_store_away(&told(Error::ReadOnly("a standby".into()))));
        assert!(!is_store_away(&told(Error::Unusable("no such role".into()))));
        assert!(!is_store_away(&anyhow::anyhow!("the store belongs to another inbox")));
    }
}
