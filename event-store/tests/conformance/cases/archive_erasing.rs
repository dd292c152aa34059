//! Streams that have left the store are erased, and the files of archives are replaced.

use crate::{
    place::{Place, Store, ring_of},
    streams::{CATEGORY, SHARD, after, append, claim, commit, next_id, showing, start},
};
use anyhow::{Context as _, Result, ensure};
use saga_event_store::{
    ActPosition, ActQuery, ActSelection, ActSource, AppendOutcome, ArchiveContent, ArchiveReplacement, ArchivedErasure,
    ERASED_HASH, ErasedRow, PendingErasure, RemovedPortion, ShardEpoch, StartPeriod, StreamAct, StreamAppend,
    StreamErasure, StreamRow, archive::ArchivedStream,
};
use uuid::Uuid;

/// All starts.
const EVER: StartPeriod = StartPeriod { from_ms: 0, to_ms: 4_000_000_000_000 };

fn act(id: &str) -> StreamAct {
    StreamAct {
        id: id.into(),
        who: "anna".into(),
        action: "erase".into(),
        reason: "asked for".into(),
        source: ActSource { request: Some("r-1".into()), ..ActSource::default() },
        before: Some("{\"status\":\"completed\"}".into()),
        after: Some("{\"status\":\"completed\",\"erased\":true}".into()),
    }
}

/// A stream with two rows that has ended and left, as its file has it.
async fn left(store: &Store, epoch: ShardEpoch, key: &str) -> Result<ArchivedStream> {
    let first = start(epoch, key);
    let last = showing(after(&first), "completed");
    commit(store, &first).await?;
    commit(store, &last).await?;
    let rows = store.read(first.stream).await?;
    let summary = store.summary(first.stream).await?.context("it is in the store")?;
    let number = store.begin_archive(EVER, 7).await?;
    let content = ArchiveContent { file: Some(format!("{number}.saga.zst")), streams: 1, ..ArchiveContent::default() };
    ensure!(store.record_archive(number, &content).await?);
    let portion = RemovedPortion { number, shard: SHARD, streams: vec![(last.stream, last.version)] };
    ensure!(store.remove_archived(&portion).await? == 1);
    store.end_archive(number, 8).await?;
    Ok(ArchivedStream { summary, shard: SHARD, rows })
}

fn erasure(left: &ArchivedStream, id: &str) -> ArchivedErasure {
    let mut erased = left.clone();
    erased.rows.iter_mut().for_each(|row| row.payload = format!("row {}", row.version).into_bytes());
    let act_row =
        StreamRow { version: 3, recorded_at_ms: 9, append_id: Uuid::new_v4(), payload: b"{\"v\":1}".to_vec() };
    erased.rows.push(act_row);
    erased.summary.erased_at_ms = Some(9);
    ArchivedErasure { erased, act: act(id) }
}

pub(crate) async fn a_stream_that_has_left_is_erased_once(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let left = left(&store, epoch, "gone").await?;
    let stream = left.summary.stream;
    let wanted = erasure(&left, "act-1");
    ensure!(store.erase_archived(&wanted).await?);
    ensure!(!store.erase_archived(&wanted).await?, "a repeat changes nothing");
    ensure!(!store.erase_archived(&erasure(&left, "act-2")).await?, "nor does another act");
    let pending = PendingErasure { stream, erased: Some(wanted.erased.clone()) };
    assert_eq!(store.pending_erasure(stream).await?, Some(pending.clone()));
    assert_eq!(store.pending_erasures(Uuid::nil(), 10).await?, [pending]);
    assert_eq!(store.pending_erasures(stream, 10).await?, []);
    let acts = ActQuery {
        scope: ActSelection::On(stream),
        since_ms: i64::MIN,
        before: ActPosition::END,
        action: String::new(),
        limit: 10,
    };
    let acts = store.acts(&acts).await?;
    assert_eq!(acts.len(), 1);
    assert_eq!((&acts[0].act, acts[0].key.as_str(), acts[0].position.version), (&act("act-1"), "gone", 3));
    let again = append(&store, &start(epoch, "gone")).await?;
    assert_eq!(again, AppendOutcome::DuplicateKey { stream, payload_hash: ERASED_HASH });
    store.end_erasures(&[stream, Uuid::nil()]).await?;
    assert_eq!(store.pending_erasure(stream).await?, None);
    Ok(())
}

pub(crate) async fn a_stream_that_is_in_the_store_is_not_erased_as_one_that_left(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let there = start(epoch, "there");
    commit(&store, &there).await?;
    let summary = store.summary(there.stream).await?.context("it is in the store")?;
    let stream = ArchivedStream { summary, shard: SHARD, rows: store.read(there.stream).await? };
    ensure!(!store.erase_archived(&erasure(&stream, "act-1")).await?);
    ensure!(store.pending_erasures(Uuid::nil(), 10).await?.is_empty());
    assert_eq!(store.read(there.stream).await?[0].payload, there.payload);
    Ok(())
}

pub(crate) async fn an_erasure_in_the_store_is_made_up_for_in_files(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "there");
    commit(&store, &first).await?;
    let append = StreamAppend { outline: None, ..showing(after(&first), "completed") };
    let rows = vec![ErasedRow { version: 1, payload: b"row 1".to_vec() }];
    assert_eq!(store.erase(&StreamErasure { append, rows }).await?, AppendOutcome::Committed);
    let pending = PendingErasure { stream: first.stream, erased: None };
    assert_eq!(store.pending_erasures(Uuid::nil(), 10).await?, [pending]);
    Ok(())
}

pub(crate) async fn the_data_key_of_a_stream_that_has_left_is_thrown_away(place: &dyn Place) -> Result<()> {
    let store = place.open_with(ring_of(1)).await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "gone");
    commit(&store, &first).await?;
    let last = showing(after(&first), "completed");
    commit(&store, &last).await?;
    let stored = store.read_stored_within(&[first.stream], u64::MAX).await?.rows;
    let number = store.begin_archive(EVER, 7).await?;
    ensure!(store.record_archive(number, &ArchiveContent::default()).await?);
    let portion = RemovedPortion { number, shard: SHARD, streams: vec![(last.stream, last.version)] };
    let summary = store.summary(first.stream).await?.context("it is in the store")?;
    ensure!(store.remove_archived(&portion).await? == 1);
    let opened = store.open_archived(stored.clone()).await?;
    assert_eq!(opened[0].1.payload, first.payload);
    let rows = opened.into_iter().map(|(_, row)| row).collect();
    ensure!(store.erase_archived(&erasure(&ArchivedStream { summary, shard: SHARD, rows }, "act-1")).await?);
    assert_eq!(place.rows("data_keys").await?, 0);
    let copy = store.open_archived(stored).await;
    ensure!(copy.as_ref().is_err_and(|error| error.to_string().contains("no data key")), "{copy:?}");
    Ok(())
}

pub(crate) async fn the_file_of_an_archive_is_replaced_by_who_knows_it(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    left(&store, epoch, "gone").await?;
    let replacement = |recorded: &str, file: &str| ArchiveReplacement {
        number: 1,
        recorded: recorded.into(),
        replaced: recorded.into(),
        file: file.into(),
        rows: 3,
        bytes: 70,
        sha256: "11".into(),
    };
    let next = replacement("1.saga.zst", "1-1.saga.zst");
    ensure!(!store.replace_archive(&replacement("2.saga.zst", "2-1.saga.zst")).await?, "another file is on record");
    ensure!(store.replace_archive(&next).await?);
    ensure!(!store.replace_archive(&next).await?);
    let record = store.archives().await?.pop().context("it is on record")?;
    assert_eq!(
        (record.content.file.as_deref(), record.replaced.as_deref()),
        (Some("1-1.saga.zst"), Some("1.saga.zst"))
    );
    assert_eq!((record.content.rows, record.content.bytes, record.content.streams), (3, 70, 1));
    let after = replacement("1-1.saga.zst", "1-2.saga.zst");
    ensure!(!store.replace_archive(&after).await?, "the file before is not removed yet");
    store.forget_replaced(1, "1.saga.zst").await?;
    ensure!(store.archives().await?[0].replaced.is_none());
    ensure!(store.replace_archive(&after).await?);
    let reader = place.reader().await?;
    ensure!(reader.replace_archive(&after).await.is_err() && reader.forget_replaced(1, "x").await.is_err());
    ensure!(reader.end_erasures(&[next_id(SHARD)]).await.is_err());
    assert_eq!(reader.key_holder(CATEGORY, "other").await?.map(|it| it.stream), None);
    Ok(())
}
