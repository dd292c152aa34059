//! How the tables of a server are divided by the time of starts.

use crate::{
    place::{Place, Store},
    postgres::Database,
    streams::{CATEGORY, after, claim, commit, showing, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{
    ArchiveContent, ArchiveState, DetachOutcome, ShardEpoch, StartPeriod, StoreError, StreamAppend, StreamFilter,
};
use sqlx::Connection as _;
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;

async fn engine(database: &Database) -> Result<Store, StoreError> {
    (database as &dyn Place).engine().await
}

/// The first row of a stream that starts at this time.
fn starting(epoch: ShardEpoch, at_ms: i64, key: &str) -> StreamAppend {
    let id = (u128::from(at_ms.unsigned_abs()) << 80) | (7 << 76) | (1 << 63);
    StreamAppend { stream: Uuid::from_u128(id), ..start(epoch, key) }
}

async fn end_ms(database: &Database) -> Result<i64> {
    database.number("SELECT max(to_ms) FROM partitions").await
}

pub(crate) async fn streams_of_every_time_have_a_place(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let end = end_ms(database).await?;
    let times = [DAY_MS, end - 40 * DAY_MS, end - 1, end, end + 900 * DAY_MS];
    let rows: Vec<StreamAppend> =
        times.iter().map(|at_ms| starting(epoch, *at_ms, &format!("order-{at_ms}"))).collect();
    for row in &rows {
        commit(&store, row).await?;
        commit(&store, &after(row)).await?;
        ensure!(versions(&store, row.stream).await? == [1, 2]);
    }
    let newest_first: Vec<Uuid> = rows.iter().rev().map(|row| row.stream).collect();
    let filter = StreamFilter { category: Some(CATEGORY.into()), limit: 100, ..StreamFilter::default() };
    let listed: Vec<Uuid> = store.list(&filter).await?.iter().map(|line| line.stream).collect();
    assert_eq!(listed, newest_first);
    Ok(())
}

pub(crate) async fn partitions_are_created_in_advance_and_take_their_rows(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let end = end_ms(database).await?;
    let (near, far) = (starting(epoch, end + DAY_MS, "near"), starting(epoch, end + 90 * DAY_MS, "far"));
    commit(&store, &near).await?;
    commit(&store, &far).await?;
    ensure!(store.add_partitions(2 * DAY_MS, end).await? == 0, "there are enough of them");
    ensure!(store.add_partitions(2 * DAY_MS, end + 6 * DAY_MS).await? >= 3);
    ensure!(store.add_partitions(2 * DAY_MS, end + 6 * DAY_MS).await? == 0, "a repeat changes nothing");
    let gaps = "SELECT count(*) FROM partitions p WHERE p.to_ms < (SELECT max(to_ms) FROM partitions)
                AND NOT EXISTS (SELECT FROM partitions n WHERE n.from_ms = p.to_ms)";
    ensure!(database.number(gaps).await? == 0);
    ensure!(database.number("SELECT count(*) FROM journal_ahead").await? == 1);
    ensure!(database.number("SELECT count(*) FROM streams_ahead").await? == 1);
    for row in [&near, &far] {
        commit(&store, &after(row)).await?;
        ensure!(versions(&store, row.stream).await? == [1, 2]);
    }
    Ok(())
}

/// Whoever reads for long does not hold up appends for long: the creation gives up, and is tried again later.
pub(crate) async fn a_table_in_use_puts_the_creation_of_partitions_off(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let end = end_ms(database).await?;
    let mut reader = database.connect().await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE journal IN ACCESS SHARE MODE").execute(&mut reader).await?;
    let refused = store.add_partitions(DAY_MS, end + DAY_MS).await;
    ensure!(matches!(&refused, Err(error) if error.is_transient()), "{refused:?}");
    reader.close().await?;
    ensure!(store.add_partitions(DAY_MS, end + DAY_MS).await? == 1);
    Ok(())
}

/// A partition of the past with its period, and the streams that start in it.
async fn past_partition(database: &Database, store: &Store) -> Result<StartPeriod> {
    let from_ms = database.number("SELECT min(from_ms) FROM partitions").await?;
    let period = store.partitions().await?.into_iter().find(|it| it.from_ms == from_ms);
    period.ok_or_else(|| anyhow::anyhow!("there are partitions"))
}

async fn ended(store: &Store, epoch: ShardEpoch, at_ms: i64, key: &str) -> Result<StreamAppend> {
    let first = starting(epoch, at_ms, key);
    commit(store, &first).await?;
    let last = showing(after(&first), "completed");
    commit(store, &last).await?;
    Ok(last)
}

fn archived(newest_ms: i64) -> ArchiveContent {
    let file = Some("a.saga.zst".into());
    ArchiveContent { file, streams: 1, rows: 2, newest_ms: Some(newest_ms), ..ArchiveContent::default() }
}

pub(crate) async fn a_partition_leaves_whole_but_for_what_stays(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let period = past_partition(database, &store).await?;
    let gone = ended(&store, epoch, period.from_ms, "gone").await?;
    let open = starting(epoch, period.from_ms + 1, "open");
    let beyond = starting(epoch, period.to_ms, "beyond");
    commit(&store, &open).await?;
    commit(&store, &beyond).await?;
    let number = store.begin_archive(period, 7).await?;
    store.watch_partition(period).await?;
    // What stays may go on meanwhile.
    commit(&store, &after(&open)).await?;
    let done = store.detach_partition(number, period, &[open.stream], &archived(1), 8).await?;
    ensure!(done == DetachOutcome::Done, "{done:?}");
    ensure!(versions(&store, gone.stream).await?.is_empty() && store.summary(gone.stream).await?.is_none());
    ensure!(versions(&store, open.stream).await? == [1, 2] && store.summary(open.stream).await?.is_some());
    ensure!(versions(&store, beyond.stream).await? == [1]);
    ensure!(!store.partitions().await?.contains(&period));
    ensure!(store.archives().await?[0].state == ArchiveState::Done);
    // Its time has its place in the partition before.
    let late = starting(epoch, period.from_ms + 2, "late");
    commit(&store, &late).await?;
    commit(&store, &after(&after(&open))).await?;
    ensure!(database.number("SELECT count(*) FROM journal_old").await? == 4);
    let again = store.detach_partition(number, period, &[], &archived(1), 8).await?;
    ensure!(again == DetachOutcome::Lost, "{again:?}");
    Ok(())
}

pub(crate) async fn a_partition_stays_if_what_was_to_leave_has_changed(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let period = past_partition(database, &store).await?;
    let one = ended(&store, epoch, period.from_ms, "one").await?;
    let number = store.begin_archive(period, 7).await?;
    store.watch_partition(period).await?;
    commit(&store, &after(&one)).await?;
    let changed = store.detach_partition(number, period, &[], &archived(1), 8).await?;
    ensure!(changed == DetachOutcome::Changed, "{changed:?}");
    ensure!(versions(&store, one.stream).await? == [1, 2, 3]);
    ensure!(store.archives().await?[0].state == ArchiveState::Writing);
    store.watch_partition(period).await?;
    let done = store.detach_partition(number, period, &[], &archived(1), 8).await?;
    ensure!(done == DetachOutcome::Done, "{done:?}");
    Ok(())
}

pub(crate) async fn an_empty_partition_leaves_without_a_record(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let period = past_partition(database, &store).await?;
    let number = store.begin_archive(period, 7).await?;
    store.watch_partition(period).await?;
    let done = store.detach_partition(number, period, &[], &ArchiveContent::default(), 8).await?;
    ensure!(done == DetachOutcome::Done, "{done:?}");
    ensure!(!store.partitions().await?.contains(&period) && store.archives().await?.is_empty());
    Ok(())
}

/// The new bound of the partition before needs no scan, and the lock is not waited for at length.
pub(crate) async fn a_table_in_use_puts_the_removal_of_a_partition_off(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let period = past_partition(database, &store).await?;
    let number = store.begin_archive(period, 7).await?;
    store.watch_partition(period).await?;
    let mut reader = database.connect().await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE journal IN ACCESS SHARE MODE").execute(&mut reader).await?;
    let refused = store.detach_partition(number, period, &[], &archived(1), 8).await;
    ensure!(matches!(&refused, Err(error) if error.is_transient()), "{refused:?}");
    reader.close().await?;
    ensure!(store.detach_partition(number, period, &[], &archived(1), 8).await? == DetachOutcome::Done);
    Ok(())
}

pub(crate) async fn one_process_at_a_time_archives(database: &Database) -> Result<()> {
    let (one, other) = (engine(database).await?, engine(database).await?);
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    ensure!(one.lease_archiving(first).await? && one.lease_archiving(first).await?);
    ensure!(!other.lease_archiving(second).await?);
    other.release_archiving(second).await?;
    ensure!(!other.lease_archiving(second).await?, "only the holder gives it back");
    (database as &dyn Place).run("UPDATE archive_lease SET until = now() - interval '1 second'").await?;
    ensure!(other.lease_archiving(second).await?, "a lease ends by itself");
    ensure!(!one.lease_archiving(first).await?);
    other.release_archiving(second).await?;
    ensure!(one.lease_archiving(first).await?);
    Ok(())
}
