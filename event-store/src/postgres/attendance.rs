//! Reports of owners about their shards.

use super::pool::SessionPool;
use crate::{AttendanceRecord, StoreError};

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
