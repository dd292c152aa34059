//! Streams as they are read: whole, or in outlines.

use crate::{
    Error, Portion, Row,
    stream::{Budget, check_streams, in_order},
};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};
use uuid::Uuid;

/// How a stream is read, and what that takes: lengths are known without loading what they are of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    sizes: &'static str,
    rows: &'static str,
}

pub(super) const WHOLE: Reading = Reading { sizes: include_str!("sql/size.sql"), rows: include_str!("sql/read.sql") };
pub(super) const OUTLINES: Reading =
    Reading { sizes: include_str!("sql/outline_size.sql"), rows: include_str!("sql/outlines.sql") };

pub(super) async fn rows(readers: &SqlitePool, reading: Reading, stream: Uuid) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query(reading.rows).bind(stream).fetch_all(readers).await?;
    rows.iter().map(read_row).collect()
}

pub(super) async fn within(
    readers: &SqlitePool,
    reading: Reading,
    streams: &[Uuid],
    max_bytes: u64,
) -> Result<Portion, Error> {
    check_streams(streams)?;
    let mut left = in_order(streams);
    let mut budget = Budget::of(max_bytes);
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
    Ok(Portion { rows: all, left: left.split_off(reached) })
}

fn read_row(row: &SqliteRow) -> Result<Row, Error> {
    let version: i64 = row.try_get("version")?;
    Ok(Row {
        version: u32::try_from(version).map_err(|_| Error::Refused(format!("a stored version is {version}")))?,
        recorded_at_ms: row.try_get("recorded_at")?,
        append_id: row.try_get("append_id")?,
        payload: row.try_get("payload")?,
    })
}
