//! Claims and epochs: one writer per shard.

use crate::{
    place::{Place, SHARDS, Store},
    streams::{SHARD, after, append, claim, claim_all, commit, rival_of, start, start_in, versions},
};
use anyhow::{Result, bail, ensure};
use saga_event_store::{AppendOutcome, ShardEpoch, StoreError, StreamAppend};
use std::sync::Arc;

pub(crate) async fn every_claim_raises_the_epoch_of_its_shard_alone(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.claim(2, "engine-a").await?, ShardEpoch(1));
    assert_eq!(store.claim(2, "engine-b").await?, ShardEpoch(2));
    assert_eq!(store.claim(5, "engine-a").await?, ShardEpoch(1));
    drop(store);
    let store = place.engine().await?;
    assert_eq!(store.claim(2, "engine-a").await?, ShardEpoch(3));
    assert_eq!(claim_all(&store).await?[2], ShardEpoch(4));
    Ok(())
}

pub(crate) async fn only_the_last_claim_may_write(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let never = start(ShardEpoch(1), "order-1");
    assert_eq!(append(&store, &never).await?, AppendOutcome::Fenced);
    let old = claim(&store).await?;
    let elsewhere = store.claim(SHARD + 1, "engine").await?;
    let new = claim(&store).await?;
    let batch = [start(old, "order-2"), start(new, "order-3"), start_in(SHARD + 1, elsewhere, "order-4")];
    assert_eq!(
        store.append(&batch).await?,
        [AppendOutcome::Fenced, AppendOutcome::Committed, AppendOutcome::Committed]
    );
    assert_eq!(append(&store, &start(ShardEpoch(new.0 + 1), "order-5")).await?, AppendOutcome::Fenced);
    assert_eq!((place.rows("journal").await?, place.rows("stream_keys").await?), (2, 2));
    Ok(())
}

pub(crate) async fn a_fenced_writer_learns_what_it_had_committed(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    claim(&store).await?;
    let answers = store.append(&[first, start(ShardEpoch(1), "order-2")]).await?;
    assert_eq!(answers, [AppendOutcome::Committed, AppendOutcome::Fenced]);
    Ok(())
}

/// Its picture of the stream is old in any case: whether the version or the key is taken as well does not matter to it.
pub(crate) async fn a_fenced_writer_is_told_so_before_all_else(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let old = claim(&store).await?;
    let first = start(old, "order-1");
    commit(&store, &first).await?;
    let new = claim(&store).await?;
    let second = StreamAppend { epoch: new, ..after(&first) };
    commit(&store, &second).await?;
    let batch = [StreamAppend { epoch: old, ..rival_of(&second) }, start(old, "order-1")];
    assert_eq!(store.append(&batch).await?, [AppendOutcome::Fenced, AppendOutcome::Fenced]);
    Ok(())
}

/// The fence itself: once a claim has returned, what the new owner reads is all there will be of older epochs.
pub(crate) async fn nothing_of_a_zombie_follows_a_claim(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    for round in 0..10 {
        let first = start(claim(&store).await?, &format!("order-{round}"));
        commit(&store, &first).await?;
        let stream = first.stream;
        let zombie = tokio::spawn(write_until_fenced(Arc::clone(&store), first));
        while versions(&store, stream).await?.len() < 5 {}
        claim(&store).await?;
        let seen = versions(&store, stream).await?;
        let last = zombie.await??;
        assert_eq!(seen, (1..=last).collect::<Vec<_>>());
        assert_eq!(versions(&store, stream).await?, seen);
    }
    Ok(())
}

/// The version of the last row that was committed.
async fn write_until_fenced(store: Store, first: StreamAppend) -> Result<u32> {
    let mut last = first;
    loop {
        let next = after(&last);
        match append(&store, &next).await? {
            AppendOutcome::Committed => last = next,
            AppendOutcome::Fenced => return Ok(last.version),
            other => bail!("a zombie is fenced, not {other:?}"),
        }
    }
}

pub(crate) async fn a_shard_beyond_the_last_cannot_be_claimed(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    for shard in [SHARDS, 4096, u16::MAX] {
        let refused = store.claim(shard, "engine").await;
        ensure!(matches!(refused, Err(StoreError::Limit(_))), "shard {shard}: {refused:?}");
    }
    store.claim(SHARDS - 1, "engine").await?;
    Ok(())
}
