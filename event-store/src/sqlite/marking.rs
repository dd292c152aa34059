//! Changes of the read model without a row of the stream.

use super::append::end_waits;
use crate::{MarkOutcome, StoreError, StreamMark};
use sqlx::SqlitePool;

pub(super) async fn mark(writer: &SqlitePool, mark: &StreamMark) -> Result<MarkOutcome, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let held = sqlx::query(include_str!("sql/holds.sql"))
        .bind(i64::from(mark.shard))
        .bind(mark.epoch.0)
        .fetch_optional(&mut *transaction)
        .await?;
    if held.is_none() {
        return Ok(MarkOutcome::Fenced);
    }
    let shown = sqlx::query(include_str!("sql/mark.sql"))
        .bind(i64::from(mark.shard))
        .bind(mark.stream)
        .bind(mark.status.clone())
        .bind(mark.reason.clone())
        .bind(mark.at_ms)
        .bind(mark.code.clone())
        .execute(&mut *transaction)
        .await?;
    if shown.rows_affected() > 0 {
        end_waits(&mut transaction, mark.stream).await?;
    }
    transaction.commit().await?;
    Ok(MarkOutcome::Shown)
}
