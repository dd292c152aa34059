//! What is bound to statements, and what is read from their rows.

use crate::{
    AppendOutcome, StoreError, StreamAppend, StreamRow, StreamStatusCount, StreamSummary, standing,
    waits::{self, stored},
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

pub(super) type PgQuery = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// The batch as one array a column, owned by the query.
pub(super) fn bind_batch(batch: &[StreamAppend]) -> PgQuery {
    fn column<T>(batch: &[StreamAppend], value: impl Fn(&StreamAppend) -> T) -> Vec<T> {
        batch.iter().map(value).collect()
    }
    sqlx::query(include_str!("sql/append.sql"))
        .bind(column(batch, |append| i32::from(append.shard)))
        .bind(column(batch, |append| append.epoch.0))
        .bind(column(batch, |append| append.append_id))
        .bind(column(batch, |append| append.stream))
        // It fits: the batch was checked.
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
}

pub(super) fn read_answer(row: &PgRow) -> Result<(usize, AppendOutcome), StoreError> {
    let position: i64 = row.try_get("o_position")?;
    let position =
        usize::try_from(position - 1).map_err(|_| StoreError::Unusable(format!("answer at position {position}")))?;
    let answer = match row.try_get::<i32, _>("o_answer")? {
        0 => AppendOutcome::Committed,
        1 => AppendOutcome::DuplicateKey { stream: row.try_get("o_stream")?, payload_hash: read_hash(row)? },
        2 => AppendOutcome::Conflict,
        3 => AppendOutcome::Fenced,
        other => return Err(StoreError::Unusable(format!("append_batch answered {other}"))),
    };
    Ok((position, answer))
}

fn read_hash(row: &PgRow) -> Result<[u8; 32], StoreError> {
    let bytes: Vec<u8> = row.try_get("o_payload_hash")?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| StoreError::Unusable(format!("a stored payload hash has {} bytes", bytes.len())))
}

pub(super) fn read_row(row: &PgRow) -> Result<StreamRow, StoreError> {
    let version: i32 = row.try_get("version")?;
    Ok(StreamRow {
        version: u32::try_from(version).map_err(|_| StoreError::Refused(format!("a stored version is {version}")))?,
        recorded_at_ms: row.try_get("recorded_at")?,
        append_id: row.try_get("append_id")?,
        payload: row.try_get("payload")?,
    })
}

pub(super) fn rows_of_streams(rows: &[PgRow]) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
    rows.iter().map(|row| Ok((row.try_get("stream")?, read_row(row)?))).collect()
}

pub(super) fn read_standing(row: &PgRow) -> Result<StreamStatusCount, StoreError> {
    Ok(StreamStatusCount {
        category: row.try_get("category")?,
        status: row.try_get("status")?,
        streams: row.try_get("streams")?,
        oldest_started_ms: row.try_get("oldest_started")?,
        oldest_changed_ms: row.try_get("oldest_changed")?,
    })
}

pub(super) fn read_summary(row: &PgRow) -> Result<StreamSummary, StoreError> {
    Ok(StreamSummary {
        stream: row.try_get("stream")?,
        category: row.try_get("category")?,
        key: row.try_get("key")?,
        document: row.try_get("document")?,
        status: row.try_get("status")?,
        step: row.try_get("step")?,
        reason: row.try_get("reason")?,
        started_at_ms: row.try_get("started_at")?,
        updated_at_ms: row.try_get("updated_at")?,
        waits_on: waits::read(row.try_get("waits_on")?),
        flags: standing::read(row.try_get("flags")?),
        code: row.try_get("code")?,
    })
}
