//! How many requests read journals at once: reading must not slow down the sagas.

use super::errors::ApiError;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that read journals at once. Each uses a session of the store, of which the shards need most, and has
/// journals in memory.
const AT_ONCE: usize = 3;
/// Maximum wait for a permit: a page takes some milliseconds, so a longer wait is answered with an error.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Permits for requests that read journals.
#[derive(Clone, Debug)]
pub(crate) struct JournalReadPermits(Arc<Semaphore>);

impl JournalReadPermits {
    pub(crate) fn new() -> JournalReadPermits {
        JournalReadPermits(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// A permit; dropping it returns it.
    pub(super) async fn acquire(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        match tokio::time::timeout(MAX_WAIT, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(ApiError::Busy(AT_ONCE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_permit_is_refused_and_the_next_gets_one() {
        let looking = JournalReadPermits::new();
        let mut permits = Vec::new();
        for _ in 0..AT_ONCE {
            permits.push(looking.acquire().await.expect("a permit is left"));
        }
        assert!(matches!(looking.acquire().await, Err(ApiError::Busy(AT_ONCE))));
        drop(permits.pop());
        drop(looking.acquire().await.expect("a permit is left"));
    }
}
