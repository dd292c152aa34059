//! Reads of whole streams.

use crate::{RowPosition, StoreError, StoredAct, StreamRow, StreamSnapshot, StreamSummary};
use async_trait::async_trait;
use uuid::Uuid;

/// The part of a store that archives have, too: reads of whole streams, in order or by id.
#[async_trait]
pub trait JournalReader: std::fmt::Debug + Send + Sync {
    /// All rows of a stream, oldest first; none if the store does not have the stream.
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError>;

    /// A page of the rows of all streams after the position `after`, ordered by stream and version: at most `limit`
    /// rows, and of these only as many as fit `max_bytes` of payload, but at least one. Empty: there are no more. A
    /// page can end within a stream. Streams that are appended to during a scan are in it with the rows that they had
    /// when the scan came to them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a row of the page cannot be read: ask for smaller pages to get the rows before it.
    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError>;

    /// The next stream after `after` that has rows; `None`: there is none. Reads no row, so a stream whose rows cannot
    /// be read is found.
    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError>;

    /// The rows of several streams in the read model, in an order of the store's own; at most [`crate::MAX_PAGE`]
    /// streams. A stream that the read model does not have is not in the answer.
    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError>;

    /// The version of the last row of a stream, without loading its payload; `None`: the store does not have the
    /// stream.
    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError>;

    /// The row of one stream in the read model; `None`: the read model does not have the stream.
    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError>;

    /// The text under kind and hash, if the store has one.
    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError>;

    /// A page of the streams of the read model after `after`, ascending, and whether each has a row. Reads no row.
    async fn journaled(&self, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError>;

    /// All acts on the streams from `first` to `last`, ascending by stream and version: for comparison with their rows.
    /// `None`: there is no index of acts; archives have none.
    async fn acts_between(&self, first: Uuid, last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError>;

    /// Which of several streams have a snapshot, and of which version, in an order of the store's own. Loads no state.
    /// At most [`crate::MAX_PAGE`] streams.
    async fn snapshot_versions(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError>;

    /// The snapshots of several streams, in an order of the store's own; at most [`crate::MAX_PAGE`] streams. The
    /// caller compares each with the row of its version ([`StreamSnapshot::is_of`]) before it uses it.
    async fn snapshots(&self, streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError>;
}
