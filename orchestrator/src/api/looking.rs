//! Who looks at journals, and how many do at once: to look must not slow down what is looked at.

use super::errors::ApiError;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Readers of journals at once. Each has a session of the store, of which the shards need most, and a portion of journals in memory.
const AT_ONCE: usize = 3;
/// For a place: a page takes some milliseconds, and who has waited longer than this is told rather than kept.
const PATIENCE: Duration = Duration::from_secs(3);

/// The places of those who look.
#[derive(Clone, Debug)]
pub(crate) struct JournalReadPermits(Arc<Semaphore>);

impl JournalReadPermits {
    pub(crate) fn new() -> JournalReadPermits {
        JournalReadPermits(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// A place, held until it is dropped.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ApiError::Busy(AT_ONCE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_is_told_so_and_the_next_finds_one() {
        let looking = JournalReadPermits::new();
        let mut places = Vec::new();
        for _ in 0..AT_ONCE {
            places.push(looking.place().await.expect("there is a place"));
        }
        assert!(matches!(looking.place().await, Err(ApiError::Busy(AT_ONCE))));
        drop(places.pop());
        drop(looking.place().await.expect("a place is free"));
    }
}
