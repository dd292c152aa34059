//! How the tables of a server are divided by the time of starts.

use crate::{
    place::{Place, Store},
    postgres::Database,
    streams::{CATEGORY, after, claim, commit, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{ShardEpoch, StoreError, StreamAppend, StreamFilter};
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
