//! Our own topics are looked at while the engine runs.

use saga_kafka::{
    BrokerKind, KafkaSettings,
    topics::{self, RequiredTopics, TopicAnomaly, TopicMaintainer},
};
use std::{future, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use tracing::{debug, error, info};

/// How often: a deleted inbox stops the engine after the second look.
const EVERY: Duration = Duration::from_secs(3);

/// What is looked at, and what was found.
#[derive(Debug)]
pub(super) struct TopicWatch {
    /// Ends when the inbox is gone or somebody else's: then nothing may be worked on any more.
    pub(super) ends: JoinHandle<topics::TopicError>,
    /// What is not as it has to be.
    pub(super) odd: watch::Receiver<Vec<TopicAnomaly>>,
}

/// Looks until something must stop.
pub(super) fn start(kafka: &KafkaSettings, needs: RequiredTopics) -> Result<TopicWatch, topics::TopicError> {
    let (found, odd) = watch::channel(Vec::new());
    let ends = match kafka.broker {
        BrokerKind::Real => tokio::spawn(watch(TopicMaintainer::new(kafka, needs)?, found)),
        // Deletes nothing.
        BrokerKind::Mock => tokio::spawn(future::pending()),
    };
    Ok(TopicWatch { ends, odd })
}

async fn watch(maintainer: TopicMaintainer, found: watch::Sender<Vec<TopicAnomaly>>) -> topics::TopicError {
    loop {
        tokio::time::sleep(EVERY).await;
        match maintainer.check().await {
            Ok(anomalies) => tell(&found, anomalies),
            Err(error) if error.stops_work() => return error,
            Err(error) => debug!(%error, "our own topics cannot be looked at"),
        }
    }
}

/// Each once, as long as it lasts.
fn tell(found: &watch::Sender<Vec<TopicAnomaly>>, odd: Vec<TopicAnomaly>) {
    let before = found.borrow().clone();
    for one in odd.iter().filter(|one| !before.contains(one)) {
        error!("{one}");
        if let TopicAnomaly::Recreated(topic) = one {
            metrics::counter!("saga_topics_made_anew_total", "topic" => topic.to_string()).increment(1);
        }
    }
    // What was made anew is told and done with.
    let lasting: Vec<TopicAnomaly> = odd.into_iter().filter(|one| !matches!(one, TopicAnomaly::Recreated(_))).collect();
    if lasting.is_empty() && !before.is_empty() {
        info!("our own topics are as they have to be again");
    }
    found.send_replace(lasting);
}
