//! Until when the owners of shards attended to them.

use crate::{Attendance, Attended, Error, Gap};
use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};

/// One statement after the other: each is true by itself, and gaps come before the end that shows them to be over.
pub(super) async fn attend(pool: &SqlitePool, all: &[Attended]) -> Result<(), Error> {
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

async fn keep_gap(pool: &SqlitePool, one: &Attended, gap: &Gap) -> Result<(), Error> {
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

pub(super) async fn attendance(pool: &SqlitePool, shard: u16) -> Result<Attendance, Error> {
    let until =
        sqlx::query(include_str!("../sql/attended_until.sql")).bind(i64::from(shard)).fetch_optional(pool).await?;
    let gaps = sqlx::query(include_str!("../sql/gaps.sql")).bind(i64::from(shard)).fetch_all(pool).await?;
    let until_ms = until.map(|row| row.try_get("until")).transpose()?;
    Ok(Attendance { until_ms, gaps: gaps.iter().map(gap).collect::<Result<_, _>>()? })
}

fn gap(row: &SqliteRow) -> Result<Gap, Error> {
    Ok(Gap { began_ms: row.try_get("began_at")?, ended_ms: row.try_get("ended_at")? })
}

pub(super) async fn clock_ms(pool: &SqlitePool) -> Result<i64, Error> {
    Ok(sqlx::query(include_str!("sql/clock.sql")).fetch_one(pool).await?.try_get("now")?)
}
