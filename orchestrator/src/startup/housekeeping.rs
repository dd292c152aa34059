//! What has to be tidied now and then: records of our own topics that everybody has read.

use crate::{
    config::Config,
    kafka::{Settings, topics},
};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// How often: the topics hold what this engine brings in that time, and a look costs a few requests.
const EVERY: Duration = Duration::from_secs(300);

/// A task that tidies until it is dropped.
#[derive(Debug)]
pub struct Housekeeping(JoinHandle<()>);

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to tidy; the first time after [`EVERY`], spread, so that instances which start together do not come together.
pub(super) fn start(config: &Config, kafka: &Settings) -> Housekeeping {
    let own = [(kafka.shards_group(), &config.topics.inbox), (kafka.group.clone(), &config.topics.replies)];
    let own = own.map(|(group, topic)| (group, Arc::<str>::from(topic.as_str())));
    let kafka = kafka.clone();
    Housekeeping(tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            for (group, topic) in &own {
                trim(&kafka, group, topic).await;
            }
        }
    }))
}

async fn trim(kafka: &Settings, group: &str, topic: &Arc<str>) {
    match topics::trim(kafka, group, topic).await {
        Ok(trimmed) => debug!(%topic, partitions = trimmed.len(), "records that everybody has read are removed"),
        Err(error) => {
            warn!(%topic, %error, "records that everybody has read are not removed; they stay until the next try");
        }
    }
}
