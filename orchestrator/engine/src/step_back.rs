//! What follows when the event store lost what it had confirmed: the engine reports the loss, stores again what it
//! needs, and claims and reads the shards anew.

pub mod saved_confirmations;

use super::{journal::JournalAccess, retry::RetryDelays, store_health::StoreHealth};
use saga_base::sync::UnpoisonedMutex;
use saga_core::{id::ShardId, time::Timestamp, time::rfc3339};
use saga_event_store::StepBack;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::{error, info};

/// Between two tries to store again what has to be there before sagas are read.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The channel that reports the store's last step back; `None`: there was none.
pub(super) type StepBackReceiver = watch::Receiver<Option<Arc<StepBack>>>;

/// How often the store had stepped back.
pub(super) fn number(told: &StepBackReceiver) -> u64 {
    told.borrow().as_ref().map_or(0, |step| step.number)
}

/// Resolves when the store has stepped back more often than `before`.
pub(super) async fn beyond(mut told: StepBackReceiver, before: u64) {
    let stepped = told.wait_for(|step| step.as_ref().is_some_and(|step| step.number > before)).await.is_ok();
    if !stepped {
        // A store that tells nothing more never steps back.
        std::future::pending::<()>().await;
    }
}

/// What is still to be done after a step back.
#[derive(Debug)]
pub struct StepBackRecovery {
    /// The last one for which the store has again what sagas are read with.
    prepared: watch::Sender<u64>,
    open: UnpoisonedMutex<Option<OpenStepBack>>,
}

#[derive(Debug)]
struct OpenStepBack {
    step: Arc<StepBack>,
    /// Shards that were claimed and read again since.
    read: BTreeSet<u16>,
}

impl Default for StepBackRecovery {
    fn default() -> StepBackRecovery {
        StepBackRecovery { prepared: watch::Sender::new(0), open: UnpoisonedMutex::default() }
    }
}

impl StepBackRecovery {
    /// Why an engine that owns these shards does not work as it should, as text for operators; `None`: all were read
    /// again.
    #[must_use]
    pub fn trouble(&self, owned: impl Iterator<Item = ShardId>) -> Option<String> {
        let open = self.open.lock();
        let open = open.as_ref()?;
        let left = owned.filter(|shard| !open.read.contains(&shard.0)).count();
        (left > 0).then(|| {
            format!(
                "the event store lost what it had confirmed {}; {left} shards are still to be claimed and read again",
                range(&open.step),
            )
        })
    }

    /// Returns when sagas can be read: immediately, or after the preparation for the reported step back.
    pub(super) async fn prepared(&self, told: &StepBackReceiver) {
        let number = number(told);
        // The sender lives as long as this.
        drop(self.prepared.subscribe().wait_for(|prepared| *prepared >= number).await);
    }

    /// The shard is read again, of an engine that owns these.
    pub(super) fn settled(&self, shard: ShardId, mut owned: impl Iterator<Item = ShardId>) {
        let mut open = self.open.lock();
        let Some(aftermath) = open.as_mut() else { return };
        aftermath.read.insert(shard.0);
        if owned.all(|shard| aftermath.read.contains(&shard.0)) {
            info!(
                missing = range(&aftermath.step),
                "all shards are read again after the step back of the event store; work goes on"
            );
            *open = None;
        }
    }

    fn begin(&self, step: &Arc<StepBack>) {
        *self.open.lock() = Some(OpenStepBack { step: Arc::clone(step), read: BTreeSet::new() });
    }
}

/// Prepares the engine for reading again after each step back.
#[derive(Debug)]
pub(crate) struct StepBackFollower {
    journal: JournalAccess,
    recovery: Arc<StepBackRecovery>,
    health: Arc<StoreHealth>,
}

impl StepBackFollower {
    pub(crate) fn new(
        journal: JournalAccess,
        recovery: Arc<StepBackRecovery>,
        health: Arc<StoreHealth>,
    ) -> StepBackFollower {
        StepBackFollower { journal, recovery, health }
    }

    /// Waits for steps back, for ever. One may have been found while the engine was starting.
    pub(crate) async fn follow(self) {
        let mut told = self.journal.store().steps_back();
        loop {
            let step = told.borrow_and_update().clone();
            if let Some(step) = step {
                self.prepare(&step).await;
            }
            if told.changed().await.is_err() {
                return;
            }
        }
    }

    async fn prepare(&self, step: &Arc<StepBack>) {
        report(step);
        self.recovery.begin(step);
        let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
        while let Err(error) = self.store_again().await {
            self.health.missed("store again what sagas are read with", &error);
            delays.wait().await;
        }
        self.recovery.prepared.send_replace(step.number);
    }

    /// The store may have lost definitions and policies that were published lately, and sagas are read with them.
    async fn store_again(&self) -> Result<(), saga_event_store::StoreError> {
        for plan in self.journal.plans().all() {
            self.journal.publish(plan).await?;
        }
        Ok(())
    }
}

fn report(step: &StepBack) {
    metrics::counter!("saga_store_stepped_back_total").increment(1);
    error!(
        missing = range(step),
        missing_appends = step.missing_appends,
        missing_claims = ?step.missing_claims,
        timelines = ?step.timelines,
        "the event store lost what it had confirmed: a standby that lagged took over, or an older state was restored. \
         Work stops, and goes on when the shards are claimed and read again. Sagas that were started in this time may \
         be gone, others do again what they did; what to do is in docs/operations.md, `A database that lost commits`"
    );
}

/// The time range of the missing commits, as text for operators: RFC 3339, UTC.
fn range(step: &StepBack) -> String {
    let until = rfc3339(Timestamp(step.lost_until_ms));
    match step.kept_until_ms {
        Some(kept) => format!("between {} and {until}", rfc3339(Timestamp(kept))),
        None => format!("up to {until}, as far back as this engine remembers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64) -> Arc<StepBack> {
        Arc::new(StepBack {
            number,
            kept_until_ms: Some(1_000),
            lost_until_ms: 61_000,
            missing_appends: 1,
            missing_claims: vec![],
            timelines: None,
        })
    }

    fn shards(numbers: &[u16]) -> impl Iterator<Item = ShardId> {
        numbers.iter().copied().map(ShardId)
    }

    #[test]
    fn it_lasts_until_every_shard_is_read_again_or_gone() {
        let aftermath = StepBackRecovery::default();
        aftermath.begin(&step(1));
        let said = aftermath.trouble(shards(&[1, 2])).expect("two shards are to be read");
        assert!(said.contains("1970-01-01T00:00:01") && said.contains("1970-01-01T00:01:01"), "{said}");
        aftermath.settled(ShardId(1), shards(&[1, 2]));
        assert!(aftermath.trouble(shards(&[1, 2])).is_some());
        assert_eq!(aftermath.trouble(shards(&[1])), None);
        aftermath.settled(ShardId(2), shards(&[1, 2]));
        assert_eq!(aftermath.trouble(shards(&[1, 2, 3])), None);
    }

    #[test]
    fn shards_that_come_after_a_step_back_that_was_found_at_the_start_are_to_be_read_too() {
        let aftermath = StepBackRecovery::default();
        aftermath.begin(&step(1));
        assert_eq!(aftermath.trouble(shards(&[])), None);
        assert!(aftermath.trouble(shards(&[3])).is_some());
    }

    #[tokio::test]
    async fn a_step_back_is_noticed_by_whoever_began_before_it() {
        let store = watch::Sender::new(None);
        let told = store.subscribe();
        let before = number(&told);
        store.send_replace(Some(step(1)));
        beyond(told.clone(), before).await;
        let later = beyond(told.clone(), number(&told));
        assert!(futures_util::FutureExt::now_or_never(later).is_none());
    }
}
