//! What a process knows to be committed, kept until the next one.

use crate::{
    place::{Place, Store},
    streams::{STARTED_MS, after, claim, commit, start},
};
use anyhow::{Context, Result, ensure};

fn is_told(store: &Store) -> bool {
    store.steps_back().borrow().is_some()
}

pub(crate) async fn what_one_process_knew_the_next_one_finds(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.confirmed(), None, "no heartbeat yet");
    let first = start(claim(&store).await?, "order-1");
    store.heartbeat("engine", STARTED_MS).await?;
    commit(&store, &first).await?;
    let known = store.confirmed().context("a heartbeat was confirmed")?;
    commit(&store, &after(&first)).await?;
    store.heartbeat("engine", STARTED_MS + 2_000).await?;
    drop(store);
    let next = place.engine().await?;
    assert_eq!(next.compare(&[known]).await?, [0_usize; 0]);
    assert_eq!(next.compare(&[]).await?, [0_usize; 0]);
    ensure!(!is_told(&next), "nothing is missing");
    Ok(())
}

pub(crate) async fn what_was_appended_since_the_last_heartbeat_is_known(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    store.heartbeat("engine", STARTED_MS).await?;
    let known = store.confirmed().context("a heartbeat was confirmed")?;
    assert_eq!(known.append, None, "it stands before the heartbeat");
    let second = after(&first);
    commit(&store, &second).await?;
    let known = store.confirmed().and_then(|known| known.append).context("an append was confirmed")?;
    assert_eq!((known.stream, known.append_id), (second.stream, second.append_id));
    assert_eq!(known.at_ms, second.recorded_at_ms);
    Ok(())
}
