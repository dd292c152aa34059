//! Reads of streams with payloads or with outlines.

use crate::{
    StoreError, StreamBatch, StreamRow,
    backend::QueryBuilder,
    limits::check_streams,
    portion::{ReadBudget, in_order},
    rows,
};
use sqlx::{Row as _, SqlitePool};
use uuid::Uuid;

/// The statements that read a stream and measure it first. SQLite knows the length of a payload without loading it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadStatements {
    sizes: &'static str,
    rows: &'static str,
}

pub(super) const WHOLE: ReadStatements =
    ReadStatements { sizes: include_str!("sql/size.sql"), rows: include_str!("sql/read.sql") };
pub(super) const OUTLINES: ReadStatements =
    ReadStatements { sizes: include_str!("sql/outline_size.sql"), rows: include_str!("sql/outlines.sql") };

pub(super) async fn stream(
    readers: &SqlitePool,
    reading: ReadStatements,
    stream: Uuid,
) -> Result<Vec<StreamRow>, StoreError> {
    QueryBuilder::new(reading.rows).with(stream).all(readers, rows::row).await
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
        all.extend(self::stream(readers, reading, *stream).await?.into_iter().map(|row| (*stream, row)));
        reached += 1;
    }
    Ok(StreamBatch { rows: all, left: left.split_off(reached) })
}
