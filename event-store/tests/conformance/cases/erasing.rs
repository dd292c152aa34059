//! Streams lose their content and keep their rows.

use crate::{
    place::{Place, Store, ring_of},
    streams::{after, all, append, claim, commit, commit_all, rival_of, showing, start},
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, ERASED_HASH, ErasedRow, ShardEpoch, StoreError, StreamAppend, StreamErasure};

const CANARY: &[u8] = b"canary-4711";

/// Two rows with the canary in payload and outline, of a stream that has ended, and the row that erases it.
async fn ended(store: &Store, epoch: ShardEpoch, key: &str) -> Result<(StreamAppend, StreamAppend)> {
    let carrying = |append: StreamAppend| StreamAppend {
        payload: CANARY.repeat(1000),
        outline: Some(CANARY.repeat(10)),
        ..append
    };
    let first = carrying(start(epoch, key));
    let second = carrying(showing(after(&first), "completed"));
    commit(store, &first).await?;
    commit(store, &second).await?;
    let last = StreamAppend { payload: b"erased by anna".to_vec(), outline: None, ..after(&second) };
    Ok((first, showing(last, "completed")))
}

fn erasure(append: &StreamAppend) -> StreamErasure {
    let rows = (1..append.version).map(|version| ErasedRow { version, payload: format!("row {version}").into_bytes() });
    StreamErasure { append: append.clone(), rows: rows.collect() }
}

pub(crate) async fn an_erased_stream_keeps_its_rows_without_their_content(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, last) = ended(&store, epoch, "order-1").await?;
    let (other, _) = ended(&store, epoch, "order-2").await?;
    assert_eq!(store.erase(&erasure(&last)).await?, AppendOutcome::Committed);
    let rows = store.read(first.stream).await?;
    let read: Vec<(u32, &[u8])> = rows.iter().map(|row| (row.version, row.payload.as_slice())).collect();
    assert_eq!(read, [(1, &b"row 1"[..]), (2, b"row 2"), (3, b"erased by anna")]);
    assert_eq!((rows[0].append_id, rows[0].recorded_at_ms), (first.append_id, first.recorded_at_ms));
    let outlined = store.outlines_within(&[first.stream], 1 << 20).await?.rows;
    assert_eq!(outlined.iter().map(|(_, row)| row.clone()).collect::<Vec<_>>(), rows);
    let shown = store.summary(first.stream).await?;
    assert_eq!(shown.and_then(|it| it.erased_at_ms), Some(last.recorded_at_ms));
    let listed = store.list(&all()).await?;
    assert_eq!(listed.iter().filter(|it| it.erased_at_ms.is_some()).count(), 1);
    assert_eq!(store.read(other.stream).await?[0].payload, CANARY.repeat(1000));
    Ok(())
}

pub(crate) async fn an_erasure_is_repeated_and_changes_nothing(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, last) = ended(&store, epoch, "order-1").await?;
    for _ in 0..2 {
        assert_eq!(store.erase(&erasure(&last)).await?, AppendOutcome::Committed);
    }
    assert_eq!(store.erase(&erasure(&rival_of(&last))).await?, AppendOutcome::Conflict);
    assert_eq!(store.read(first.stream).await?.len(), 3);
    Ok(())
}

pub(crate) async fn a_refused_erasure_takes_nothing_out(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let old = claim(&store).await?;
    let (first, last) = ended(&store, old, "order-1").await?;
    let short = StreamErasure { rows: erasure(&last).rows.split_off(1), ..erasure(&last) };
    assert_eq!(store.erase(&short).await?, AppendOutcome::Conflict, "a row that is there is missing");
    let unordered = StreamErasure { rows: erasure(&last).rows.into_iter().rev().collect(), ..erasure(&last) };
    ensure!(matches!(store.erase(&unordered).await, Err(StoreError::Limit(_))));
    let before = StreamAppend { version: 2, ..last.clone() };
    assert_eq!(store.erase(&erasure(&before)).await?, AppendOutcome::Conflict);
    let beyond = StreamAppend { version: 5, ..last.clone() };
    assert_eq!(store.erase(&erasure(&beyond)).await?, AppendOutcome::Conflict);
    claim(&store).await?;
    assert_eq!(store.erase(&erasure(&last)).await?, AppendOutcome::Fenced);
    assert_eq!(store.read(first.stream).await?[0].payload, first.payload);
    assert_eq!(store.summary(first.stream).await?.and_then(|it| it.erased_at_ms), None);
    ensure!(matches!(place.reader().await?.erase(&erasure(&last)).await, Err(StoreError::Refused(_))));
    Ok(())
}

pub(crate) async fn the_key_of_an_erased_stream_stays_taken_and_tells_nothing(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, last) = ended(&store, epoch, "order-1").await?;
    store.erase(&erasure(&last)).await?;
    let again = append(&store, &start(epoch, "order-1")).await?;
    assert_eq!(again, AppendOutcome::DuplicateKey { stream: first.stream, payload_hash: ERASED_HASH });
    Ok(())
}

pub(crate) async fn the_data_key_of_an_erased_stream_is_thrown_away(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let epoch = claim(&store).await?;
    let (first, last) = ended(&store, epoch, "order-1").await?;
    let kept = start(epoch, "order-2");
    commit_all(&store, std::slice::from_ref(&kept)).await?;
    assert_eq!(place.rows("data_keys").await?, 2);
    // As in a copy of the database from before.
    place.run("CREATE TABLE copied AS SELECT * FROM journal").await?;
    store.erase(&erasure(&last)).await?;
    assert_eq!(place.rows("data_keys").await?, 1);
    assert_eq!(store.read(first.stream).await?[2].payload, last.payload);
    // A row of the copy cannot be opened any more, and those of other streams can.
    let version = "version = 1 AND recorded_at = (SELECT min(recorded_at) FROM copied)";
    let copy = format!("SELECT payload FROM copied c WHERE c.stream = journal.stream AND {version}");
    place.run(&format!("UPDATE journal SET payload = coalesce(({copy}), payload) WHERE version = 1")).await?;
    let reader = place.read_with(ring_of(1)).await?;
    let read = reader.read(first.stream).await;
    let Err(StoreError::Damaged(text)) = read else { anyhow::bail!("{read:?}") };
    ensure!(text.contains("the store has no data key for it"), "{text}");
    assert_eq!(reader.read(kept.stream).await?[0].payload, kept.payload);
    Ok(())
}
