//! Everything that a run stands on: a folder, a broker, participants, and the engine between them.

use super::{
    DevOptions,
    banner::BannerInfo,
    definitions::DefinitionSource,
    door::{PortChoice, PortForwarder},
    files::{self, DevFolder, SHARDS},
    orders,
    participants::SampleParticipants,
    tally::DevSagaKey,
    traffic::StartableOrders,
    watcher::DevObserver,
};
use crate::{
    config::EngineConfig,
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

/// Partitions of topics whose number nobody counts: as many as the broker gives to topics that clients make.
const PARTITIONS: i32 = 4;

/// What must be there before the engine, and until after it.
#[derive(Debug)]
pub(super) struct DevEnvironment {
    pub(super) folder: DevFolder,
    pub(super) config: EngineConfig,
    pub(super) kafka: saga_kafka::KafkaSettings,
    /// Where clients find the broker.
    pub(super) door: PortForwarder,
    /// Which orders start sagas.
    pub(super) starts: StartableOrders,
    definitions: DefinitionSource,
    files: DefinitionFiles,
    loaded: LoadedDefinitions,
    participants: SampleParticipants,
    /// Lives as long as the process: clients that end a moment after it would complain that it is gone.
    _broker: ManuallyDrop<MockBroker>,
}

impl DevEnvironment {
    /// Sets everything up but the engine.
    ///
    /// # Errors
    /// The port is taken, the folder cannot be used, or this machine gives no ports or threads.
    pub(super) async fn set(options: &DevOptions) -> anyhow::Result<DevEnvironment> {
        refuse_a_taken_port(options.listen).await?;
        let definitions = DefinitionSource::choose(options.sagas.as_deref())?;
        let folder = DevFolder::make(&options.data).with_context(|| {
            format!("the folder {} cannot be used: choose another with --data", options.data.display())
        })?;
        let broker = ManuallyDrop::new(MockBroker::start()?);
        let mut participants = SampleParticipants::start(&folder.memory()).await?;
        let config = files::config(&folder, broker.bootstrap_servers(), options.listen);
        let kafka = startup::kafka_settings(&config, BrokerKind::Mock)?;
        let files = files::files(&definitions, participants.address())?;
        let loaded = load_files(&files, &source_files::lookup)?;
        let starts = StartableOrders::of(&loaded);
        if options.orders.is_some_and(|orders| orders > 0) && !starts.includes(&orders::shop("", 1)) {
            bail!(
                "--orders places orders that start `order-fulfillment`, which {definitions} does not have: leave it out"
            );
        }
        create_topics(&broker, &config, &loaded)?;
        participants.consume(&kafka, &command_topics(&loaded))?;
        // Not before the topics are there: a client that asked for one would make it, with another number of
        // partitions.
        let door = PortForwarder::open(kafka_port(options, &folder), broker.bootstrap_servers()).await?;
        Ok(DevEnvironment {
            folder,
            config,
            kafka,
            door,
            starts,
            definitions,
            files,
            loaded,
            participants,
            _broker: broker,
        })
    }

    /// Starts the engine. When it returns, whatever is produced to a trigger's topic is read.
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
        // A store that cannot be read stops the start a moment later, with its reason.
        let Ok(store) = saga_event_store::open(&self.config.store, StoreAccess::Read).await else { return Vec::new() };
        let statuses = vec![SagaStatus::Running, SagaStatus::Waiting, SagaStatus::Compensating];
        let wanted = SagaQuery { statuses, limit: MAX_PAGE, ..SagaQuery::default() };
        let lines = reading::list(store.as_ref(), &wanted).await.unwrap_or_default();
        lines.into_iter().map(|line| (line.saga, line.key)).collect()
    }

    /// For people.
    pub(super) fn places(&self, page: SocketAddr, left_open: usize) -> BannerInfo<'_> {
        BannerInfo {
            folder: &self.folder,
            page,
            definitions: &self.definitions,
            loaded: &self.loaded,
            kafka: self.door.address(),
            instead_of: self.door.instead_of,
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
            error.context("another run has this folder: end it, or choose another folder with --data")
        } else {
            error
        }
    }
}

/// Before anything is made. The port may still be taken in between: then the API's own error says the same.
async fn refuse_a_taken_port(listen: SocketAddr) -> anyhow::Result<()> {
    let bound = tokio::net::TcpListener::bind(listen).await;
    bound.map(drop).with_context(|| format!("port {} cannot be had: choose another one with --port", listen.port()))
}

/// All topics at once: the engine counts the inbox's partitions, and consumers look for new topics only now and then.
fn create_topics(broker: &MockBroker, config: &EngineConfig, loaded: &LoadedDefinitions) -> anyhow::Result<()> {
    broker.create_topic(&config.topics.inbox, i32::from(SHARDS))?;
    let mut topics = vec![config.topics.replies.clone(), config.topics.dlq.clone()];
    topics.extend(loaded.trigger_topics());
    topics.extend(loaded.written_topics());
    topics.sort();
    topics.dedup();
    for topic in topics {
        broker.create_topic(&topic, PARTITIONS)?;
    }
    Ok(())
}

/// Of the participants that are played here.
fn command_topics(loaded: &LoadedDefinitions) -> Vec<String> {
    let is_played = |name: &str| loaded.played.iter().any(|played| played == name);
    let commands = loaded.participants.iter().filter_map(|(name, participant)| match &participant.transport {
        TransportConfig::Kafka { commands } => is_played(name).then(|| commands.clone()),
        TransportConfig::Http { .. } => None,
    });
    commands.collect()
}

fn kafka_port(options: &DevOptions, folder: &DevFolder) -> PortChoice {
    let again = || folder.kafka_port().map_or(PortChoice::Free, PortChoice::Again);
    options.kafka_port.map_or_else(again, PortChoice::Exactly)
}
