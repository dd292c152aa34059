//! Until when shards were attended to.

use crate::{
    place::Place,
    streams::{STARTED_MS, commit, start_in},
};
use anyhow::Result;
use saga_event_store::{AttendanceGap, AttendanceRecord, ShardAttendance, ShardEpoch};

fn attended(epoch: ShardEpoch, until_ms: i64, gaps: &[(i64, i64)]) -> AttendanceRecord {
    let gaps =
        gaps.iter().map(|(began_ms, ended_ms)| AttendanceGap { began_ms: *began_ms, ended_ms: *ended_ms }).collect();
    AttendanceRecord { shard: 1, epoch, until_ms, gaps }
}

fn on_record(until_ms: i64, gaps: &[(i64, i64)]) -> ShardAttendance {
    ShardAttendance { until_ms: Some(until_ms), gaps: attended(ShardEpoch(0), 0, gaps).gaps }
}

pub(crate) async fn a_new_owner_learns_until_when_its_shard_was_attended_to(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = store.claim(1, "one").await?;
    assert_eq!(store.attendance(1).await?, ShardAttendance::default());
    store.attend(&[attended(epoch, 1_000, &[])]).await?;
    store.attend(&[attended(epoch, 3_000, &[(1_500, 2_000)])]).await?;
    // A repeat, and a word that comes late.
    store.attend(&[attended(epoch, 3_000, &[(1_500, 2_000)])]).await?;
    store.attend(&[attended(epoch, 2_500, &[])]).await?;
    drop(store);
    let store = place.engine().await?;
    assert_eq!(store.attendance(1).await?, on_record(3_000, &[(1_500, 2_000)]));
    assert_eq!(store.attendance(0).await?, ShardAttendance::default());
    Ok(())
}

pub(crate) async fn whoever_lost_a_shard_does_not_attend_to_it(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let lost = store.claim(1, "one").await?;
    store.attend(&[attended(lost, 1_000, &[])]).await?;
    store.claim(1, "other").await?;
    store.attend(&[attended(lost, 9_000, &[(2_000, 8_000)])]).await?;
    assert_eq!(store.attendance(1).await?, on_record(1_000, &[]));
    Ok(())
}

pub(crate) async fn gaps_that_no_open_stream_lived_through_are_forgotten(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = store.claim(1, "one").await?;
    store.attend(&[attended(epoch, 20, &[(10, 20)])]).await?;
    commit(&store, &start_in(1, epoch, "open")).await?;
    let at = |after: i64| STARTED_MS + after;
    let (first, second) = ((at(10), at(20)), (at(25), at(26)));
    store.attend(&[attended(epoch, at(20), &[first])]).await?;
    store.attend(&[attended(epoch, at(30), &[second])]).await?;
    assert_eq!(store.attendance(1).await?, on_record(at(30), &[first, second]));
    Ok(())
}

pub(crate) async fn the_store_has_a_clock(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let (first, second) = (store.clock_ms().await?, store.clock_ms().await?);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    assert!(first <= second && second - i64::try_from(since.as_millis())? < 60_000, "{first} {second}");
    Ok(())
}
