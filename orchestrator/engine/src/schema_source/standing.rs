//! Whether a registry answers, for operators.

use metrics::{counter, gauge};
use saga_base::{clock::EngineClock, sync::UnpoisonedMutex};
use saga_core::time::Timestamp;
use saga_registry::RegistryError;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// The log repeats that records wait for a registry after this time: each of them asks every few seconds.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// After this time without a try nobody waits any more: the partition of the records is read elsewhere.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A registry that does not answer, or refuses, while records wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryOutage {
    /// The name of the registry: its addresses, without credentials.
    pub registry: String,
    /// When it first did not answer.
    pub since: Timestamp,
    /// What it did at the last try.
    pub reason: String,
}

/// What became of the requests to one registry.
#[derive(Debug)]
pub(super) struct RegistryStanding {
    registry: String,
    clock: EngineClock,
    missed: UnpoisonedMutex<Option<MissedAnswers>>,
}

#[derive(Debug)]
struct MissedAnswers {
    outage: RegistryOutage,
    last: Instant,
    told: Instant,
}

impl RegistryStanding {
    pub(super) fn new(registry: String, clock: EngineClock) -> RegistryStanding {
        gauge!("saga_schema_registry_unavailable").set(0.0);
        RegistryStanding { registry, clock, missed: UnpoisonedMutex::default() }
    }

    /// The outage that records wait for.
    pub(super) fn outage(&self) -> Option<RegistryOutage> {
        let missed = self.missed.lock();
        missed.as_ref().filter(|it| it.last.elapsed() < FORGET_AFTER).map(|it| it.outage.clone())
    }

    /// The registry did not give an answer that says anything of a schema.
    pub(super) fn missed(&self, error: &RegistryError) {
        counter!("saga_schema_registry_failures_total").increment(1);
        gauge!("saga_schema_registry_unavailable").set(1.0);
        let (now, reason) = (Instant::now(), error.to_string());
        let mut missed = self.missed.lock();
        let before = missed.take().filter(|it| it.last.elapsed() < FORGET_AFTER);
        let is_told = before.as_ref().is_some_and(|it| it.told.elapsed() < TELL_AGAIN);
        let since = before.as_ref().map_or_else(|| self.clock.now(), |it| it.outage.since);
        let told = before.filter(|_| is_told).map_or(now, |it| it.told);
        let outage = RegistryOutage { registry: self.registry.clone(), since, reason: reason.clone() };
        *missed = Some(MissedAnswers { outage, last: now, told });
        drop(missed);
        if !is_told {
            warn!(registry = self.registry, reason, "records wait for the schema registry; the engine asks again");
        }
    }

    /// The registry answered.
    pub(super) fn answered(&self) {
        if self.missed.lock().take().is_some() {
            gauge!("saga_schema_registry_unavailable").set(0.0);
            info!(registry = self.registry, "the schema registry answers again; the records go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> RegistryError {
        RegistryError::Unavailable { reason: "connection refused".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_lasts_from_the_first_missed_answer_to_the_next_one() {
        let standing = RegistryStanding::new("http://registry:8081".to_owned(), EngineClock::Wall);
        assert_eq!(standing.outage(), None);
        standing.missed(&refusal());
        let outage = standing.outage().expect("an outage");
        assert_eq!(outage.registry, "http://registry:8081");
        assert!(outage.reason.contains("connection refused"), "{}", outage.reason);
        tokio::time::advance(Duration::from_secs(5)).await;
        standing.missed(&refusal());
        assert_eq!(standing.outage().map(|it| it.since), Some(outage.since));
        standing.answered();
        assert_eq!(standing.outage(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_that_nobody_waits_for_any_more_is_none() {
        let standing = RegistryStanding::new("http://registry:8081".to_owned(), EngineClock::Wall);
        standing.missed(&refusal());
        tokio::time::advance(FORGET_AFTER).await;
        assert_eq!(standing.outage(), None);
    }
}
