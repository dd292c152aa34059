//! What a database does for the data keys of its streams.

use crate::{EventStore, LetterCoordinates, StoreError, StoredLetter, cipher::WrappedKey, letter::reading::StoredEdit};
use async_trait::async_trait;
use uuid::Uuid;

/// A data key as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredDataKey {
    pub(crate) stream: Uuid,
    pub(crate) wrapped: WrappedKey,
}

/// A data key that another key wraps from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RewrappedKey {
    pub(crate) stream: Uuid,
    pub(crate) before: WrappedKey,
    pub(crate) now: WrappedKey,
}

/// A store that keeps data keys beside its streams. [`EventStore::append`] of such a store adds the key of a new
/// stream in the transaction of its first row.
#[async_trait]
pub(crate) trait DataKeyStore: EventStore + LetterReader {
    /// The data keys of these streams, in an order of the store's own. A stream without one is not in the answer.
    async fn data_keys(&self, streams: &[Uuid]) -> Result<Vec<StoredDataKey>, StoreError>;

    /// A page of all data keys after the stream `after`, ascending.
    async fn data_key_page(&self, after: Uuid, limit: u32) -> Result<Vec<StoredDataKey>, StoreError>;

    /// Replaces data keys that are still as they were, and returns how many these are.
    async fn rewrap(&self, all: &[RewrappedKey]) -> Result<u64, StoreError>;

    /// Ids of all key-encryption keys that some data key may need.
    async fn key_ids(&self) -> Result<Vec<String>, StoreError>;

    /// Adds an id to these. A repeat changes nothing.
    async fn use_key_id(&self, id: &str) -> Result<(), StoreError>;

    /// Removes all other ids: no data key needs them any more.
    async fn retire_key_ids(&self, but: &str) -> Result<(), StoreError>;
}

/// A store that gives letters with their edits as they are stored.
#[async_trait]
pub(crate) trait LetterReader: Send + Sync {
    /// The letter at a place, and its edit with the id of the data key that seals it.
    async fn stored_letter(
        &self,
        place: &LetterCoordinates,
    ) -> Result<Option<(StoredLetter, Option<StoredEdit>)>, StoreError>;
}
