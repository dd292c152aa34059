//! Checks the topics of the engine while it runs.

use saga_kafka::{
    BrokerKind, KafkaSettings,
    topics::{self, RequiredTopics, TopicAnomaly, TopicMaintainer},
};
use std::{future, time::Duration};
use tokio::{sync::watch, task::JoinHandle};
use tracing::{debug, error, info};

/// Time between two checks: a deleted inbox stops the engine after the second check.
const EVERY: Duration = Duration::from_secs(3);

/// The running check, and its findings.
#[derive(Debug)]
pub(super) struct TopicWatch {
    /// Ends, with the reason, when the engine must stop: the inbox is gone or belongs to another installation.
    pub(super) ends: JoinHandle<topics::TopicError>,
    /// Findings that last; empty: all topics are as the engine needs them.
    pub(super) odd: watch::Receiver<Vec<TopicAnomaly>>,
}

/// Checks until a finding must stop the engine.
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
            Ok(anomalies) => report(&found, anomalies),
            Err(error) if error.stops_work() => return error,
            Err(error) => debug!(%error, "the topics of the engine cannot be checked"),
        }
    }
}

/// Logs each finding once, as long as it lasts.
fn report(found: &watch::Sender<Vec<TopicAnomaly>>, odd: Vec<TopicAnomaly>) {
    let before = found.borrow().clone();
    for one in odd.iter().filter(|one| !before.contains(one)) {
        error!("{one}");
        if let TopicAnomaly::Recreated(topic) = one {
            metrics::counter!("saga_topics_made_anew_total", "topic" => topic.to_string()).increment(1);
        }
    }
    // A topic that was created again is a single event and no lasting state.
    let lasting: Vec<TopicAnomaly> = odd.into_iter().filter(|one| !matches!(one, TopicAnomaly::Recreated(_))).collect();
    if lasting.is_empty() && !before.is_empty() {
        info!("the topics of the engine are correct again");
    }
    found.send_replace(lasting);
}
