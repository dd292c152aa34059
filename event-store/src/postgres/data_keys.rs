//! Data keys on Postgres.

use super::PostgresStore;
use crate::{
    StoreError, reads,
    sealing::{DataKeyStore, RewrappedKey, StoredDataKey},
};
use async_trait::async_trait;
use sqlx::Row as _;
use uuid::Uuid;

#[async_trait]
impl DataKeyStore for PostgresStore {
    async fn data_keys(&self, streams: &[Uuid]) -> Result<Vec<StoredDataKey>, StoreError> {
        let query = sqlx::query(include_str!("sql/data_keys.sql")).bind(streams.to_vec());
        self.pool.rows(query).await?.iter().map(reads::data_key).collect()
    }

    async fn data_key_page(&self, after: Uuid, limit: u32) -> Result<Vec<StoredDataKey>, StoreError> {
        reads::data_key_page(&self.pool, after, limit).await
    }

    async fn rewrap(&self, all: &[RewrappedKey]) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let query = sqlx::query(include_str!("sql/rewrap.sql"))
            .bind(all.iter().map(|it| it.stream).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.before.0.clone()).collect::<Vec<_>>())
            .bind(all.iter().map(|it| it.now.0.clone()).collect::<Vec<_>>());
        let changed: i64 = self.pool.row(query).await?.try_get("changed")?;
        Ok(changed.unsigned_abs())
    }

    async fn key_ids(&self) -> Result<Vec<String>, StoreError> {
        reads::key_ids(&self.pool).await
    }

    async fn use_key_id(&self, id: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        self.pool.rows(sqlx::query(include_str!("../sql/use_key_id.sql")).bind(id.to_owned())).await.map(drop)
    }

    async fn retire_key_ids(&self, but: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        self.pool.rows(sqlx::query(include_str!("../sql/retire_key_ids.sql")).bind(but.to_owned())).await.map(drop)
    }
}
