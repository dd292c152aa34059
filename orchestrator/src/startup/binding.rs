//! The consumer group and the topics of the installation: recorded in the store at the first start, and changed only by
//! an operator.
//!
//! With another group or inbox, a second engine would take the shards from the first one. With another replies topic,
//! it would wait for answers that go to the first topic.

use crate::config::EngineConfig;
use anyhow::bail;
use saga_core::time::Timestamp;
use saga_engine::notes::succession::OptimisticLog;
use saga_event_store::EventStore;
use serde::{Deserialize, Serialize};

/// The log in the event store.
const LOG: &str = "installation";

/// Group and topics that belong to one installation only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstallationBinding {
    group: String,
    inbox: String,
    replies: String,
    dlq: String,
}

impl InstallationBinding {
    pub(super) fn of(config: &EngineConfig) -> InstallationBinding {
        InstallationBinding {
            group: config.kafka.group.clone(),
            inbox: config.topics.inbox.clone(),
            replies: config.topics.replies.clone(),
            dlq: config.topics.dlq.clone(),
        }
    }

    /// Fails if the store is bound to another group or other topics. Does not bind the store: the topics must be
    /// checked first.
    pub(super) async fn require(&self, store: &dyn EventStore) -> anyhow::Result<()> {
        let mut log = OptimisticLog::of(LOG);
        log.read(store).await?;
        self.agree(&log)
    }

    /// Binds the store, if it is not bound yet.
    pub(super) async fn adopt(&self, store: &dyn EventStore, now: Timestamp) -> anyhow::Result<()> {
        let mut log = OptimisticLog::of(LOG);
        log.read(store).await?;
        if log.current().is_none() {
            log.write(store, self, now).await?;
        }
        self.agree(&log)
    }

    fn agree(&self, log: &OptimisticLog<InstallationBinding>) -> anyhow::Result<()> {
        let Some(bound) = log.current() else { return Ok(()) };
        let differences = self.differences(&bound.what);
        if differences.is_empty() {
            return Ok(());
        }
        bail!(
            "{}; or set store to another one. How to change them: docs/operations.md, \"Another group or other topics\"",
            differences.join("; ")
        )
    }

    fn differences(&self, bound: &InstallationBinding) -> Vec<String> {
        let pairs = [
            ("consumer group", "kafka.group", &bound.group, &self.group),
            ("inbox", "topics.inbox", &bound.inbox, &self.inbox),
            ("replies topic", "topics.replies", &bound.replies, &self.replies),
            ("DLQ topic", "topics.dlq", &bound.dlq, &self.dlq),
        ];
        let differ = pairs.into_iter().filter(|(_, _, own, said)| own != said);
        differ
            .map(|(what, key, own, said)| {
                format!("the store belongs to the {what} {own}, the configuration says {said}: set {key} to {own}")
            })
            .collect()
    }
}
