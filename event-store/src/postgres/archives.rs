//! Partitions, and what leaves the store.

use super::PostgresStore;
use crate::{StoreArchives, StoreError};
use async_trait::async_trait;
use sqlx::Row as _;

#[async_trait]
impl StoreArchives for PostgresStore {
    async fn add_partitions(&self, width_ms: i64, until_ms: i64) -> Result<u32, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/add_partitions.sql")).bind(width_ms).bind(until_ms);
        let added: i32 = self.pool.row(query).await?.try_get("added")?;
        Ok(added.unsigned_abs())
    }
}
