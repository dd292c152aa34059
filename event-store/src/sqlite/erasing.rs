//! Erases a stream in one transaction.

use super::append::{append_one, keep_act};
use crate::{AppendOutcome, ArchivedErasure, ERASED_HASH, StoreError, StreamErasure};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

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
    note(&mut transaction, erasure.append.stream, None).await?;
    transaction.commit().await?;
    forget_the_log(writer).await;
    Ok(answer)
}

/// Erases a stream that has left: of the database only its data key and its hash.
pub(super) async fn erase_archived(writer: &SqlitePool, erasure: &ArchivedErasure) -> Result<bool, StoreError> {
    let (summary, (version, at_ms)) = (&erasure.erased.summary, erasure.place()?);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let may = sqlx::query(include_str!("sql/may_erase_archived.sql")).bind(summary.stream).bind(i64::from(version));
    if may.fetch_optional(&mut *transaction).await?.is_none() {
        return Ok(false);
    }
    keep_act(&mut transaction, (summary.stream, version, at_ms), &summary.key, &erasure.act).await?;
    note(&mut transaction, summary.stream, Some(erasure.erased.to_line())).await?;
    let data_key = sqlx::query(include_str!("sql/erase_data_key.sql")).bind(summary.stream);
    data_key.execute(&mut *transaction).await?;
    sqlx::query(include_str!("sql/erase_hash.sql"))
        .bind(&summary.category)
        .bind(&summary.key)
        .bind(summary.stream)
        .bind(ERASED_HASH.to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    forget_the_log(writer).await;
    Ok(true)
}

/// Files of archives that have the stream are to be written anew.
async fn note(
    transaction: &mut Transaction<'static, Sqlite>,
    stream: Uuid,
    line: Option<Vec<u8>>,
) -> Result<(), StoreError> {
    let query = sqlx::query(include_str!("sql/note_erasure.sql")).bind(stream).bind(line);
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Whether these are all rows that the store has before the one of the act.
async fn replace_rows(
    transaction: &mut Transaction<'static, Sqlite>,
    erasure: &StreamErasure,
) -> Result<bool, StoreError> {
    let count = sqlx::query(include_str!("sql/count_rows_before.sql"))
        .bind(erasure.append.stream)
        .bind(i64::from(erasure.append.version))
        .fetch_one(&mut **transaction)
        .await?;
    if count.try_get::<i64, _>("rows")? != i64::try_from(erasure.rows.len()).unwrap_or(i64::MAX) {
        return Ok(false);
    }
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
