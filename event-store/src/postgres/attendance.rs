//! Until when the owners of shards attended to them.

use crate::{Attendance, Attended, Error, Gap};
use sqlx::{PgPool, Row as _, postgres::PgRow};

pub(super) async fn attend(pool: &PgPool, all: &[Attended]) -> Result<(), Error> {
    let gaps = || all.iter().flat_map(|one| one.gaps.iter().map(|gap| (i32::from(one.shard), gap)));
    sqlx::query(include_str!("sql/attend.sql"))
        .bind(all.iter().map(|one| i32::from(one.shard)).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.epoch.0).collect::<Vec<_>>())
        .bind(all.iter().map(|one| one.until_ms).collect::<Vec<_>>())
        .bind(gaps().map(|(shard, _)| shard).collect::<Vec<_>>())
        .bind(gaps().map(|(_, gap)| gap.began_ms).collect::<Vec<_>>())
        .bind(gaps().map(|(_, gap)| gap.ended_ms).collect::<Vec<_>>())
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn attendance(pool: &PgPool, shard: u16) -> Result<Attendance, Error> {
    let until = sqlx::query("SELECT until FROM shard_attendance WHERE shard = $1")
        .bind(i32::from(shard))
        .fetch_optional(pool)
        .await?;
    let gaps = sqlx::query("SELECT began_at, ended_at FROM shard_gaps WHERE shard = $1 ORDER BY began_at")
        .bind(i32::from(shard))
        .fetch_all(pool)
        .await?;
    let until_ms = until.map(|row| row.try_get("until")).transpose()?;
    Ok(Attendance { until_ms, gaps: gaps.iter().map(gap).collect::<Result<_, _>>()? })
}

fn gap(row: &PgRow) -> Result<Gap, Error> {
    Ok(Gap { began_ms: row.try_get("began_at")?, ended_ms: row.try_get("ended_at")? })
}

pub(super) async fn clock_ms(pool: &PgPool) -> Result<i64, Error> {
    let row =
        sqlx::query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now").fetch_one(pool).await?;
    Ok(row.try_get("now")?)
}
