//! What has to be looked at now and then: records of our own topics that everybody has read, keys that are kept for a time only, what topics
//! take.

use super::reloading;
use crate::{config::EngineConfig, running::HousekeepingTasks};
use saga_engine::{KeySweeper, SagaEngine, definition_rollout::FollowerTasks};
use saga_kafka::{BrokerKind, KafkaProducer, KafkaSettings, topics};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// How often: the topics hold what this engine brings in that time, and a look costs a few requests.
const EVERY: Duration = Duration::from_secs(300);

/// Starts to tidy; the first time after [`EVERY`], spread, so that instances which start together do not come together.
pub(super) fn start(
    config: &EngineConfig,
    kafka: &KafkaSettings,
    producer: &KafkaProducer,
    engine: &SagaEngine,
    followed: Option<FollowerTasks>,
) -> HousekeepingTasks {
    let mut tasks = vec![tokio::spawn(forget_keys(engine.key_sweeper()))];
    tasks.extend(reloading::start(engine.reload()));
    // The mock broker forgets everything anyway, and has no limits.
    if kafka.broker == BrokerKind::Real {
        tasks.push(tokio::spawn(topics::refresh_limits(kafka.clone(), producer.clone())));
        tasks.push(trim_topics(config, kafka, engine.installation().to_string()));
    }
    HousekeepingTasks::new(tasks, followed)
}

async fn rest() {
    tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
}

async fn forget_keys(sweeper: KeySweeper) {
    loop {
        rest().await;
        sweeper.sweep().await;
    }
}

fn trim_topics(config: &EngineConfig, kafka: &KafkaSettings, installation: String) -> JoinHandle<()> {
    let own = [(kafka.shards_group(), &config.topics.inbox), (kafka.group.clone(), &config.topics.replies)];
    let own = own.map(|(group, topic)| (group, Arc::<str>::from(topic.as_str())));
    let kafka = kafka.clone();
    tokio::spawn(async move {
        loop {
            rest().await;
            for (group, topic) in &own {
                trim(&kafka, group, topic, &installation).await;
            }
        }
    })
}

async fn trim(kafka: &KafkaSettings, group: &str, topic: &Arc<str>, installation: &str) {
    match topics::trim(kafka, group, topic, installation).await {
        Ok(trimmed) => debug!(%topic, partitions = trimmed.len(), "records that everybody has read are removed"),
        Err(error) => {
            warn!(%topic, %error, "records that everybody has read are not removed; they stay until the next try");
        }
    }
}
