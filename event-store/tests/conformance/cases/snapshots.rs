//! States of long streams, kept beside their rows.

use crate::{
    place::Place,
    streams::{after, claim, commit, start},
};
use anyhow::{Result, ensure};
use saga_event_store::{MAX_SNAPSHOT_BYTES, StoreError, StreamAppend, StreamSnapshot};
use uuid::Uuid;

fn snapshot_of(append: &StreamAppend, state: &[u8]) -> StreamSnapshot {
    StreamSnapshot {
        stream: append.stream,
        version: append.version,
        append_id: append.append_id,
        format: 7,
        state: state.to_vec(),
    }
}

pub(crate) async fn the_latest_snapshot_of_a_stream_is_kept(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, other) = (start(epoch, "order-1"), start(epoch, "order-2"));
    let next = after(&one);
    for row in [&one, &other, &next] {
        commit(&store, row).await?;
    }
    assert_eq!(store.snapshots(&[one.stream, other.stream]).await?, []);
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let (first, large) = (snapshot_of(&one, b"first"), snapshot_of(&other, &bytes));
    store.put_snapshot(&first).await?;
    store.put_snapshot(&large).await?;
    store.put_snapshot(&first).await?;
    let mut kept = store.snapshots(&[other.stream, one.stream, one.stream, Uuid::nil()]).await?;
    kept.sort_unstable_by_key(|it| it.stream);
    assert_eq!(kept, [first, large]);
    let second = StreamSnapshot { format: 8, ..snapshot_of(&next, b"") };
    store.put_snapshot(&second).await?;
    assert_eq!(store.snapshots(&[one.stream]).await?, [second]);
    assert_eq!(place.rows("snapshots").await?, 2);
    let mut versions = store.snapshot_versions(&[one.stream, other.stream, Uuid::nil()]).await?;
    versions.sort_unstable();
    assert_eq!(versions, [(one.stream, 2), (other.stream, 1)]);
    Ok(())
}

pub(crate) async fn a_snapshot_of_another_row_is_told_apart(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let one = start(epoch, "order-1");
    let next = after(&one);
    commit(&store, &one).await?;
    commit(&store, &next).await?;
    let rows = store.read_from(one.stream, 2).await?;
    ensure!(snapshot_of(&next, b"").is_of(&rows));
    ensure!(!snapshot_of(&one, b"").is_of(&rows), "it begins at another version");
    ensure!(!StreamSnapshot { append_id: Uuid::nil(), ..snapshot_of(&next, b"") }.is_of(&rows));
    let beyond = store.read_from(one.stream, 3).await?;
    ensure!(!snapshot_of(&after(&next), b"").is_of(&beyond), "there is no such row");
    Ok(())
}

pub(crate) async fn a_snapshot_has_limits(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let one = start(epoch, "order-1");
    commit(&store, &one).await?;
    let fits = snapshot_of(&one, &vec![7; MAX_SNAPSHOT_BYTES]);
    let too_large = snapshot_of(&one, &vec![7; MAX_SNAPSHOT_BYTES + 1]);
    for refused in [
        too_large,
        StreamSnapshot { version: 0, ..fits.clone() },
        StreamSnapshot { format: 0, ..fits.clone() },
        StreamSnapshot { format: u32::MAX, ..fits.clone() },
    ] {
        ensure!(matches!(store.put_snapshot(&refused).await, Err(StoreError::Limit(_))));
    }
    store.put_snapshot(&fits).await?;
    ensure!(store.snapshots(&[one.stream]).await? == [fits]);
    Ok(())
}

pub(crate) async fn snapshots_are_removed(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let appends = ["order-1", "order-2", "order-3"].map(|key| start(epoch, key));
    for append in &appends {
        commit(&store, append).await?;
        store.put_snapshot(&snapshot_of(append, b"state")).await?;
    }
    let [one, two, three] = appends.map(|append| append.stream);
    assert_eq!(store.remove_snapshots(&[two, one, one, Uuid::nil()]).await?, 2);
    assert_eq!(store.remove_snapshots(&[one]).await?, 0);
    let left = store.snapshots(&[one, two, three]).await?;
    assert_eq!(left.iter().map(|it| it.stream).collect::<Vec<_>>(), [three]);
    assert_eq!(store.read(one).await?.len(), 1);
    Ok(())
}

pub(crate) async fn rows_are_read_from_a_version_on(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let one = start(epoch, "order-1");
    let two = after(&one);
    let three = after(&two);
    for row in [&one, &two, &three] {
        commit(&store, row).await?;
    }
    let all = store.read(one.stream).await?;
    for from in 0..=1 {
        assert_eq!(store.read_from(one.stream, from).await?, all);
    }
    assert_eq!(store.read_from(one.stream, 2).await?, all[1..]);
    assert_eq!(store.read_from(one.stream, 4).await?, []);
    assert_eq!(store.read_from(Uuid::nil(), 1).await?, []);
    Ok(())
}

pub(crate) async fn a_reader_keeps_no_snapshot(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let one = start(epoch, "order-1");
    commit(&store, &one).await?;
    store.put_snapshot(&snapshot_of(&one, b"state")).await?;
    drop(store);
    let reader = place.reader().await?;
    assert_eq!(reader.snapshots(&[one.stream]).await?.len(), 1);
    ensure!(reader.put_snapshot(&snapshot_of(&one, b"state")).await.is_err());
    ensure!(reader.remove_snapshots(&[one.stream]).await.is_err());
    Ok(())
}
