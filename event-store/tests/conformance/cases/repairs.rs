//! Rows of the read model that were lost or changed past the store, and are written from the rows of their streams.

use crate::{
    place::{Place, Store},
    streams::{SHARD, after, all, claim, commit, showing, start},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{
    MAX_KEY_BYTES, RepairOutcome, StoreError, StreamAppend, StreamFilter, StreamRepair, SummaryUpdate, WaitFilter,
    WaitTarget,
};
use std::sync::Arc;

/// What the rows up to this one say, the last of which changed the read model.
fn repair_of(last: &StreamAppend) -> Result<StreamRepair> {
    Ok(StreamRepair {
        shard: last.shard,
        stream: last.stream,
        version: last.version,
        category: last.category.clone(),
        key: last.key.clone(),
        summary: last.summary.clone().context("the last row changes the read model")?,
        updated_at_ms: last.recorded_at_ms,
        erased_at_ms: None,
    })
}

/// A row after which the stream waits, with all that the read model can say of it.
fn waiting(previous: &StreamAppend) -> Result<StreamAppend> {
    let append = showing(after(previous), "waiting");
    let summary = SummaryUpdate {
        step: Some("charge".into()),
        reason: Some("the breaker of payments is open".into()),
        waits_on: vec![WaitTarget::new("rate", "payments")?, WaitTarget::new("breaker", "payments")?],
        flags: vec!["overdue".into()],
        code: Some("http.503".into()),
        ..append.summary.context("it changes the read model")?
    };
    Ok(StreamAppend { summary: Some(summary), ..append })
}

/// A stream that waits, beside another one.
async fn waiting_stream(store: &Store) -> Result<StreamAppend> {
    let epoch = claim(store).await?;
    let (first, other) = (start(epoch, "order-1"), start(epoch, "order-2"));
    commit(store, &first).await?;
    commit(store, &other).await?;
    let second = waiting(&first)?;
    commit(store, &second).await?;
    Ok(second)
}

async fn found_by_its_wait(store: &Store) -> Result<usize> {
    let breaker = WaitFilter { kind: Some("breaker".into()), name: Some("payments".into()) };
    let filter = StreamFilter { waiting: Some(breaker), ..all() };
    Ok(store.list(&filter).await?.len())
}

pub(crate) async fn a_row_that_is_missing_is_written_from_the_rows(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let last = waiting_stream(&store).await?;
    let before = store.list(&all()).await?;
    place.run("DELETE FROM streams WHERE key = 'order-1'").await?;
    assert_eq!(store.summary(last.stream).await?, None);
    for _ in 0..2 {
        assert_eq!(store.repair(&repair_of(&last)?).await?, RepairOutcome::Repaired);
        assert_eq!(store.list(&all()).await?, before);
    }
    assert_eq!(found_by_its_wait(&store).await?, 1);
    assert_eq!(store.open_streams(SHARD, None, 10).await?.len(), 2);
    assert_eq!(store.waiting_counts().await?.len(), 2);
    Ok(())
}

pub(crate) async fn a_row_that_says_something_else_is_written_as_the_rows_say(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let last = waiting_stream(&store).await?;
    let before = store.list(&all()).await?;
    place
        .run(
            "UPDATE streams SET category = 'x', document = 'x', status = 'completed', open = false, step = NULL, \
             reason = 'x', started_at = 1, updated_at = 1, flags = NULL, code = NULL, erased_at = 7 \
             WHERE key = 'order-1'",
        )
        .await?;
    ensure!(store.list(&all()).await? != before);
    assert_eq!(store.open_streams(SHARD, None, 10).await?.len(), 1, "no engine goes on with it");
    assert_eq!(store.repair(&repair_of(&last)?).await?, RepairOutcome::Repaired);
    assert_eq!(store.list(&all()).await?, before);
    assert_eq!(store.open_streams(SHARD, None, 10).await?.len(), 2);
    // What it waits for now is another thing than the read model has.
    let ended = showing(after(&last), "completed");
    commit(&store, &StreamAppend { summary: None, ..ended.clone() }).await?;
    assert_eq!(found_by_its_wait(&store).await?, 1);
    let erased = StreamRepair { erased_at_ms: Some(9), ..repair_of(&ended)? };
    assert_eq!(store.repair(&erased).await?, RepairOutcome::Repaired);
    assert_eq!(found_by_its_wait(&store).await?, 0);
    let shown = store.summary(last.stream).await?.context("it is in the read model")?;
    assert_eq!((shown.status.as_str(), shown.erased_at_ms, shown.waits_on.len()), ("completed", Some(9), 0));
    Ok(())
}

pub(crate) async fn a_repair_of_rows_that_went_on_changes_nothing(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let last = waiting_stream(&store).await?;
    let old = repair_of(&last)?;
    let ended = showing(after(&last), "completed");
    commit(&store, &ended).await?;
    let before = store.list(&all()).await?;
    assert_eq!(store.repair(&old).await?, RepairOutcome::Outdated);
    assert_eq!(store.repair(&StreamRepair { version: 9, ..old.clone() }).await?, RepairOutcome::Outdated);
    assert_eq!(store.list(&all()).await?, before);
    place.run("DELETE FROM journal WHERE version < 9").await?;
    assert_eq!(store.repair(&old).await?, RepairOutcome::Outdated, "a stream without rows is not shown");
    assert_eq!(store.list(&all()).await?, before);
    Ok(())
}

/// Rows that are appended while the row before them is repaired.
const ROUNDS: u32 = 40;

pub(crate) async fn of_a_repair_and_an_append_at_once_the_append_is_shown(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let mut last = start(claim(&store).await?, "order-1");
    commit(&store, &last).await?;
    for round in 0..ROUNDS {
        let next = showing(after(&last), &format!("status {round}"));
        let (repair, appended) = (repair_of(&last)?, Arc::clone(&store));
        let row = next.clone();
        let appending = tokio::spawn(async move { commit(&appended, &row).await });
        // One of both is first: in every other round the append has time to be.
        if round % 2 == 1 {
            tokio::task::yield_now().await;
        }
        store.repair(&repair).await?;
        appending.await??;
        let shown = store.summary(next.stream).await?.context("it is in the read model")?;
        assert_eq!((shown.status, shown.updated_at_ms), (format!("status {round}"), next.recorded_at_ms));
        last = next;
    }
    Ok(())
}

pub(crate) async fn what_breaks_a_limit_of_a_repair_is_refused(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let last = waiting_stream(&store).await?;
    let before = store.list(&all()).await?;
    let good = repair_of(&last)?;
    let flagged = SummaryUpdate { flags: vec!["a,b".into()], ..good.summary.clone() };
    for bad in [
        StreamRepair { shard: 4_000, ..good.clone() },
        StreamRepair { key: "x".repeat(MAX_KEY_BYTES + 1), ..good.clone() },
        StreamRepair { category: String::new(), ..good.clone() },
        StreamRepair { key: "a\0".into(), ..good.clone() },
        StreamRepair { summary: flagged, ..good.clone() },
    ] {
        let answer = store.repair(&bad).await;
        ensure!(matches!(answer, Err(StoreError::Limit(_))), "{answer:?}");
    }
    ensure!(place.reader().await?.repair(&good).await.is_err(), "a reader repairs nothing");
    assert_eq!(store.list(&all()).await?, before);
    Ok(())
}
