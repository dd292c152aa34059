//! All journals of a store, page by page, several at once: memory holds some pages and what they add up to.

use super::{
    journal_observer,
    observed::{ObservedPast, SkippedJournal},
};
use crate::{
    journal::{self, JournalError, PlanCache, shown},
    replay::{
        page_pipeline,
        scan::{SagaScan, ScanMeter, ScanProgress, ScannedSaga},
    },
};
use futures_util::StreamExt;
use saga_core::{id::SagaId, time::Timestamp};
use saga_event_store::{JournalReader, StoreError, StreamRow};
use std::{pin::pin, sync::Arc};

/// What the journals of sagas that started at `since` or later tell; `None`: of all. A journal that cannot be read is
/// passed over and named.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn observe(
    store: Arc<dyn JournalReader>,
    since: Option<Timestamp>,
    workers: usize,
    mut tell: impl FnMut(ScanProgress),
) -> Result<ObservedPast, StoreError> {
    let reader = Arc::new(PastReader { store: Arc::clone(&store), plans: PlanCache::default() });
    let pages = page_pipeline::processed(SagaScan::new(store, since), workers, |page| {
        let reader = Arc::clone(&reader);
        async move { reader.page(page).await }
    });
    let mut pages = pin!(pages);
    let (mut past, mut meter) = (ObservedPast::default(), ScanMeter::default());
    while let Some(page) = pages.next().await {
        let (observed, ids) = page?;
        tell(meter.page(observed.sagas + observed.skipped, observed.events, ids));
        past.merge(observed);
    }
    Ok(past)
}

struct PastReader {
    store: Arc<dyn JournalReader>,
    plans: PlanCache,
}

impl PastReader {
    async fn page(&self, page: Vec<ScannedSaga>) -> Result<(ObservedPast, Option<(SagaId, SagaId)>), StoreError> {
        let ids = page.first().zip(page.last()).map(|(first, last)| (first.saga, last.saga));
        let mut past = ObservedPast::default();
        for ScannedSaga { saga, rows } in page {
            match self.saga(saga, rows).await {
                Ok(observed) => past.merge(observed),
                Err(JournalError::Store(error)) if error.is_transient() => return Err(error),
                Err(error) => {
                    past.skip(SkippedJournal { saga: saga.to_string(), reason: shown::unreadable(&error) });
                }
            }
        }
        Ok((past, ids))
    }

    async fn saga(&self, saga: SagaId, rows: Result<Vec<StreamRow>, StoreError>) -> Result<ObservedPast, JournalError> {
        let rows = rows.map_err(|error| JournalError::of(saga, error))?;
        let decisions = journal::decode(saga, &rows)?;
        let plan = self.plans.of(self.store.as_ref(), saga, &decisions).await?;
        journal::guarded(saga, || journal_observer::observed(&plan, saga, &decisions))
    }
}
