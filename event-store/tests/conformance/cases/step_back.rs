//! A database that is set back under a running store: as when a standby takes over that lagged.

use crate::{
    place::{Place, SHARDS, Store},
    postgres::Database,
    streams::{SHARD, STARTED_MS, after, append, claim, commit, start, versions},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{AppendOutcome, ShardEpoch, StepBack, StoreAccess, StoreError, StreamAppend, open};
use std::sync::Arc;

/// Tries until the store has reconnected; what it says when it finds an older state passes.
async fn heartbeat_in_the_end(store: &Store, at_ms: i64) -> Result<()> {
    crate::place::until("the store takes writes again", async || match store.heartbeat("engine", at_ms).await {
        Ok(()) => Ok(true),
        Err(StoreError::Unavailable(_)) => Ok(false),
        Err(other) => Err(other.into()),
    })
    .await
}

fn told(store: &Store) -> Option<Arc<StepBack>> {
    store.steps_back().borrow().clone()
}

pub(crate) async fn what_was_confirmed_and_is_gone_is_noticed(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    let kept = start(claim(&store).await?, "order-1");
    commit(&store, &kept).await?;
    store.heartbeat("engine", STARTED_MS + 500).await?;
    let copy = database.copy().await?;
    heartbeat_in_the_end(&store, STARTED_MS + 600).await?;
    ensure!(told(&store).is_none(), "nothing is missing yet");
    let lost = after(&kept);
    commit(&store, &lost).await?;
    copy.takes_the_place_of(database).await?;
    heartbeat_in_the_end(&store, STARTED_MS + 9000).await?;
    let step = told(&store).context("it is noticed")?;
    assert_eq!((step.number, step.missing_appends, &step.missing_claims[..]), (1, 1, &[][..]));
    assert_eq!((step.kept_until_ms, step.lost_until_ms), (Some(STARTED_MS + 500), lost.recorded_at_ms));
    assert_eq!(versions(&store, kept.stream).await?, [1]);
    copy.drop_what_was_replaced(database).await
}

/// Whatever rests on what is gone is refused, although the database may have the very epoch it was decided under.
pub(crate) async fn after_a_step_back_nothing_is_written_before_a_new_claim(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    let copy = database.copy().await?;
    heartbeat_in_the_end(&store, 1).await?;
    commit(&store, &start(first.epoch, "order-2")).await?;
    copy.takes_the_place_of(database).await?;
    heartbeat_in_the_end(&store, 2).await?;
    assert_eq!(append(&store, &after(&first)).await?, AppendOutcome::Fenced);
    assert_eq!(append(&store, &first).await?, AppendOutcome::Committed, "what is there is said to be there");
    let epoch = claim(&store).await?;
    commit(&store, &StreamAppend { epoch, ..after(&first) }).await?;
    assert_eq!(versions(&store, first.stream).await?, [1, 2]);
    copy.drop_what_was_replaced(database).await
}

/// The database would give the same epoch a second time, to somebody else.
pub(crate) async fn an_epoch_that_was_lost_is_not_given_again(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    assert_eq!(claim(&store).await?, ShardEpoch(1));
    let copy = database.copy().await?;
    heartbeat_in_the_end(&store, 1).await?;
    for epoch in 2..=5 {
        assert_eq!(claim(&store).await?, ShardEpoch(epoch));
    }
    copy.takes_the_place_of(database).await?;
    let other = open(database.address(), StoreAccess::Write { shards: SHARDS }).await?;
    for _ in 2..=5 {
        other.claim(SHARD, "another engine").await?;
    }
    heartbeat_in_the_end(&store, 2).await?;
    assert_eq!(told(&store).context("it is noticed")?.missing_claims, [SHARD]);
    assert_eq!(append(&store, &start(ShardEpoch(5), "order-1")).await?, AppendOutcome::Fenced);
    assert_eq!(claim(&store).await?, ShardEpoch(6));
    copy.drop_what_was_replaced(database).await
}

/// Nobody lived through it: the next process has it from elsewhere.
pub(crate) async fn what_an_earlier_process_knew_is_missed(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    let kept = start(claim(&store).await?, "order-1");
    commit(&store, &kept).await?;
    store.heartbeat("engine", STARTED_MS + 500).await?;
    let before = store.confirmed().context("a heartbeat was confirmed")?;
    let copy = database.copy().await?;
    heartbeat_in_the_end(&store, STARTED_MS + 600).await?;
    let lost = after(&kept);
    commit(&store, &lost).await?;
    let known = store.confirmed().context("a heartbeat was confirmed")?;
    drop(store);
    copy.takes_the_place_of(database).await?;
    let next = (database as &dyn Place).engine().await?;
    assert_eq!(next.compare(&[before, known]).await?, [1]);
    let step = told(&next).context("it is noticed")?;
    assert_eq!((step.number, step.missing_appends), (1, 1));
    assert_eq!((step.kept_until_ms, step.lost_until_ms), (Some(STARTED_MS + 500), lost.recorded_at_ms));
    copy.drop_what_was_replaced(database).await
}

pub(crate) async fn another_store_at_the_address_is_refused(database: &Database) -> Result<()> {
    let store = (database as &dyn Place).engine().await?;
    database.run("UPDATE installation SET id = gen_random_uuid()").await?;
    database.end_sessions().await?;
    let mut answer = store.heartbeat("engine", 1).await;
    while let Err(StoreError::Unavailable(_)) = answer {
        answer = store.heartbeat("engine", 1).await;
    }
    match answer {
        Err(error @ StoreError::Unusable(_)) => ensure!(error.to_string().contains("installation"), "{error}"),
        other => anyhow::bail!("it is another store, not {other:?}"),
    }
    Ok(())
}
