//! The tables of a file, and which installation they belong to.

use super::MIGRATIONS;
use crate::{
    StoreError, StoreIdentity,
    migrate::{self, AppliedMigration},
};
use sqlx::{AssertSqlSafe, Row as _, SqliteExecutor, SqlitePool};
use uuid::Uuid;

pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(include_str!("sql/schema_versions.sql")).execute(&mut *transaction).await?;
    for migration in migrate::missing(MIGRATIONS, &applied(&mut *transaction).await?)? {
        sqlx::raw_sql(AssertSqlSafe(migration.sql)).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO schema_versions (version, checksum) VALUES (?1, ?2)")
            .bind(migration.version)
            .bind(migration.checksum())
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Refuses a file that is not as this version makes it.
///
/// # Errors
/// [`StoreError::Schema`] says what is missing, or what is newer.
pub(super) async fn complete(pool: &SqlitePool) -> Result<(), StoreError> {
    migrate::complete(MIGRATIONS, &applied(pool).await.map_err(nothing_yet)?)
}

async fn applied(executor: impl SqliteExecutor<'_>) -> Result<Vec<AppliedMigration>, sqlx::Error> {
    let rows = sqlx::query("SELECT version, checksum FROM schema_versions").fetch_all(executor).await?;
    rows.iter()
        .map(|row| Ok(AppliedMigration { version: row.try_get("version")?, checksum: row.try_get("checksum")? }))
        .collect()
}

pub(super) async fn create(pool: &SqlitePool, shards: u16) -> Result<StoreIdentity, StoreError> {
    sqlx::query("INSERT INTO installation (one, id, shards) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING")
        .bind(Uuid::new_v4())
        .bind(i64::from(shards))
        .execute(pool)
        .await?;
    let identity = existing(pool).await?;
    if identity.shards != shards {
        return Err(StoreError::Shards { stored: identity.shards, configured: shards });
    }
    Ok(identity)
}

pub(super) async fn existing(pool: &SqlitePool) -> Result<StoreIdentity, StoreError> {
    let row = sqlx::query("SELECT id, shards FROM installation").fetch_optional(pool).await.map_err(nothing_yet)?;
    let row = row.ok_or_else(|| StoreError::Schema("the event store is not complete: start the engine once".into()))?;
    let shards: i64 = row.try_get("shards")?;
    let shards = u16::try_from(shards).map_err(|_| StoreError::Schema(format!("the store says {shards} shards")))?;
    Ok(StoreIdentity { installation: row.try_get("id")?, shards })
}

fn nothing_yet(error: sqlx::Error) -> StoreError {
    if error.as_database_error().is_some_and(|error| error.message().contains("no such table")) {
        StoreError::Schema("the file has no event store yet: start the engine once".into())
    } else {
        error.into()
    }
}
