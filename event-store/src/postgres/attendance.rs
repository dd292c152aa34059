//! Until when the owners of shards attended to them.

use super::pool::SessionPool;
use crate::{AttendanceGap, AttendanceRecord, ShardAttendance, StoreError};
use sqlx::{Row as _, postgres::PgRow};

pub(super) async fn attend(pool: &SessionPool, all: &[AttendanceRecord]) -> Result<(), StoreError> {
    let gaps = || all.iter().flat_map(|one| one.gaps.iter().map(|gap| (i32::from(one.shard), gap)));
    let query = sqlx::query(include_str!("sql/attend.sql"))
        .bind(all.iter().map(|one| i32::from(one.shard)).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.epoch.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.until_ms).collect::<Vec<_>>())
        .bind(gaps().map(|(shard, _)| shard).collect::<Vec<_>>())
        .bind(gaps().map(|(_, gap)| gap.began_ms).collect::<Vec<_>>())
        .bind(gaps().map(|(_, gap)| gap.ended_ms).collect::<Vec<_>>());
    pool.rows(query).await.map(drop)
}

pub(super) async fn attendance(pool: &SessionPool, shard: u16) -> Result<ShardAttendance, StoreError> {
    let shard = i32::from(shard);
    let until = sqlx::query("SELECT until FROM shard_attendance WHERE shard = $1").bind(shard);
    let until = pool.rows(until).await?;
    let gaps = sqlx::query("SELECT began_at, ended_at FROM shard_gaps WHERE shard = $1 ORDER BY began_at").bind(shard);
    let gaps = pool.rows(gaps).await?;
    let until_ms = until.first().map(|row| row.try_get("until")).transpose()?;
    Ok(ShardAttendance { until_ms, gaps: gaps.iter().map(gap).collect::<Result<_, _>>()? })
}

fn gap(row: &PgRow) -> Result<AttendanceGap, StoreError> {
    Ok(AttendanceGap { began_ms: row.try_get("began_at")?, ended_ms: row.try_get("ended_at")? })
}

pub(super) async fn clock_ms(pool: &SessionPool) -> Result<i64, StoreError> {
    let query = sqlx::query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");
    Ok(pool.row(query).await?.try_get("now")?)
}
