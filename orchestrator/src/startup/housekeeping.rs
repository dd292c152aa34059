//! Regular tasks: they remove records of the own topics that all consumers have read, and old business keys, create
//! partitions of the store, read the limits of topics, and wrap data keys by the current key.

use super::reloading;
use crate::{config::EngineConfig, running::HousekeepingTasks};
use saga_engine::{
    ArchiveKeeper, KeyRotation, KeySweeper, PartitionKeeper, SagaEngine, definition_rollout::FollowerTasks,
};
use saga_kafka::{BrokerKind, KafkaProducer, KafkaSettings, topics};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// Mean time between two runs: the topics hold the records of that time, and a run costs a few requests.
const EVERY: Duration = Duration::from_secs(300);

/// Starts the tasks. The first run is after about [`EVERY`], at random, so that engines that start together do not run
/// them at once. Partitions are created at once: after a long pause none may be left.
pub(super) fn start(
    config: &EngineConfig,
    kafka: &KafkaSettings,
    producer: &KafkaProducer,
    engine: &SagaEngine,
    followed: Option<FollowerTasks>,
) -> HousekeepingTasks {
    let mut tasks = vec![tokio::spawn(forget_keys(engine.key_sweeper()))];
    let keeper = engine.archive_keeper(config.archive.folder.clone(), config.archive.partition);
    tasks.push(tokio::spawn(archive(keeper)));
    tasks.push(tokio::spawn(keep_partitions(engine.partition_keeper(config.archive.partition))));
    tasks.push(tokio::spawn(rotate_keys(engine.key_rotation())));
    tasks.extend(reloading::start(engine.reload()));
    // The mock broker keeps nothing after this process, and has no limits.
    if kafka.broker == BrokerKind::Real {
        tasks.push(tokio::spawn(topics::refresh_limits(kafka.clone(), producer.clone())));
        tasks.push(trim_topics(config, kafka, engine.installation().to_string()));
    }
    HousekeepingTasks::new(tasks, followed)
}

async fn until_next_run() {
    tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
}

async fn forget_keys(sweeper: KeySweeper) {
    loop {
        until_next_run().await;
        sweeper.sweep().await;
    }
}

/// What sagas leave is read at once: until then a late answer to one of them is a dead letter.
async fn archive(keeper: ArchiveKeeper) {
    if let Err(error) = keeper.look_at_horizon().await {
        warn!(%error, "the archives on record are not read; the next try is later");
    }
    loop {
        until_next_run().await;
        keeper.pass().await;
    }
}

async fn keep_partitions(keeper: PartitionKeeper) {
    loop {
        keeper.keep_ahead().await;
        until_next_run().await;
    }
}

async fn rotate_keys(rotation: KeyRotation) {
    loop {
        rotation.rotate().await;
        until_next_run().await;
    }
}

fn trim_topics(config: &EngineConfig, kafka: &KafkaSettings, installation: String) -> JoinHandle<()> {
    let own = [(kafka.shards_group(), &config.topics.inbox), (kafka.group.clone(), &config.topics.replies)];
    let own = own.map(|(group, topic)| (group, Arc::<str>::from(topic.as_str())));
    let kafka = kafka.clone();
    tokio::spawn(async move {
        loop {
            until_next_run().await;
            for (group, topic) in &own {
                trim(&kafka, group, topic, &installation).await;
            }
        }
    })
}

async fn trim(kafka: &KafkaSettings, group: &str, topic: &Arc<str>, installation: &str) {
    match topics::trim(kafka, group, topic, installation).await {
        Ok(trimmed) => debug!(%topic, partitions = trimmed.len(), "removed records that all consumers have read"),
        Err(error) => {
            warn!(%topic, %error, "records that all consumers have read could not be removed; next try later");
        }
    }
}
