//! Rows of the read model that are written anew.

use super::append::{add_wait, end_waits};
use crate::{RepairOutcome, StoreError, StreamRepair, rows, standing, waits::in_order};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

pub(super) async fn repair(writer: &SqlitePool, repair: &StreamRepair) -> Result<RepairOutcome, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    if last_version(&mut transaction, repair.stream).await? != Some(repair.version) {
        return Ok(RepairOutcome::Outdated);
    }
    show(&mut transaction, repair).await?;
    end_waits(&mut transaction, repair.stream).await?;
    for waits_on in in_order(&repair.summary.waits_on) {
        add_wait(&mut transaction, repair.stream, &waits_on).await?;
    }
    transaction.commit().await?;
    Ok(RepairOutcome::Repaired)
}

async fn last_version(transaction: &mut Transaction<'static, Sqlite>, stream: Uuid) -> Result<Option<u32>, StoreError> {
    let query = sqlx::query(include_str!("../sql/last_version.sql")).bind(stream);
    let version: Option<i64> = query.fetch_one(&mut **transaction).await?.try_get("version")?;
    version.map(rows::version).transpose()
}

async fn show(transaction: &mut Transaction<'static, Sqlite>, repair: &StreamRepair) -> Result<(), StoreError> {
    let summary = &repair.summary;
    sqlx::query(include_str!("sql/repair.sql"))
        .bind(repair.stream)
        .bind(i64::from(repair.shard))
        .bind(repair.category.clone())
        .bind(repair.key.clone())
        .bind(summary.document.clone())
        .bind(summary.status.clone())
        .bind(summary.open)
        .bind(summary.step.clone())
        .bind(summary.reason.clone())
        .bind(summary.started_at_ms)
        .bind(repair.updated_at_ms)
        .bind(standing::stored(&summary.flags))
        .bind(summary.code.clone())
        .bind(repair.erased_at_ms)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
