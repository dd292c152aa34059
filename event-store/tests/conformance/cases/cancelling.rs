//! Futures that are dropped half-way, wherever that is.

use crate::{
    place::{Place, Store, until},
    streams::{SHARD, after, append, claim, commit, commit_all, showing, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, StreamAppend};
use std::future::{Future, poll_fn};
use std::{pin::pin, task::Poll};

/// How many futures of a kind are dropped, each after one of six numbers of looks.
const MOMENTS: usize = 60;

/// Drives `future` until it was polled `polls` times, then drops it. Whether it came to its end.
pub(crate) async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        if future.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        if polled > polls { Poll::Ready(false) } else { Poll::Pending }
    })
    .await
}

pub(crate) async fn a_dropped_append_is_written_whole_or_not_at_all(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let mut dropped = 0;
    for moment in 0..MOMENTS {
        let batch = [start(epoch, &format!("one-{moment}")), start(epoch, &format!("two-{moment}"))];
        let ended = dropped_after(moment % 6, store.append(&batch)).await;
        dropped += usize::from(!ended);
        commit(&store, &start(epoch, &format!("next-{moment}"))).await?;
        // Known or not, the repeat settles it, and a rival finds that it is settled.
        commit_all(&store, &batch).await?;
        ensure!(append(&store, &rival(&batch[0])).await? == AppendOutcome::Conflict);
    }
    // How many is the scheduler's choice: on a busy machine an answer may be there at the first look.
    ensure!(dropped > 0, "every append was answered before it could be dropped");
    let written = i64::try_from(3 * MOMENTS)?;
    for table in ["journal", "stream_keys", "streams"] {
        assert_eq!(place.rows(table).await?, written, "{table}");
    }
    nothing_stays_open(place).await
}

fn rival(append: &StreamAppend) -> StreamAppend {
    StreamAppend { append_id: uuid::Uuid::new_v4(), ..append.clone() }
}

async fn nothing_stays_open(place: &dyn Place) -> Result<()> {
    until("no transaction stays open", async || Ok(place.idle_transactions().await? == 0)).await
}

pub(crate) async fn a_dropped_claim_leaves_the_shard_claimable(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    for moment in 0..MOMENTS {
        dropped_after(moment % 6, store.claim(SHARD, "engine")).await;
        dropped_after(moment % 6, store.put_document("saga", &format!("d{moment}"), "saga: x")).await;
        dropped_after(moment % 6, store.list(&crate::streams::all())).await;
    }
    nothing_stays_open(place).await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    commit(&store, &showing(after(&first), "completed")).await?;
    assert_eq!(versions(&store, first.stream).await?, [1, 2]);
    Ok(())
}

pub(crate) async fn a_dropped_start_can_be_repeated(place: &dyn Place) -> Result<()> {
    for moment in 0..12 {
        dropped_after(moment, place.engine()).await;
    }
    nothing_stays_open(place).await?;
    let mut opened = place.engine().await;
    // The lock of a file that a dropped start had taken goes with its task.
    while matches!(opened, Err(saga_event_store::StoreError::Locked { .. })) {
        opened = place.engine().await;
    }
    let store: Store = opened?;
    commit(&store, &start(claim(&store).await?, "order-1")).await
}
