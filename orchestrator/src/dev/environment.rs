//! The environment of a run: its folder, broker, participants and engine.

use super::{
    DevOptions,
    banner::BannerInfo,
    definitions::DefinitionSource,
    files::{self, DevAddresses, DevFolder, SHARDS},
    orders,
    participants::SampleParticipants,
    port_choice::PortChoice,
    port_forwarder::PortForwarder,
    schema_registry::DevRegistry,
    tally::DevSagaKey,
    traffic::StartableOrders,
    watcher::DevObserver,
};
use crate::{
    config::{self, EngineConfig},
    running::RunningEngine,
    source_files,
    startup::{self, DefinitionFiles, LoadedDefinitions, load_files},
};
use anyhow::{Context, bail};
use saga_core::{definition::participants::TransportConfig, state::SagaStatus};
use saga_engine::{
    journal::reading::{self, SagaQuery},
    observer::ObserverHandle,
};
use saga_event_store::{MAX_PAGE, StoreAccess};
use saga_kafka::{self, BrokerKind, mock::MockBroker};
use std::{mem::ManuallyDrop, net::SocketAddr, sync::Arc};

/// Partitions of topics where the number does not matter: as many as the broker gives to topics that clients create.
const PARTITIONS: i32 = 4;

/// What exists before the engine starts and until after it ends.
#[derive(Debug)]
pub(super) struct DevEnvironment {
    pub(super) folder: DevFolder,
    pub(super) config: EngineConfig,
    pub(super) kafka: saga_kafka::KafkaSettings,
    /// The fixed address of the broker for clients.
    pub(super) door: PortForwarder,
    registry: DevRegistry,
    /// Which orders start sagas.
    pub(super) starts: StartableOrders,
    pub(super) definitions: DefinitionSource,
    files: DefinitionFiles,
    loaded: LoadedDefinitions,
    participants: SampleParticipants,
    /// Lives as long as the process: clients that end a moment later would log that the broker is unavailable.
    _broker: ManuallyDrop<MockBroker>,
}

impl DevEnvironment {
    /// Prepares everything but the engine.
    ///
    /// # Errors
    /// The port is in use, the folder cannot be used, or this machine gives no ports or threads.
    pub(super) async fn set(options: &DevOptions) -> anyhow::Result<DevEnvironment> {
        refuse_a_taken_port(options.listen).await?;
        let definitions = DefinitionSource::choose(options.sagas.as_deref())?;
        let folder = DevFolder::make(&options.data).with_context(|| {
            format!("the folder {} cannot be used: choose another with --data", options.data.display())
        })?;
        let broker = ManuallyDrop::new(MockBroker::start()?);
        let mut participants = SampleParticipants::start(&folder.memory()).await?;
        let traces = config::traces(std::env::vars().collect())?;
        let metrics_push = config::metrics_push(std::env::vars().collect())?;
        let config = files::config(&folder, broker.bootstrap_servers(), options.listen);
        let config = EngineConfig { traces, metrics_push, ..config };
        let kafka = startup::kafka_settings(&config, BrokerKind::Mock)?;
        let files = files::files(&definitions, participants.address())?;
        let loaded = load_files(&files, &source_files::lookup)?;
        let starts = StartableOrders::of(&loaded);
        if options.orders.is_some_and(|orders| orders > 0) && !starts.includes(&orders::shop("", 1)) {
            bail!(
                "--orders places orders for `order-fulfillment`, but {definitions} has no such definition: remove it"
            );
        }
        create_topics(&broker, &config, &loaded)?;
        participants.consume(&kafka, &command_topics(&loaded))?;
        // Only after the topics exist: a client that asks for a missing topic creates it with another number of
        // partitions.
        let port = PortChoice::of(options.kafka_port, || folder.kafka_port());
        let door = PortForwarder::open(port, broker.bootstrap_servers()).await?;
        let port = PortChoice::of(options.registry_port, || folder.registry_port());
        let registry = DevRegistry::open(port, &files.schemas, &loaded).await?;
        Ok(DevEnvironment {
            folder,
            config,
            kafka,
            door,
            registry,
            starts,
            definitions,
            files,
            loaded,
            participants,
            _broker: broker,
        })
    }

    /// Starts the engine. When it returns, the engine reads every record of the trigger topics.
    ///
    /// # Errors
    /// As [`startup::start`].
    pub(super) async fn start(&self, watcher: DevObserver) -> anyhow::Result<RunningEngine> {
        let options =
            startup::StartupOptions { broker: BrokerKind::Mock, observer: ObserverHandle::new(Arc::new(watcher)) };
        let started = startup::start(self.config.clone(), self.files.clone(), options).await;
        let running = started.map_err(|error| self.explained(error))?;
        let mut triggers = running.consumers.triggers.status();
        triggers.wait_for(|status| status.assigned > 0).await.context("the consumer of Kafka ended at the start")?;
        Ok(running)
    }

    /// Sagas that earlier runs left open.
    pub(super) async fn left_open(&self) -> Vec<DevSagaKey> {
        if !self.folder.store().exists() {
            return Vec::new();
        }
        // If the store cannot be read, the start fails a moment later with the reason.
        let Ok(store) = self.config.open_store(StoreAccess::Read).await else { return Vec::new() };
        let statuses = vec![SagaStatus::Running, SagaStatus::Waiting, SagaStatus::Compensating];
        let wanted = SagaQuery { statuses, limit: MAX_PAGE, ..SagaQuery::default() };
        let lines = reading::list(store.as_ref(), &wanted).await.unwrap_or_default();
        lines.into_iter().map(|line| (line.saga, line.key)).collect()
    }

    /// Where clients find what this run serves.
    pub(super) fn addresses(&self, listen: SocketAddr) -> DevAddresses {
        DevAddresses { kafka: self.door.address(), registry: self.registry.address(), listen }
    }

    /// Addresses and files for the banner.
    pub(super) fn places(&self, page: SocketAddr, left_open: usize) -> BannerInfo<'_> {
        BannerInfo {
            folder: &self.folder,
            page,
            definitions: &self.definitions,
            loaded: &self.loaded,
            kafka: self.door.address(),
            instead_of: self.door.instead_of,
            registry: &self.registry,
            http: self.participants.address(),
            takes_orders: self.starts.includes(&orders::shop("", 1)),
            left_open,
        }
    }

    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        let locked = error.chain().any(|cause| {
            matches!(
                cause.downcast_ref::<saga_event_store::StoreError>(),
                Some(saga_event_store::StoreError::Locked { .. })
            )
        });
        if locked {
            error.context("another run uses this folder: end that run, or choose another folder with --data")
        } else {
            error
        }
    }
}

/// Checks the port before anything is created. Another process may still take it later; then the error of the API says
/// the same.
async fn refuse_a_taken_port(listen: SocketAddr) -> anyhow::Result<()> {
    let bound = tokio::net::TcpListener::bind(listen).await;
    bound
        .map(drop)
        .with_context(|| format!("port {} is in use or not allowed: choose another one with --port", listen.port()))
}

/// Creates all topics at once: the engine counts the partitions of the inbox, and consumers look for new topics only at
/// intervals.
fn create_topics(broker: &MockBroker, config: &EngineConfig, loaded: &LoadedDefinitions) -> anyhow::Result<()> {
    broker.create_topic(&config.topics.inbox, i32::from(SHARDS))?;
    let mut topics = vec![config.topics.replies.clone(), config.topics.dlq.clone()];
    topics.extend(config.topics.other_dlqs().into_iter().map(str::to_owned));
    topics.extend(loaded.trigger_topics());
    topics.extend(loaded.written_topics());
    topics.sort();
    topics.dedup();
    for topic in topics {
        broker.create_topic(&topic, PARTITIONS)?;
    }
    Ok(())
}

/// Topics of the sample participants that run here.
fn command_topics(loaded: &LoadedDefinitions) -> Vec<String> {
    let is_played = |name: &str| loaded.played.iter().any(|played| played == name);
    let commands = loaded.participants.iter().filter_map(|(name, participant)| match &participant.transport {
        TransportConfig::Kafka { commands } => is_played(name).then(|| commands.clone()),
        TransportConfig::Http { .. } => None,
    });
    commands.collect()
}
