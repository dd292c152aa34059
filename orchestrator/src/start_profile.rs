//! How long each stage of a start took. A stage is also a gate: the next begins only after it.

use saga_base::sync::UnpoisonedMutex;
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// From this duration on a stage is slow: on a machine that is not overloaded each takes a fraction of it.
const SLOW: Duration = Duration::from_secs(3);

/// The stages of a start, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartStage {
    /// The event store is opened.
    Store,
    /// The clock of the machine and that of the store agree.
    Clock,
    /// The store belongs to this installation.
    Binding,
    /// The topics exist as they have to be.
    Topics,
    /// It is on record where each trigger topic is read from.
    Contacts,
    /// The store has what it confirmed to earlier engines.
    Memory,
    /// The definitions are stored, and acts on guards are in effect.
    Engine,
    /// Other engines know the definitions.
    Publication,
}

impl StartStage {
    /// Its word in the API and in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            StartStage::Store => "store",
            StartStage::Clock => "clock",
            StartStage::Binding => "binding",
            StartStage::Topics => "topics",
            StartStage::Contacts => "contacts",
            StartStage::Memory => "memory",
            StartStage::Engine => "engine",
            StartStage::Publication => "publication",
        }
    }

    /// What to do where it is slow.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            StartStage::Store => {
                "the database did not answer at once, or the schema was brought up to date: look at the log for retries, \
                 and start the database before the engine"
            }
            StartStage::Clock => "the clocks differ, or the database is slow: set both machines by NTP",
            StartStage::Binding => "the database answers slowly: look at its load and at the way to it",
            StartStage::Topics => {
                "Kafka did not answer at once, elects leaders, or topics were created: start Kafka before the engine"
            }
            StartStage::Contacts => "Kafka finds offsets by time for new trigger topics: this happens once per topic",
            StartStage::Memory => "the group of the store is read in Kafka: look at the load of its coordinator",
            StartStage::Engine => {
                "definitions are stored and acts on guards are read: look at the load of the database"
            }
            StartStage::Publication => "the definitions are published over Kafka and the store: look at both",
        }
    }
}

/// A stage that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StageRecord {
    pub(crate) stage: StartStage,
    pub(crate) took: Duration,
}

impl StageRecord {
    pub(crate) fn is_slow(&self) -> bool {
        self.took >= SLOW
    }
}

/// The stages of one start that have ended. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartupProfile(Arc<UnpoisonedMutex<Vec<StageRecord>>>);

impl StartupProfile {
    /// Runs a stage and keeps how long it took, whether it succeeded or not.
    pub(crate) async fn stage<T>(&self, stage: StartStage, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.0.lock().push(StageRecord { stage, took: began.elapsed() });
        done
    }

    /// The stages so far, in their order.
    pub(crate) fn records(&self) -> Vec<StageRecord> {
        self.0.lock().clone()
    }

    /// Tells people: one line with all stages, and one for each slow one.
    pub(crate) fn tell(&self) {
        let records = self.records();
        let texts = records.iter().map(|it| format!("{} {} ms", it.stage.as_str(), it.took.as_millis()));
        info!(stages = texts.collect::<Vec<_>>().join(", "), "the engine has started");
        for slow in records.iter().filter(|record| record.is_slow()) {
            let (stage, seconds) = (slow.stage.as_str(), slow.took.as_secs());
            warn!(stage, seconds, "a stage of the start was slow: {}", slow.stage.advice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_are_kept_in_their_order_also_where_they_fail() {
        let profile = StartupProfile::default();
        let opened: Result<(), &str> = profile.stage(StartStage::Store, async { Err("away") }).await;
        assert_eq!(opened, Err("away"));
        assert_eq!(profile.stage(StartStage::Clock, async { 7 }).await, 7);
        let stages: Vec<_> = profile.records().iter().map(|record| record.stage).collect();
        assert_eq!(stages, [StartStage::Store, StartStage::Clock]);
        assert!(profile.records().iter().all(|record| !record.is_slow()));
    }
}
