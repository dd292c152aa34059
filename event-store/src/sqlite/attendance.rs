//! Reports of owners about their shards.

use crate::{AttendanceGap, AttendanceRecord, StoreError};
use sqlx::SqlitePool;

/// Runs one statement after the other without a common transaction. Each is correct by itself, and a gap is stored
/// before the report that ends it.
pub(super) async fn attend(pool: &SqlitePool, all: &[AttendanceRecord]) -> Result<(), StoreError> {
    for one in all {
        for gap in one.gaps.iter().filter(|gap| gap.ended_ms > gap.began_ms) {
            keep_gap(pool, one, gap).await?;
        }
        sqlx::query(include_str!("sql/attend.sql"))
            .bind(i64::from(one.shard))
            .bind(one.epoch.0)
            .bind(one.until_ms)
            .execute(pool)
            .await?;
    }
    Ok(())
}

async fn keep_gap(pool: &SqlitePool, one: &AttendanceRecord, gap: &AttendanceGap) -> Result<(), StoreError> {
    let shard = i64::from(one.shard);
    sqlx::query(include_str!("sql/outlived_gaps.sql")).bind(shard).bind(gap.began_ms).execute(pool).await?;
    sqlx::query(include_str!("sql/keep_gap.sql"))
        .bind(shard)
        .bind(one.epoch.0)
        .bind(gap.began_ms)
        .bind(gap.ended_ms)
        .execute(pool)
        .await?;
    Ok(())
}
