//! Pages of sagas: read ahead, and worked on several at once.

use super::scan::{SagaScan, ScannedSaga};
use futures_util::{Stream, StreamExt, stream};
use saga_event_store::StoreError;
use std::future::Future;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{self, JoinError},
};

/// Pages that are read and wait for a worker: while one is taken, the store is asked for the next.
const READ_AHEAD: usize = 2;

/// Pages in work for each worker: one waits for the store, which is asked what else it knows of the page's sagas, while
/// the worker works on the other.
const PAGES_OF_WORKER: usize = 2;

/// What `work` makes of each page, in the order of the scan. A task reads; threads of their own do the work, for
/// `workers` cores: work on a page keeps a core busy for milliseconds, in which a runtime's thread would not look at
/// the connection that reads. Memory holds at most `2 * workers + 3` pages. To drop the stream ends the reading.
pub(crate) fn processed<T, W, F>(
    scan: SagaScan,
    workers: usize,
    work: W,
) -> impl Stream<Item = Result<T, StoreError>> + use<T, W, F>
where
    T: Send + 'static,
    W: Fn(Vec<ScannedSaga>) -> F,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    read_ahead(scan)
        .map(move |page| {
            let worked = page.map(&work);
            async { on_a_thread(async { worked?.await }).await }
        })
        .buffered(workers.max(1) * PAGES_OF_WORKER)
}

/// The pages of the scan. A task reads them; it ends with the scan, with an error, or when nobody takes more.
fn read_ahead(mut scan: SagaScan) -> impl Stream<Item = Result<Vec<ScannedSaga>, StoreError>> {
    let (pages, read) = mpsc::channel(READ_AHEAD);
    let reading = async move {
        while let Some(page) = scan.next().await.transpose() {
            let is_last = page.is_err();
            if pages.send(page).await.is_err() || is_last {
                break;
            }
        }
    };
    let task = Some(tokio::spawn(reading));
    stream::unfold((read, task), |(mut read, mut task)| async move {
        let page = read.recv().await;
        // A task that fails closes the channel as one that has read everything does.
        let failed = match (&page, task.take_if(|_| page.is_none())) {
            (None, Some(ended)) => ended.await.map_err(|error| lost(&error)).err(),
            (Some(_), _) | (None, None) => None,
        };
        Some((page.or(failed.map(Err))?, (read, task)))
    })
}

async fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let runtime = Handle::current();
    task::spawn_blocking(move || runtime.block_on(work)).await.map_err(|error| lost(&error))?
}

fn lost(error: &JoinError) -> StoreError {
    StoreError::Damaged(format!("the work on a page of sagas: {error}"))
}
