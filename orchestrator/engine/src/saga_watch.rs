//! Readers that wait for the next row of one saga: a commit of this process wakes them. Rows that another engine
//! commits wake nobody, so a reader also looks at the store now and then.

use saga_base::sync::UnpoisonedMutex;
use saga_core::id::SagaId;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

/// The sagas that readers wait for. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct SagaWatch(Arc<WatchTable>);

#[derive(Debug, Default)]
struct WatchTable {
    /// Readers of all sagas: without any a commit does not take the lock.
    readers: AtomicUsize,
    bells: UnpoisonedMutex<HashMap<SagaId, watch::Sender<()>>>,
}

/// One reader's place at one saga; dropping it ends it.
#[derive(Debug)]
pub struct SagaWaker {
    table: Arc<WatchTable>,
    saga: SagaId,
    bell: watch::Receiver<()>,
}

impl SagaWatch {
    /// A reader of `saga`: it is woken by every row that is committed from now on.
    #[must_use]
    pub(crate) fn of(&self, saga: SagaId) -> SagaWaker {
        let mut bells = self.0.bells.lock();
        let bell = bells.entry(saga).or_insert_with(|| watch::Sender::new(())).subscribe();
        self.0.readers.fetch_add(1, Ordering::SeqCst);
        SagaWaker { table: Arc::clone(&self.0), saga, bell }
    }

    /// A row of `saga` is in the store.
    pub(crate) fn committed(&self, saga: SagaId) {
        if self.0.readers.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(bell) = self.0.bells.lock().get(&saga) {
            bell.send_replace(());
        }
    }
}

impl SagaWaker {
    /// Returns when a row was committed since the last return, or since the reader began.
    pub async fn committed(&mut self) {
        if self.bell.changed().await.is_err() {
            // The sender lives as long as any reader of the saga does.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for SagaWaker {
    fn drop(&mut self) {
        let mut bells = self.table.bells.lock();
        self.table.readers.fetch_sub(1, Ordering::SeqCst);
        if bells.get(&self.saga).is_some_and(|bell| bell.receiver_count() == 1) {
            bells.remove(&self.saga);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use uuid::Uuid;

    fn saga(number: u128) -> SagaId {
        SagaId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number)).expect("an id")
    }

    #[tokio::test]
    async fn a_row_wakes_all_readers_of_its_saga_also_if_it_came_before_they_wait() {
        let watch = SagaWatch::default();
        let (mut first, mut second, mut other) = (watch.of(saga(1)), watch.of(saga(1)), watch.of(saga(2)));
        watch.committed(saga(1));
        assert!(first.committed().now_or_never().is_some() && second.committed().now_or_never().is_some());
        assert!(first.committed().now_or_never().is_none(), "one row wakes once");
        assert!(other.committed().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_reader_that_has_gone_leaves_nothing() {
        let watch = SagaWatch::default();
        let (first, second) = (watch.of(saga(1)), watch.of(saga(1)));
        drop(first);
        assert_eq!(watch.0.bells.lock().len(), 1);
        drop(second);
        assert!(watch.0.bells.lock().is_empty());
        assert_eq!(watch.0.readers.load(Ordering::SeqCst), 0);
    }
}
