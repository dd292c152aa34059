//! The feed beside transactions that end in another order than they began.

use crate::{
    cases::feed::{ROOM, each_once_and_in_order, follow, follow_now, names, settled},
    place::{Place, Store},
    postgres::Database,
    streams::{CATEGORY, STARTED_MS, after, claim, claim_all, commit, commit_all, next_id, start, start_in},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{FeedPosition, FeedRow, ShardEpoch, StreamAppend};
use sqlx::{Connection as _, PgConnection};
use std::sync::Arc;
use uuid::Uuid;

async fn engine(database: &Database) -> Result<Store> {
    Ok((database as &dyn Place).engine().await?)
}

/// Appends the first row of a stream of shard 7 in a transaction that stays open.
async fn held_append(database: &Database, epoch: ShardEpoch, key: &str) -> Result<(PgConnection, Uuid)> {
    let (mut session, stream) = (database.connect().await?, next_id(7));
    sqlx::raw_sql("BEGIN").execute(&mut session).await?;
    let written = sqlx::query(
        "SELECT count(*) FROM append_batch(ARRAY[7], ARRAY[$1], ARRAY[gen_random_uuid()], ARRAY[$2], ARRAY[1], ARRAY[$3],
            ARRAY['late'::bytea], ARRAY[$4], ARRAY[$5], ARRAY[sha256('late'::bytea)], ARRAY['d0'], ARRAY['running'], ARRAY[true],
            ARRAY[NULL::text], ARRAY[NULL::text], ARRAY[$3], ARRAY[NULL::text], ARRAY[NULL::bytea], ARRAY[NULL::text],
            ARRAY[NULL::text], ARRAY[NULL::bytea], ARRAY[$4], ARRAY[$5], $2, $2, '{}', '{}', '{}', '{}', '{}')",
    );
    let written = written.bind(epoch.0).bind(stream).bind(STARTED_MS).bind(CATEGORY.to_owned()).bind(key.to_owned());
    written.execute(&mut session).await?;
    Ok((session, stream))
}

async fn commit_late(mut session: PgConnection) -> Result<()> {
    sqlx::raw_sql("COMMIT").execute(&mut session).await?;
    Ok(session.close().await?)
}

/// Eight transactions stay open while four writers commit and a reader follows; they end in another order.
pub(crate) async fn rows_that_are_committed_late_are_neither_missed_nor_doubled(database: &Database) -> Result<()> {
    const ROUNDS: usize = 30;
    let store = engine(database).await?;
    let epochs = claim_all(&store).await?;
    let mut late = Vec::new();
    let mut seen: Vec<FeedRow> = Vec::new();
    let mut rows: Vec<_> =
        (0..4_u16).map(|shard| start_in(shard, epochs[usize::from(shard)], &format!("{shard}"))).collect();
    for round in 0..ROUNDS {
        if round < 8 {
            late.push(held_append(database, epochs[7], &format!("late-{round}")).await?);
        } else if round % 2 == 0
            && let Some((session, _)) = late.pop()
        {
            commit_late(session).await?;
        }
        commit_beside(&store, &rows).await?;
        rows = rows.iter().map(after).collect();
        let at = seen.last().map_or(FeedPosition::START, |row| row.position);
        seen.extend(follow_now(&store, at, 3).await?);
        each_once_and_in_order(&seen)?;
    }
    for (session, _) in late.drain(..) {
        commit_late(session).await?;
    }
    let at = seen.last().map_or(FeedPosition::START, |row| row.position);
    seen.extend(follow(&store, at, 3).await?);
    each_once_and_in_order(&seen)?;
    assert_eq!(seen.len(), 4 * ROUNDS + 8);
    assert_eq!(follow(&store, FeedPosition::START, 1_000).await?, seen);
    Ok(())
}

/// Commits each row alone, all at the same time.
async fn commit_beside(store: &Store, rows: &[StreamAppend]) -> Result<()> {
    let mut writers = tokio::task::JoinSet::new();
    for row in rows {
        let (store, row) = (Arc::clone(store), row.clone());
        writers.spawn(async move { commit(&store, &row).await });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}

pub(crate) async fn a_transaction_of_anybody_holds_the_feed_back_and_is_told(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    settled(&store).await?;
    let mut session = database.connect().await?;
    sqlx::raw_sql("BEGIN; SELECT pg_current_xact_id()").execute(&mut session).await?;
    commit_all(&store, &[after(&first)]).await?;
    let page = store.feed(FeedPosition::START, 10, ROOM).await?;
    assert_eq!(names(&page.rows), [(first.stream, 1)]);
    assert_eq!(page.extent.held_since_ms, Some(first.recorded_at_ms + 1_000));
    sqlx::raw_sql("ROLLBACK").execute(&mut session).await?;
    session.close().await?;
    assert_eq!(names(&follow(&store, page.rows[0].position, 10).await?), [(first.stream, 2)]);
    Ok(())
}

/// As after a dump that was restored on another server.
pub(crate) async fn on_a_server_with_lower_transaction_ids_an_era_begins(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let second = after(&first);
    commit(&store, &second).await?;
    database.run("UPDATE commits SET xid = xid + 1000000000").await?;
    database.end_sessions().await?;
    // Whoever only reads does not wait for the first writer.
    let reader = (database as &dyn Place).reader().await?;
    let before = follow(&reader, FeedPosition::START, 1).await?;
    assert_eq!(names(&before), [(first.stream, 1), (first.stream, 2)]);
    drop(store);
    let store = engine(database).await?;
    let third = after(&second);
    commit(&store, &third).await?;
    let others: Vec<_> = (0..4)
        .map(|shard| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let epoch = store.claim(shard, "engine").await?;
                commit(&store, &start_in(shard, epoch, &format!("other-{shard}"))).await
            })
        })
        .collect();
    for other in others {
        other.await??;
    }
    assert_eq!(database.number("SELECT era::bigint FROM feed_state").await?, 2, "it is raised once");
    let last = before.last().context("the reader has read")?.position;
    let rest = follow(&store, last, 2).await?;
    assert_eq!((names(&rest)[0], rest.len()), ((first.stream, 3), 5));
    let all = follow(&store, FeedPosition::START, 2).await?;
    each_once_and_in_order(&all)?;
    ensure!(all[2..] == rest && all.len() == 7);
    Ok(())
}

/// The rows of a store that was written by a build without the feed.
pub(crate) async fn rows_from_before_the_feed_are_in_it(database: &Database) -> Result<()> {
    let store = engine(database).await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), start(epoch, "order-2"));
    commit_all(&store, &[one.clone(), two.clone()]).await?;
    commit_all(&store, &[after(&one), after(&two)]).await?;
    database.run(BEFORE_THE_FEED).await?;
    drop(store);
    let store = engine(database).await?;
    commit(&store, &after(&after(&one))).await?;
    let all = follow(&store, FeedPosition::START, 2).await?;
    each_once_and_in_order(&all)?;
    let (a, b) = (one.stream, two.stream);
    assert_eq!(names(&all), [(a, 1), (a, 2), (b, 1), (b, 2), (a, 3)]);
    Ok(())
}

const BEFORE_THE_FEED: &str = "DROP TABLE commits, feed_state; DROP FUNCTION join_feed, feed_era, feed_horizon;
    DELETE FROM schema_versions WHERE version = 2";
