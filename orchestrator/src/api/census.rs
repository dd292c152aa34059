//! Numbers of sagas of the whole installation, counted at intervals: metrics and pages ask for them more often than a
//! count is worth.

use saga_engine::{OpenLetters, QueryHandle};
use saga_event_store::{StoreError, StreamFlagCount, StreamStatusCount, WaitTarget};
use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};
use tracing::debug;

/// A count answers all requests within this time.
const SERVES: Duration = Duration::from_secs(5);
/// A count is valid for this many times its duration: with any number of sagas, counting takes at most 2 % of a
/// database session.
const SHARE: u32 = 50;
/// Maximum wait for a new count; after it the request gets the last one.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The result of a count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SagaCounts {
    /// Open sagas by definition and status.
    pub(super) standing: Vec<StreamStatusCount>,
    /// Sagas that operators should look at.
    pub(super) flagged: Vec<StreamFlagCount>,
    /// Sagas that guards hold back.
    pub(super) held: Vec<(WaitTarget, i64)>,
    /// When the oldest committed event was recorded that the feed cannot show yet.
    pub(super) feed_held_since_ms: Option<i64>,
    /// Definitions that have had open sagas since the start of this engine: their metrics go down to 0 and do not
    /// vanish.
    pub(super) sagas: BTreeSet<String>,
    /// Dead letters that are open.
    pub(super) letters: OpenLetters,
}

/// Something that is counted over the whole installation.
pub(crate) trait StoreCount: fmt::Debug + Sized + Send + Sync + 'static {
    /// Counts; `before` is the last result.
    fn count(query: &QueryHandle, before: Option<&Self>) -> impl Future<Output = Result<Self, StoreError>> + Send;
}

/// Counts when it is asked and the last count is too old.
#[derive(Debug)]
pub(crate) struct CountCache<F> {
    query: QueryHandle,
    /// When the last count becomes too old. The lock is held during a count, so that only one runs.
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

    /// The last count, after a new one if it is due; `None`: the store has not answered yet.
    pub(super) async fn now(&self) -> Option<Arc<F>> {
        self.within(MAX_WAIT).await
    }

    /// The same, and waits at most `wait` for a new count.
    pub(super) async fn within(&self, wait: Duration) -> Option<Arc<F>> {
        let census = self.clone();
        // A task of its own: a count that takes longer than the request waits is there for the next request.
        let counting = tokio::spawn(async move { census.count_if_due().await });
        if tokio::time::timeout(wait, counting).await.is_err() {
            debug!("the count of sagas takes longer than a request waits");
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
        let (flagged, held) = (query.incident_counts().await?, query.waiting_counts().await?);
        let (feed_held_since_ms, letters) = (query.feed_held_since_ms().await?, query.open_letters().await?);
        Ok(SagaCounts { standing, flagged, held, feed_held_since_ms, sagas, letters })
    }
}
