//! Whether the event store takes writes: writers report it, and the readiness check reads it.

mod outage;

use outage::{StoreOutage, StoreOutageNotice, StoreOutageSpan};
use saga_base::clock::EngineClock;
use saga_base::sync::UnpoisonedMutex;
use saga_core::time::Timestamp;
use saga_event_store::{EventStore, StoreError};
use std::fmt;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{debug, error, info, warn};

/// Between two heartbeats: a store that stops taking writes is noticed within it although no saga has anything to
/// write.
const EVERY: Duration = Duration::from_secs(2);

/// A write may wait so long before the engine counts as not ready: a failover or a slow disk is seen, a busy moment is
/// not.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tasks that write to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoreWriter {
    /// The task that writes a mark every two seconds.
    Heartbeat,
    /// The committer with this number.
    Committer(usize),
}

/// The results of writes, as the writers reported them.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth {
    state: UnpoisonedMutex<StoreHealthState>,
}

#[derive(Debug, Default)]
struct StoreHealthState {
    /// The time of the last confirmed write; `None`: none was confirmed yet.
    confirmed: Option<Instant>,
    waiting: BTreeMap<StoreWriter, PendingWrite>,
    /// What the store refuses to do for reasons that no time heals, by number, each with the reason.
    refused: BTreeMap<u64, String>,
    refusals: u64,
    outage: StoreOutage,
}

#[derive(Debug)]
struct PendingWrite {
    since: Instant,
    /// Why the last try failed; `None`: the first has no answer yet.
    error: Option<String>,
}

impl StoreHealth {
    /// Why the store counts as taking no writes, as text for operators; `None`: it takes them.
    #[must_use]
    pub(crate) fn trouble(&self, now: Instant) -> Option<String> {
        let state = self.state.lock();
        let longest = state.waiting.values().min_by_key(|waiting| waiting.since);
        let longest = longest.filter(|it| now.saturating_duration_since(it.since) >= PATIENCE);
        match (longest, state.refused.values().next(), state.confirmed) {
            (Some(waiting), _, _) => Some(waiting.told(now)),
            (None, Some(refused), _) => Some(refused.clone()),
            (None, None, None) => Some("the event store has not confirmed a write yet".into()),
            (None, None, Some(_)) => None,
        }
    }

    /// How long ago a write was confirmed last; `None`: none was.
    #[must_use]
    pub(crate) fn confirmed_ago(&self, now: Instant) -> Option<Duration> {
        self.state.lock().confirmed.map(|confirmed| now.saturating_duration_since(confirmed))
    }

    pub(crate) fn begins(&self, writer: StoreWriter) {
        let waiting = PendingWrite { since: Instant::now(), error: None };
        self.state.lock().waiting.entry(writer).or_insert(waiting);
    }

    pub(crate) fn failed(&self, writer: StoreWriter, error: &StoreError) {
        metrics::counter!("saga_store_write_failures_total").increment(1);
        if let Some(waiting) = self.state.lock().waiting.get_mut(&writer) {
            waiting.error = Some(error.to_string());
        }
    }

    pub(crate) fn confirmed(&self, writer: StoreWriter) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.waiting.remove(&writer);
        state.confirmed = Some(now);
        if let Some(StoreOutageNotice::Over(StoreOutageSpan { lasted, tries })) = state.outage.answered(now) {
            info!(seconds = lasted.as_secs(), tries, "the event store answers again");
        }
    }

    /// The store was unavailable when a task wanted to do `what`. The task tries again. The log reports the outage, and
    /// not each try.
    pub(crate) fn missed(&self, what: &str, error: &dyn fmt::Display) {
        let news = self.state.lock().outage.failed(Instant::now());
        match news {
            Some(StoreOutageNotice::Began) => {
                warn!(%error, what, "the event store does not answer; each task that needs it tries again, which is said \
                 again now and then");
            }
            Some(StoreOutageNotice::Lasts(StoreOutageSpan { lasted, tries })) => {
                warn!(%error, what, seconds = lasted.as_secs(), tries, "the event store still does not answer");
            }
            Some(StoreOutageNotice::Over(_)) | None => debug!(%error, what, "the event store does not answer"),
        }
    }

    /// The store refuses to do `what`, and no time heals that: it is a reason not to be ready until the returned value
    /// is dropped. `before` is the refusal of the try before.
    pub(crate) fn refused(
        self: &Arc<StoreHealth>,
        what: &str,
        error: &StoreError,
        before: Option<StoreRefusal>,
    ) -> StoreRefusal {
        error!(%error, what, "the event store refuses, and an operator has to repair that; it is tried again, less and \
         less often");
        let refusal = before.unwrap_or_else(|| StoreRefusal { health: Arc::clone(self), number: self.next_refusal() });
        let reason = format!("the event store refuses to {what}: {error}");
        self.state.lock().refused.insert(refusal.number, reason);
        refusal
    }

    fn next_refusal(&self) -> u64 {
        let mut state = self.state.lock();
        state.refusals += 1;
        state.refusals
    }

    /// It is settled without a write: what was to be written is at fault itself.
    pub(crate) fn given_up(&self, writer: StoreWriter) {
        self.state.lock().waiting.remove(&writer);
    }
}

/// Something that the store refuses to do. Dropped, that is no reason any more not to be ready.
#[derive(Debug)]
pub(crate) struct StoreRefusal {
    health: Arc<StoreHealth>,
    number: u64,
}

impl Drop for StoreRefusal {
    fn drop(&mut self) {
        self.health.state.lock().refused.remove(&self.number);
    }
}

impl PendingWrite {
    fn told(&self, now: Instant) -> String {
        let seconds = now.saturating_duration_since(self.since).as_secs();
        match &self.error {
            Some(error) => format!("the event store has confirmed no write for {seconds} s: {error}"),
            None => format!("the event store has not answered a write for {seconds} s"),
        }
    }
}

/// Writes a mark every two seconds, for ever.
pub(super) async fn keep_proving(
    store: Arc<dyn EventStore>,
    owner: String,
    clock: EngineClock,
    health: Arc<StoreHealth>,
) {
    loop {
        let now = clock.now();
        health.begins(StoreWriter::Heartbeat);
        match store.heartbeat(&owner, now.0).await {
            Ok(()) => {
                health.confirmed(StoreWriter::Heartbeat);
                show(now);
            }
            Err(error) => {
                health.missed("confirm that it takes writes", &error);
                health.failed(StoreWriter::Heartbeat, &error);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
fn show(now: Timestamp) {
    metrics::gauge!("saga_store_confirmed_write_timestamp_seconds").set(now.0 as f64 / 1000.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_takes_writes_once_one_is_confirmed() {
        let health = StoreHealth::default();
        assert!(health.trouble(Instant::now()).is_some());
        health.begins(StoreWriter::Heartbeat);
        health.confirmed(StoreWriter::Heartbeat);
        assert_eq!(health.trouble(Instant::now()), None);
    }

    #[test]
    fn one_writer_that_waits_is_enough() {
        let health = StoreHealth::default();
        health.begins(StoreWriter::Committer(1));
        health.begins(StoreWriter::Heartbeat);
        health.confirmed(StoreWriter::Heartbeat);
        let now = Instant::now();
        assert_eq!(health.trouble(now), None, "it has only begun");
        let said = health.trouble(now + PATIENCE).expect("it waits");
        assert!(said.contains("has not answered"), "{said}");
        health.failed(StoreWriter::Committer(1), &StoreError::ReadOnly("demoted".into()));
        let said = health.trouble(now + PATIENCE).expect("it waits");
        assert!(said.contains("demoted"), "{said}");
        health.confirmed(StoreWriter::Committer(1));
        assert_eq!(health.trouble(now + PATIENCE), None);
    }

    #[test]
    fn what_the_store_refuses_is_a_reason_until_it_is_given_up_or_answered() {
        let health = Arc::<StoreHealth>::default();
        health.begins(StoreWriter::Heartbeat);
        health.confirmed(StoreWriter::Heartbeat);
        let error = StoreError::Refused("out of range".into());
        let one = health.refused("claim shard 1", &error, None);
        let two = health.refused("claim shard 2", &error, None);
        let one = health.refused("claim shard 1", &error, Some(one));
        let said = health.trouble(Instant::now()).expect("it is refused");
        assert!(said.contains("claim shard 1") && said.contains("out of range"), "{said}");
        drop(one);
        assert!(health.trouble(Instant::now()).is_some_and(|said| said.contains("claim shard 2")));
        drop(two);
        assert_eq!(health.trouble(Instant::now()), None);
    }
}
