//! A batch of appends as one statement, and its answers.

use crate::{
    AppendOutcome, ErasedRow, StoreError, StreamAct, StreamAppend, StreamRepair, backend::SqlStatement, rows, standing,
    waits::stored,
};
use sqlx::{Row as _, postgres::PgRow};

pub(super) type PgQuery = SqlStatement<sqlx::Postgres>;

/// Binds one array for each column of the batch. The statement owns the values, because it runs in a task.
pub(super) fn bind_batch(batch: &[StreamAppend]) -> PgQuery {
    bind_columns(include_str!("sql/append.sql"), batch)
}

/// Binds the columns of the batch, which has one append, and after them the rows that lose their content.
pub(super) fn bind_erasure(batch: &[StreamAppend], rows: &[ErasedRow]) -> PgQuery {
    bind_columns(include_str!("sql/erase.sql"), batch)
        .bind(rows.iter().map(|row| row.version.cast_signed()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.payload.clone()).collect::<Vec<_>>())
}

/// Binds one value for each column of the row.
pub(super) fn bind_repair(repair: &StreamRepair) -> PgQuery {
    let summary = repair.summary.clone();
    sqlx::query(include_str!("sql/repair.sql"))
        .bind(i32::from(repair.shard))
        .bind(repair.stream)
        .bind(i64::from(repair.version))
        .bind(repair.category.clone())
        .bind(repair.key.clone())
        .bind(summary.document)
        .bind(summary.status)
        .bind(summary.open)
        .bind(summary.step)
        .bind(summary.reason)
        .bind(summary.started_at_ms)
        .bind(repair.updated_at_ms)
        .bind(stored(&summary.waits_on))
        .bind(standing::stored(&summary.flags))
        .bind(summary.code)
        .bind(repair.erased_at_ms)
}

fn bind_columns(statement: &'static str, batch: &[StreamAppend]) -> PgQuery {
    fn column<T>(batch: &[StreamAppend], value: impl Fn(&StreamAppend) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    sqlx::query(statement)
        .bind(column(batch, |append| i32::from(append.shard)))
        .bind(column(batch, |append| append.epoch.0))
        .bind(column(batch, |append| append.append_id))
        .bind(column(batch, |append| append.stream))
        // `check_batch` has refused versions that do not fit.
        .bind(column(batch, |append| append.version.cast_signed()))
        .bind(column(batch, |append| append.recorded_at_ms))
        .bind(column(batch, |append| append.payload.clone()))
        .bind(column(batch, |append| append.category.clone()))
        .bind(column(batch, |append| append.key.clone()))
        .bind(column(batch, |append| append.new_key.as_ref().map(|key| key.payload_hash.to_vec())))
        .bind(column(batch, |append| append.summary.as_ref().map(|summary| summary.document.clone())))
        .bind(column(batch, |append| append.summary.as_ref().map(|summary| summary.status.clone())))
        .bind(column(batch, |append| append.summary.as_ref().map(|summary| summary.open)))
        .bind(column(batch, |append| append.summary.as_ref().and_then(|summary| summary.step.clone())))
        .bind(column(batch, |append| append.summary.as_ref().and_then(|summary| summary.reason.clone())))
        .bind(column(batch, |append| append.summary.as_ref().map(|summary| summary.started_at_ms)))
        .bind(column(batch, |append| append.summary.as_ref().and_then(|summary| stored(&summary.waits_on))))
        .bind(column(batch, |append| append.outline.clone()))
        .bind(column(batch, |append| append.summary.as_ref().and_then(|summary| standing::stored(&summary.flags))))
        .bind(column(batch, |append| append.summary.as_ref().and_then(|summary| summary.code.clone())))
        .bind(column(batch, |append| {
            append.new_key.as_ref().and_then(|key| key.wrapped.as_ref()).map(|wrapped| wrapped.0.clone())
        }))
        .bind(column(batch, |append| append.new_key.as_ref().map(|key| key.category.clone())))
        .bind(column(batch, |append| append.new_key.as_ref().map(|key| key.key.clone())))
        .bind(batch.iter().map(|append| append.stream).min())
        .bind(batch.iter().map(|append| append.stream).max())
        .bind(acted(batch, |append, _| append.stream))
        .bind(acted(batch, |_, act| act.id.clone()))
        .bind(acted(batch, |_, act| act.who.clone()))
        .bind(acted(batch, |_, act| act.action.clone()))
        .bind(acted(batch, |_, act| act.reason.clone()))
        .bind(acted(batch, |_, act| act.source.subject.clone()))
        .bind(acted(batch, |_, act| act.source.token.clone()))
        .bind(acted(batch, |_, act| act.source.address.clone()))
        .bind(acted(batch, |_, act| act.source.request.clone()))
        .bind(acted(batch, |_, act| act.before.clone()))
        .bind(acted(batch, |_, act| act.after.clone()))
}

/// A column of the acts in a batch: empty in most batches.
fn acted<T>(batch: &[StreamAppend], value: impl Fn(&StreamAppend, &StreamAct) -> T) -> Vec<T> {
    batch.iter().filter_map(|append| append.act.as_ref().map(|act| value(append, act))).collect()
}

pub(super) fn read_answer(row: &PgRow) -> Result<(usize, AppendOutcome), StoreError> {
    let position: i64 = row.try_get("o_position")?;
    let position =
        usize::try_from(position - 1).map_err(|_| StoreError::Unusable(format!("answer at position {position}")))?;
    let answer = match row.try_get::<i32, _>("o_answer")? {
        0 => AppendOutcome::Committed,
        1 => AppendOutcome::DuplicateKey {
            stream: row.try_get("o_stream")?,
            payload_hash: rows::payload_hash(row.try_get("o_payload_hash")?)?,
        },
        2 => AppendOutcome::Conflict,
        3 => AppendOutcome::Fenced,
        other => return Err(StoreError::Unusable(format!("append_batch answered {other}"))),
    };
    Ok((position, answer))
}
