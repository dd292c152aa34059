//! Until when the owners of shards attended to them.

use super::pool::Pool;
use crate::{Attendance, Attended, Error, Gap};
use sqlx::{Row as _, postgres::PgRow};

pub(super) async fn attend(pool: &Pool, all: &[Attended]) -> Result<(), Error> {
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

pub(super) async fn attendance(pool: &Pool, shard: u16) -> Result<Attendance, Error> {
    let shard = i32::from(shard);
    let until = sqlx::query(include_str!("../sql/attended_until.sql")).bind(shard);
    let until = pool.rows(until).await?;
    let gaps = sqlx::query(include_str!("../sql/gaps.sql")).bind(shard);
    let gaps = pool.rows(gaps).await?;
    let until_ms = until.first().map(|row| row.try_get("until")).transpose()?;
    Ok(Attendance { until_ms, gaps: gaps.iter().map(gap).collect::<Result<_, _>>()? })
}

fn gap(row: &PgRow) -> Result<Gap, Error> {
    Ok(Gap { began_ms: row.try_get("began_at")?, ended_ms: row.try_get("ended_at")? })
}

pub(super) async fn clock_ms(pool: &Pool) -> Result<i64, Error> {
    let query = sqlx::query(include_str!("sql/clock.sql"));
    Ok(pool.row(query).await?.try_get("now")?)
}
