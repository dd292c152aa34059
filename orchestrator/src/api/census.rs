//! How the sagas of the whole installation stand, counted now and then: for figures and pages, which are asked for more often than is worth a
//! count each.

use saga_engine::QueryHandle;
use saga_event_store::{StoreError, StreamFlagCount, StreamStatusCount, WaitTarget};
use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use tracing::debug;

/// A count serves all who ask within this time.
const SERVES: Duration = Duration::from_secs(5);
/// A count that took long serves for this many times as long: however many sagas go on, counting them takes no more of the database.
const SHARE: u32 = 50;
/// Whoever asks waits no longer than this and is told what was counted before.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SagaCounts {
    /// Open sagas by definition and status.
    pub(super) standing: Vec<StreamStatusCount>,
    /// Sagas that people should look at.
    pub(super) flagged: Vec<StreamFlagCount>,
    /// Sagas that guards hold back.
    pub(super) held: Vec<(WaitTarget, i64)>,
    /// Definitions that have had open sagas while this engine runs: a figure that was told once goes down to 0.
    pub(super) sagas: BTreeSet<String>,
}

/// What is counted of the whole installation.
pub(crate) trait StoreCount: fmt::Debug + Sized + Send + Sync + 'static {
    /// Counts; `before` is what was counted the last time.
    fn count(query: &QueryHandle, before: Option<&Self>) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

/// Counts when it is asked.
#[derive(Debug)]
pub(crate) struct CountCache<F> {
    query: QueryHandle,
    /// Until when what was counted serves; held by whoever counts.
    serves_until: Arc<Mutex<Option<Instant>>>,
    last: watch::Sender<Option<Arc<F>>>,
}

impl<F> Clone for CountCache<F> {
    fn clone(&self) -> CountCache<F> {
        let CountCache { query, serves_until, last } = self;
        CountCache { query: query.clone(), serves_until: Arc::clone(serves_until), last: last.clone() }
    }
}

impl<F: StoreCount> CountCache<F> {
    pub(super) fn of(query: QueryHandle) -> CountCache<F> {
        CountCache { query, serves_until: Arc::default(), last: watch::Sender::new(None) }
    }

    /// What was counted last, counted anew where that is due; `None`: the store has not answered yet.
    pub(super) async fn now(&self) -> Option<Arc<F>> {
        let census = self.clone();
        // A task of its own: a count that takes longer than whoever asks has patience serves the next.
        let counting = tokio::spawn(async move { census.count_if_due().await });
        if tokio::time::timeout(PATIENCE, counting).await.is_err() {
            debug!("counting sagas takes its time");
        }
        self.last.borrow().clone()
    }

    async fn count_if_due(&self) {
        let mut serves_until = self.serves_until.lock().await;
        let began = Instant::now();
        if serves_until.is_some_and(|until| began < until) {
            return;
        }
        let before = self.last.borrow().clone();
        match F::count(&self.query, before.as_deref()).await {
            Ok(counted) => drop(self.last.send_replace(Some(Arc::new(counted)))),
            Err(error) => debug!(%error, "sagas cannot be counted"),
        }
        let now = Instant::now();
        *serves_until = Some(now + SERVES.max((now - began) * SHARE));
    }
}

impl StoreCount for SagaCounts {
    async fn count(query: &QueryHandle, before: Option<&SagaCounts>) -> Result<SagaCounts, StoreError> {
        let standing = query.open_by_status().await?;
        let mut sagas = before.map(|counted| counted.sagas.clone()).unwrap_or_default();
        sagas.extend(standing.iter().map(|one| one.category.clone()));
        Ok(SagaCounts { standing, flagged: query.incident_counts().await?, held: query.waiting_counts().await?, sagas })
    }
}
