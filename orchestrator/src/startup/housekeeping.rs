//! What has to be looked at now and then: records of our own topics that everybody has read, keys that are kept for a
//! time only, what topics take.

use super::reloading;
use crate::{config::EngineConfig, running::HousekeepingTasks};
use saga_engine::{Parts, published::FollowerTasks};
use saga_event_store::KeySweep;
use saga_kafka::{BrokerKind, KafkaProducer, KafkaSettings, topics};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

/// How often: the topics hold what this engine brings in that time, and a look costs a few requests.
const EVERY: Duration = Duration::from_secs(300);

/// Keys that are looked at in one transaction: some milliseconds of work.
const PAGE: u32 = 1000;

/// Starts to tidy; the first time after [`EVERY`], spread, so that instances which start together do not come together.
pub(super) fn start(
    config: &EngineConfig,
    kafka: &KafkaSettings,
    producer: &KafkaProducer,
    parts: &Arc<Parts>,
    followed: Option<FollowerTasks>,
) -> HousekeepingTasks {
    let mut tasks = vec![tokio::spawn(forget_keys(Arc::clone(parts)))];
    tasks.extend(reloading::start(parts));
    // The mock broker forgets everything anyway, and has no limits.
    if kafka.broker == BrokerKind::Real {
        tasks.push(tokio::spawn(topics::keep_limits(kafka.clone(), producer.clone())));
        tasks.push(trim_topics(config, kafka, parts.store.identity().installation.to_string()));
    }
    HousekeepingTasks::new(tasks, followed)
}

async fn rest() {
    tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
}

async fn forget_keys(parts: Arc<Parts>) {
    loop {
        rest().await;
        for plan in parts.current.keep().catalog.plans() {
            let Some(keep) = plan.definition.trigger.keep_keys else { continue };
            let ended_before_ms = parts.clock.now().minus(keep).0;
            if let Err(error) = sweep(&parts, &plan.definition.name, ended_before_ms).await {
                warn!(saga = plan.definition.name, %error, "old keys are not forgotten; they stay until the next try");
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
        info!(saga = category, forgotten, "keys of sagas that ended longer ago than keepKeys are forgotten");
    }
    Ok(())
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
