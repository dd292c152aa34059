//! Streams as they are read: whole, or in outlines.

use crate::{
    StoreError, StreamBatch, StreamRow,
    stream::{ReadBudget, check_streams, in_order},
};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

/// How a stream is read, and what that takes: lengths are known without loading what they are of.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadStatements {
    sizes: &'static str,
    rows: &'static str,
}

pub(super) const WHOLE: ReadStatements =
    ReadStatements { sizes: include_str!("sql/size.sql"), rows: include_str!("sql/read.sql") };
pub(super) const OUTLINES: ReadStatements =
    ReadStatements { sizes: include_str!("sql/outline_size.sql"), rows: include_str!("sql/outlines.sql") };

pub(super) async fn rows(
    readers: &SqlitePool,
    reading: ReadStatements,
    stream: Uuid,
) -> Result<Vec<StreamRow>, StoreError> {
    let rows = sqlx::query(reading.rows).bind(stream).fetch_all(readers).await?;
    rows.iter().map(read_row).collect()
}

pub(super) async fn within(
    readers: &SqlitePool,
    reading: ReadStatements,
    streams: &[Uuid],
    max_bytes: u64,
) -> Result<StreamBatch, StoreError> {
    check_streams(streams)?;
    let mut left = in_order(streams);
    let mut budget = ReadBudget::of(max_bytes);
    let mut all = Vec::new();
    let mut reached = 0;
    for stream in &left {
        let size = sqlx::query(reading.sizes).bind(*stream).fetch_one(readers).await?;
        if !budget.takes(size.try_get("bytes")?) {
            break;
        }
        all.extend(rows(readers, reading, *stream).await?.into_iter().map(|row| (*stream, row)));
        reached += 1;
    }
    Ok(StreamBatch { rows: all, left: left.split_off(reached) })
}

fn read_row(row: &SqliteRow) -> Result<StreamRow, StoreError> {
    let version: i64 = row.try_get("version")?;
    Ok(StreamRow {
        version: u32::try_from(version).map_err(|_| StoreError::Refused(format!("a stored version is {version}")))?,
        recorded_at_ms: row.try_get("recorded_at")?,
        append_id: row.try_get("append_id")?,
        payload: row.try_get("payload")?,
    })
}
