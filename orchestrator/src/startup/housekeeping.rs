//! Regular tasks: they remove records of the own topics that all consumers have read, and old business keys, and read
//! the limits of topics.

use super::reloading;
use crate::{config::EngineConfig, running::HousekeepingTasks};
use saga_engine::{Parts, published::FollowerTasks};
use saga_event_store::KeySweep;
use saga_kafka::{BrokerKind, KafkaProducer, KafkaSettings, topics};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// Mean time between two runs: the topics hold the records of that time, and a run costs a few requests.
const EVERY: Duration = Duration::from_secs(300);

/// Keys that one transaction checks: some milliseconds of work.
const PAGE: u32 = 1000;

/// Starts the tasks. The first run is after about [`EVERY`], at random, so that engines that start together do not run
/// them at once.
pub(super) fn start(
    config: &EngineConfig,
    kafka: &KafkaSettings,
    producer: &KafkaProducer,
    parts: &Arc<Parts>,
    followed: Option<FollowerTasks>,
) -> HousekeepingTasks {
    let mut tasks = vec![tokio::spawn(forget_keys(Arc::clone(parts)))];
    tasks.extend(reloading::start(parts));
    // The mock broker keeps nothing after this process, and has no limits.
    if kafka.broker == BrokerKind::Real {
        tasks.push(tokio::spawn(topics::keep_limits(kafka.clone(), producer.clone())));
        tasks.push(trim_topics(config, kafka, parts.store.identity().installation.to_string()));
    }
    HousekeepingTasks::new(tasks, followed)
}

async fn until_next_run() {
    tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
}

async fn forget_keys(parts: Arc<Parts>) {
    loop {
        until_next_run().await;
        for plan in parts.current.keep().catalog.plans() {
            let Some(keep) = plan.definition.trigger.keep_keys else { continue };
            let ended_before_ms = parts.clock.now().minus(keep).0;
            if let Err(error) = sweep(&parts, &plan.definition.name, ended_before_ms).await {
                warn!(saga = plan.definition.name, %error, "old business keys could not be removed; next try later");
            }
        }
    }
}

async fn sweep(parts: &Parts, category: &str, ended_before_ms: i64) -> Result<(), saga_event_store::StoreError> {
    let mut sweep = KeySweep { category: category.to_owned(), ended_before_ms, after: None, limit: PAGE };
    let mut forgotten = 0;
    loop {
        let swept = parts.store.forget_keys(&sweep).await?;
        forgotten += swept.forgotten;
        match swept.next {
            Some(next) => sweep.after = Some(next),
            None => break,
        }
    }
    if forgotten > 0 {
        info!(saga = category, forgotten, "removed business keys of sagas that ended longer ago than keepKeys");
    }
    Ok(())
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
