//! Rotation of the keys that encrypt the event store: the current key wraps the data keys of all sagas.

use super::journal::JournalAccess;
use tracing::{info, warn};

/// Wraps data keys again that a previous key has wrapped. A cheap handle.
#[derive(Clone, Debug)]
pub struct KeyRotation {
    journal: JournalAccess,
}

impl KeyRotation {
    pub(crate) fn new(journal: JournalAccess) -> KeyRotation {
        KeyRotation { journal }
    }

    /// Goes once through the data keys, if a key before the current one may be in use. What fails is repeated the next
    /// time; the log says so.
    pub async fn rotate(&self) {
        match self.journal.store().rewrap_data_keys().await {
            Ok(0) => {}
            Ok(rewrapped) => info!(rewrapped, "the current key of store.encryption wraps these data keys now"),
            Err(error) => warn!(%error, "data keys could not be wrapped by the current key; next try later"),
        }
    }
}
