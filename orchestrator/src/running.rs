//! An engine at work, in the parts that the shutdown ends one after the other.

use crate::{
    api::ApiServer,
    readiness::EngineReadiness,
    telemetry::otlp::{SpanSender, metrics_sender::MetricsSender},
};
use saga_engine::{
    IntakeExit, SagaEngine, definition_rollout::FollowerTasks, step_back::saved_confirmations::ConfirmationSaver,
};
use saga_kafka::{KafkaConsumer, KafkaProducer, consumer::ConsumerStatus, topics};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};

/// An engine at work: what the startup made, and what the shutdown ends in order.
#[derive(Debug)]
pub(crate) struct RunningEngine {
    /// Shards, router and committers.
    pub engine: SagaEngine,
    /// Keeps in Kafka what the event store has confirmed; `None` with the mock broker, which keeps nothing.
    pub memory: Option<ConfirmationSaver>,
    /// Writes every record to Kafka; flushed after the engine has finished.
    pub producer: KafkaProducer,
    /// Read Kafka; stopped first.
    pub consumers: EngineConsumers,
    /// Ends, with the reason, when the engine's own topics belong to another installation or are gone.
    pub topics: JoinHandle<topics::TopicError>,
    /// Stopped last, so that operators see the shutdown.
    pub api: ApiServer,
    /// What the API shows and load balancers ask for.
    pub readiness: watch::Sender<EngineReadiness>,
    /// Dropped first of all.
    pub housekeeping: HousekeepingTasks,
    /// Sends spans to a collector; `None`: none is configured.
    pub spans: Option<SpanSender>,
    /// Sends metrics to a collector; `None`: they are only scraped.
    pub metrics: Option<MetricsSender>,
}

/// The two consumers and the tasks that take what they deliver.
#[derive(Debug)]
pub(crate) struct EngineConsumers {
    /// The consumer of the trigger topics and the replies.
    pub triggers: Arc<KafkaConsumer>,
    /// The consumer of the inbox: its partitions are the shards.
    pub shards: Arc<KafkaConsumer>,
    /// The task of intake; it ends after the consumer of triggers.
    pub intake: JoinHandle<IntakeExit>,
    /// The task that claims and releases shards; it ends after the consumer of the inbox, when all shards are released.
    pub ownership: JoinHandle<IntakeExit>,
}

impl EngineConsumers {
    /// The status of each, as it changes.
    pub(crate) fn statuses(&self) -> [watch::Receiver<ConsumerStatus>; 2] {
        [self.triggers.status(), self.shards.status()]
    }
}

/// Tasks that run beside the engine until this value is dropped.
#[derive(Debug)]
pub(crate) struct HousekeepingTasks {
    /// Each runs until it is aborted.
    tasks: Vec<JoinHandle<()>>,
    /// Follow what other engines publish; dropping them ends them.
    _followed: Option<FollowerTasks>,
}

impl HousekeepingTasks {
    /// All are aborted when the value is dropped.
    pub(crate) fn new(tasks: Vec<JoinHandle<()>>, followed: Option<FollowerTasks>) -> HousekeepingTasks {
        HousekeepingTasks { tasks, _followed: followed }
    }

    /// Ends `task` with the others.
    pub(crate) fn add(&mut self, task: JoinHandle<()>) {
        self.tasks.push(task);
    }
}

impl Drop for HousekeepingTasks {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
