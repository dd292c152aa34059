//! Erases a stream in one transaction.

use super::append::append_one;
use crate::{AppendOutcome, ERASED_HASH, StoreError, StreamErasure};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

pub(super) async fn erase(writer: &SqlitePool, erasure: &StreamErasure) -> Result<AppendOutcome, StoreError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let answer = append_one(&mut transaction, &erasure.append).await?;
    if answer != AppendOutcome::Committed || !replace_rows(&mut transaction, erasure).await? {
        transaction.rollback().await?;
        return Ok(if answer == AppendOutcome::Committed { AppendOutcome::Conflict } else { answer });
    }
    for statement in [
        include_str!("sql/erase_outlines.sql"),
        include_str!("sql/erase_data_key.sql"),
        include_str!("sql/remove_snapshot.sql"),
    ] {
        sqlx::query(statement).bind(erasure.append.stream).execute(&mut *transaction).await?;
    }
    sqlx::query(include_str!("sql/erase_hash.sql"))
        .bind(&erasure.append.category)
        .bind(&erasure.append.key)
        .bind(erasure.append.stream)
        .bind(ERASED_HASH.to_vec())
        .execute(&mut *transaction)
        .await?;
    sqlx::query(include_str!("sql/erase_shown.sql"))
        .bind(erasure.append.stream)
        .bind(erasure.append.recorded_at_ms)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    forget_the_log(writer).await;
    Ok(answer)
}

/// Whether the store has each of the rows.
async fn replace_rows(
    transaction: &mut Transaction<'static, Sqlite>,
    erasure: &StreamErasure,
) -> Result<bool, StoreError> {
    for row in &erasure.rows {
        let replaced = sqlx::query(include_str!("sql/erase_row.sql"))
            .bind(erasure.append.stream)
            .bind(i64::from(row.version))
            .bind(row.payload.clone())
            .execute(&mut **transaction)
            .await?;
        if replaced.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Empties the write-ahead log, which has the pages as they were. A reader can prevent that for now; then the log is
/// overwritten in the course of time.
async fn forget_the_log(writer: &SqlitePool) {
    let checkpoint = sqlx::query(include_str!("sql/checkpoint.sql")).fetch_one(writer).await;
    let is_done = checkpoint.and_then(|row| row.try_get::<i64, _>("busy")).is_ok_and(|busy| busy == 0);
    if !is_done {
        tracing::warn!("the write-ahead log of the store has what was erased until it is overwritten: readers use it");
    }
}
