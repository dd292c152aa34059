//! What leaves a store: partitions by time, and the streams that go to archives.

use crate::StoreError;
use async_trait::async_trait;

/// The part of a store that makes room in it.
#[async_trait]
pub trait StoreArchives: std::fmt::Debug + Send + Sync {
    /// Creates partitions of `width_ms` for streams that will start, until they reach `until_ms`. Returns how many it
    /// created: 0 if they were there, or the database has no partitions. Appends wait meanwhile. After a crash during
    /// the call all of them exist or none.
    ///
    /// # Errors
    /// [`StoreError::is_transient`] when somebody held a table for more than a second: try again later. Streams without
    /// a partition of their own are kept in the partition after the last one.
    async fn add_partitions(&self, width_ms: i64, until_ms: i64) -> Result<u32, StoreError>;
}
