//! What a new owner of a shard reads.

use crate::{
    place::Place,
    streams::{SHARD, after, all, claim, claim_all, commit, commit_all, showing, start, start_in},
};
use anyhow::{Result, ensure};
use saga_event_store::{Append, Error, MAX_PAGE};
use uuid::Uuid;

/// No streams.
const NONE: [Uuid; 0] = [];

pub(crate) async fn open_streams_are_those_of_the_shard(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epochs = claim_all(&store).await?;
    let here = start_in(SHARD, epochs[3], "order-1");
    let there = start_in(SHARD + 1, epochs[4], "order-2");
    let ended = showing(start_in(SHARD, epochs[3], "order-3"), "completed");
    commit_all(&store, &[here.clone(), there.clone(), ended]).await?;
    assert_eq!(store.open_streams(SHARD, None, 100).await?, [here.stream]);
    assert_eq!(store.open_streams(SHARD + 1, None, 100).await?, [there.stream]);
    assert_eq!(store.open_streams(0, None, 100).await?, NONE);
    commit(&store, &showing(after(&here), "parked")).await?;
    assert_eq!(store.open_streams(SHARD, None, 100).await?, [here.stream]);
    commit(&store, &showing(after(&after(&here)), "abandoned")).await?;
    assert_eq!(store.open_streams(SHARD, None, 100).await?, NONE);
    Ok(())
}

pub(crate) async fn open_streams_have_pages(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let mut starts: Vec<Append> = (0..25).map(|number| start(epoch, &format!("order-{number}"))).collect();
    let ids: Vec<Uuid> = starts.iter().map(|it| it.stream).collect();
    starts.reverse();
    commit_all(&store, &starts).await?;
    assert_eq!(store.open_streams(SHARD, None, 10).await?, ids[..10]);
    assert_eq!(store.open_streams(SHARD, Some(ids[9]), 10).await?, ids[10..20]);
    assert_eq!(store.open_streams(SHARD, Some(ids[19]), 10).await?, ids[20..]);
    assert_eq!(store.open_streams(SHARD, Some(ids[24]), 10).await?, NONE);
    assert_eq!(store.open_streams(SHARD, None, u32::MAX).await?, ids);
    Ok(())
}

pub(crate) async fn many_streams_are_read_at_once(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), start(epoch, "order-2"));
    commit_all(&store, &[one.clone(), two.clone()]).await?;
    commit_all(&store, &[after(&two), after(&one)]).await?;
    commit(&store, &after(&after(&one))).await?;
    let rows = store.read_many(&[two.stream, Uuid::new_v4(), one.stream]).await?;
    let read: Vec<(Uuid, u32)> = rows.iter().map(|(stream, row)| (*stream, row.version)).collect();
    let (a, b) = (one.stream, two.stream);
    assert_eq!(read, [(a, 1), (a, 2), (a, 3), (b, 1), (b, 2)]);
    // A stream that is asked for twice is read once.
    assert_eq!(store.read_many(&[b, b]).await?.len(), 2);
    assert_eq!(store.read_many(&[]).await?, []);
    let many = vec![a; MAX_PAGE as usize + 1];
    ensure!(matches!(store.read_many(&many).await, Err(Error::Limit(_))));
    Ok(())
}

pub(crate) async fn what_was_committed_is_there_after_a_restart(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    commit(&store, &showing(after(&first), "waiting")).await?;
    let before = (store.read(first.stream).await?, store.list(&all()).await?);
    drop(store);
    let store = place.engine().await?;
    assert_eq!((store.read(first.stream).await?, store.list(&all()).await?), before);
    assert_eq!(store.open_streams(SHARD, None, 10).await?, [first.stream]);
    store.ping().await?;
    Ok(())
}
