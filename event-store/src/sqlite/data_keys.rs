//! Data keys in a file.

use super::{SqliteStore, in_task};
use crate::{
    StoreError,
    backend::QueryBuilder,
    reads,
    sealing::{DataKeyStore, RewrappedKey, StoredDataKey},
};
use async_trait::async_trait;
use sqlx::SqlitePool;
use uuid::Uuid;

#[async_trait]
impl DataKeyStore for SqliteStore {
    async fn data_keys(&self, streams: &[Uuid]) -> Result<Vec<StoredDataKey>, StoreError> {
        let ids: Vec<String> = streams.iter().map(|stream| format!("\"{}\"", stream.simple())).collect();
        let query = QueryBuilder::new(include_str!("sql/data_keys.sql")).with(format!("[{}]", ids.join(",")));
        query.all(&self.readers, reads::data_key).await
    }

    async fn data_key_page(&self, after: Uuid, limit: u32) -> Result<Vec<StoredDataKey>, StoreError> {
        reads::data_key_page(&self.readers, after, limit).await
    }

    async fn rewrap(&self, all: &[RewrappedKey]) -> Result<u64, StoreError> {
        self.access.check_writable()?;
        let (writer, owned) = (self.writer.clone(), all.to_vec());
        in_task("the change of data keys", async move { rewrap(&writer, &owned).await }).await
    }

    async fn key_ids(&self) -> Result<Vec<String>, StoreError> {
        reads::key_ids(&self.readers).await
    }

    async fn use_key_id(&self, id: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        sqlx::query(include_str!("../sql/use_key_id.sql")).bind(id).execute(&self.writer).await?;
        Ok(())
    }

    async fn retire_key_ids(&self, but: &str) -> Result<(), StoreError> {
        self.access.check_writable()?;
        sqlx::query(include_str!("../sql/retire_key_ids.sql")).bind(but).execute(&self.writer).await?;
        Ok(())
    }
}

async fn rewrap(writer: &SqlitePool, all: &[RewrappedKey]) -> Result<u64, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let mut changed = 0;
    for it in all {
        let query = sqlx::query(include_str!("sql/rewrap.sql")).bind(it.stream).bind(&it.before.0).bind(&it.now.0);
        changed += query.execute(&mut *transaction).await?.rows_affected();
    }
    transaction.commit().await?;
    Ok(changed)
}
