//! Stored values that no writer of the store can have left.

use crate::{
    place::Place,
    streams::{append, claim, commit, commit_all, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{StoreError, StreamAppend};
use std::fmt::Debug;

fn is_damage<T: Debug>(answer: Result<T, StoreError>) -> Result<()> {
    match answer {
        Err(error) if error.is_damage() && !error.is_transient() => Ok(()),
        other => anyhow::bail!("stored data is damaged, not {other:?}"),
    }
}

pub(crate) async fn an_unreadable_version_is_damage_and_hinders_no_other(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (damaged, other) = (StreamAppend { recorded_at_ms: 77, ..start(epoch, "order-1") }, start(epoch, "order-2"));
    commit_all(&store, &[damaged.clone(), other.clone()]).await?;
    place.damage("UPDATE journal SET version = -1 WHERE recorded_at = 77").await?;
    is_damage(store.read(damaged.stream).await)?;
    is_damage(store.read_many(&[damaged.stream, other.stream]).await)?;
    is_damage(store.outlines_within(&[damaged.stream], 100).await)?;
    is_damage(store.last_version(damaged.stream).await)?;
    assert_eq!(versions(&store, other.stream).await?, [1]);
    Ok(())
}

pub(crate) async fn an_unreadable_hash_is_damage_of_its_key_alone(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    commit(&store, &start(epoch, "order-1")).await?;
    place.damage("UPDATE stream_keys SET payload_hash = substr(payload_hash, 1, 5)").await?;
    let again = append(&store, &start(epoch, "order-1")).await;
    ensure!(again.is_err_and(|error| error.downcast_ref().is_some_and(StoreError::is_damage)));
    commit(&store, &start(epoch, "order-2")).await
}
