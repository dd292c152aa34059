//! The largest batches that topics accept that are written to.

use super::{TopicError, admin::TopicAdmin};
use crate::{
    producer::{KafkaProducer, TopicBatchLimits},
    settings::{BrokerKind, KafkaSettings},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How often limits are read again: a topic can be reconfigured at any time, and until the new limit is known a refused
/// batch is sent again.
const EVERY: Duration = Duration::from_secs(300);

/// The shortest pause between two readings: topics that are written to for the first time often come together.
const AT_LEAST: Duration = Duration::from_secs(2);

/// The largest batch that each of `topics` takes. Those are left out that do not exist or whose configuration may not
/// be read.
///
/// # Errors
/// The broker cannot be reached.
pub(crate) async fn read_limits(
    settings: &KafkaSettings,
    topics: Vec<Arc<str>>,
) -> Result<TopicBatchLimits, TopicError> {
    match settings.broker {
        // It has no configuration of topics, and no limits.
        BrokerKind::Mock => Ok(TopicBatchLimits::default()),
        BrokerKind::Real => {
            let settings = settings.clone();
            let asked = tokio::task::spawn_blocking(move || TopicAdmin::connect(&settings)?.largest_batches(&topics));
            asked.await.unwrap_or_else(|panic| Err(TopicError::Panicked(panic.to_string())))
        }
    }
}

/// Keeps the limits of `producer` up to date: those of new topics within seconds, all of them every five minutes. Never
/// ends.
pub async fn refresh_limits(settings: KafkaSettings, producer: KafkaProducer) {
    loop {
        drop(timeout(EVERY, producer.limits_wanted()).await);
        sleep(AT_LEAST).await;
        match read_limits(&settings, producer.topics()).await {
            Ok(limits) => producer.set_topic_limits(&limits),
            Err(error) => {
                debug!(%error, "the limits of topics are not known yet; what is refused in a batch is sent alone");
            }
        }
    }
}
