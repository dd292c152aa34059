//! Keys that are forgotten, so that they can start streams again.

use crate::{
    place::{Place, Store},
    streams::{
        CATEGORY, STARTED_MS, after, append, claim, commit, commit_all, hash_of, in_category, showing, start, versions,
    },
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, KeySweep, KeySweepOutcome, MAX_PAGE, ShardEpoch, StoreError, StreamAppend};

/// Everything that ended up to `ended_before_ms`, on one page.
fn sweep(ended_before_ms: i64) -> KeySweep {
    KeySweep { category: CATEGORY.into(), ended_before_ms, after: None, limit: 1000 }
}

/// A stream that took `key` at its start and ended a second later.
async fn ended(store: &Store, epoch: ShardEpoch, key: &str) -> Result<StreamAppend> {
    let first = start(epoch, key);
    commit(store, &first).await?;
    commit(store, &showing(after(&first), "completed")).await?;
    Ok(first)
}

const LONG_AFTER: i64 = STARTED_MS + 1_000_000;

pub(crate) async fn keys_of_streams_that_ended_long_ago_are_forgotten(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    ended(&store, epoch, "ended").await?;
    let elsewhere = in_category("refund", showing(start(epoch, "elsewhere"), "completed"));
    commit_all(&store, &[start(epoch, "running"), showing(start(epoch, "parked"), "parked"), elsewhere]).await?;
    let nothing = KeySweepOutcome { forgotten: 0, next: None };
    assert_eq!(store.forget_keys(&sweep(STARTED_MS + 1000)).await?, nothing, "it ended at that very time");
    assert_eq!(store.forget_keys(&sweep(STARTED_MS + 1001)).await?, KeySweepOutcome { forgotten: 1, next: None });
    assert_eq!(store.forget_keys(&sweep(LONG_AFTER)).await?, nothing);
    assert_eq!(place.number("SELECT count(*) FROM stream_keys WHERE key <> 'ended'").await?, 3);
    assert_eq!(place.rows("stream_keys").await?, 3);
    // A stream of which the read model does not know whether it has ended.
    place.run("DELETE FROM streams").await?;
    assert_eq!(store.forget_keys(&sweep(LONG_AFTER)).await?, nothing);
    Ok(())
}

pub(crate) async fn a_forgotten_key_starts_a_new_stream(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let old = ended(&store, epoch, "order-1").await?;
    store.forget_keys(&sweep(LONG_AFTER)).await?;
    // What was committed is, whether its key is still taken or not; and the repeat does not take it again.
    commit(&store, &old).await?;
    let new = start(epoch, "order-1");
    commit(&store, &new).await?;
    let taken = AppendOutcome::DuplicateKey { stream: new.stream, payload_hash: hash_of("order-1") };
    assert_eq!(append(&store, &start(epoch, "order-1")).await?, taken);
    assert_eq!((versions(&store, old.stream).await?, versions(&store, new.stream).await?), (vec![1, 2], vec![1]));
    assert_eq!(place.rows("streams").await?, 2);
    Ok(())
}

pub(crate) async fn a_sweep_has_pages(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let starts = (0..25).map(|number| {
        let status = if number % 5 == 0 { "running" } else { "abandoned" };
        showing(start(epoch, &format!("Order-ä-{number}")), status)
    });
    commit_all(&store, &starts.collect::<Vec<_>>()).await?;
    let (mut pages, mut page) = (Vec::new(), KeySweep { limit: 10, ..sweep(LONG_AFTER) });
    loop {
        let swept = store.forget_keys(&page).await?;
        pages.push(swept.forgotten);
        let Some(next) = swept.next else { break };
        page.after = Some(next);
    }
    ensure!(pages.len() == 3 && pages.iter().sum::<u64>() == 20, "{pages:?}");
    assert_eq!(place.rows("stream_keys").await?, 5);
    Ok(())
}

/// Whoever comes first: a start is a duplicate of the old stream or has the key for itself, and one of those that race
/// has it.
pub(crate) async fn a_sweep_and_a_start_do_not_hinder_each_other(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    for round in 0..20 {
        let key = format!("order-{round}");
        let old = ended(&store, epoch, &key).await?;
        let new = start(epoch, &key);
        let page = sweep(LONG_AFTER);
        let (answer, _) = tokio::join!(append(&store, &new), store.forget_keys(&page));
        match answer? {
            AppendOutcome::Committed => {}
            AppendOutcome::DuplicateKey { stream, .. } => ensure!(stream == old.stream),
            // The key was forgotten between the try and the question who has it: the next try decides.
            AppendOutcome::Conflict => commit(&store, &new).await?,
            AppendOutcome::Fenced => anyhow::bail!("nobody claimed the shard"),
        }
    }
    Ok(())
}

pub(crate) async fn a_sweep_without_bounds_is_refused(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    for limit in [0, MAX_PAGE + 1] {
        let refused = store.forget_keys(&KeySweep { limit, ..sweep(LONG_AFTER) }).await;
        ensure!(matches!(refused, Err(StoreError::Limit(_))), "{limit}: {refused:?}");
    }
    let reader = place.reader().await?;
    ensure!(matches!(reader.forget_keys(&sweep(LONG_AFTER)).await, Err(StoreError::Refused(_))));
    Ok(())
}
