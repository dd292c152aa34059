//! The schema of a file and the identity of the store in it.

use crate::{
    StoreError, StoreIdentity,
    migrate::{self, SQLITE},
    reads,
};
use sqlx::SqlitePool;
use uuid::Uuid;

/// Applies missing migrations. No other process migrates at the same time, because only the holder of the file lock
/// writes.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    migrate::run(&SQLITE, &mut *pool.acquire().await?).await
}

/// Checks the schema for a reader. Changes nothing.
///
/// # Errors
/// [`StoreError::Schema`] when a migration is missing, unknown or altered.
pub(super) async fn complete(pool: &SqlitePool) -> Result<(), StoreError> {
    let applied = migrate::applied(&mut *pool.acquire().await?).await?;
    migrate::complete(&SQLITE, &applied.ok_or_else(nothing_yet)?)
}

pub(super) async fn create(pool: &SqlitePool, shards: u16) -> Result<StoreIdentity, StoreError> {
    sqlx::query(include_str!("sql/create.sql")).bind(Uuid::new_v4()).bind(i64::from(shards)).execute(pool).await?;
    existing(pool).await?.with_shards(shards)
}

pub(super) async fn existing(pool: &SqlitePool) -> Result<StoreIdentity, StoreError> {
    let identity = reads::identity(pool).await?;
    identity.ok_or_else(|| StoreError::Schema("the event store is not complete: start the engine once".into()))
}

fn nothing_yet() -> StoreError {
    StoreError::Schema("the file has no event store yet: start the engine once".into())
}
