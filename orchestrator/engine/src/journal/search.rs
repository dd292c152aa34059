//! Searches for sagas to which no index leads: a page of one reads a bounded number of sagas, and says where it ended.

use super::reading::{SagaLine, SagaQuery, filter};
use saga_core::id::SagaId;
use saga_event_store::EventStore;

/// The most sagas that one page of a search reads, where no index leads to them: some tens of milliseconds.
pub const MOST_SEARCHED: u32 = 20_000;

/// A page of sagas.
#[derive(Debug)]
pub struct FoundSagas {
    /// The sagas, newest first.
    pub lines: Vec<SagaLine>,
    /// Where the page ends although it is not full: the search goes on before this saga. `None`: it was at its end, or
    /// the page is full.
    pub searched_to: Option<SagaId>,
}

/// Sagas, newest first, of which one page reads at most [`MOST_SEARCHED`] where no index leads to them.
///
/// # Errors
/// When the store does not answer.
pub async fn search(store: &dyn EventStore, wanted: &SagaQuery) -> Result<FoundSagas, saga_event_store::StoreError> {
    let mut filter = filter(wanted);
    let floor = match searches(wanted) {
        true => store.stream_below(filter.before, MOST_SEARCHED - 1).await?,
        false => None,
    };
    let floor = floor.filter(|floor| filter.from.is_none_or(|from| from < *floor));
    filter.from = floor.or(filter.from);
    let lines: Vec<SagaLine> = store.list(&filter).await?.into_iter().map(SagaLine::from).collect();
    let is_full = u32::try_from(lines.len()).unwrap_or(u32::MAX) >= wanted.limit;
    Ok(FoundSagas { lines, searched_to: floor.filter(|_| !is_full).and_then(SagaId::from_uuid) })
}

/// Whether no index leads to the sagas, so that all of a range of time would be read to find a few.
fn searches(wanted: &SagaQuery) -> bool {
    let is_indexed = wanted.only_open() || wanted.key.is_some() || wanted.code.is_some() || wanted.waiting_on.is_some();
    let texts = wanted.reason.is_some() || wanted.text.is_some();
    !is_indexed && (texts || wanted.ended_from.is_some() || wanted.ended_before.is_some())
}
