//! What leaves the store. SQLite has no partitions.

use super::SqliteStore;
use crate::{StoreArchives, StoreError};
use async_trait::async_trait;

#[async_trait]
impl StoreArchives for SqliteStore {
    async fn add_partitions(&self, _width_ms: i64, _until_ms: i64) -> Result<u32, StoreError> {
        self.access.check_writable()?;
        Ok(0)
    }
}
