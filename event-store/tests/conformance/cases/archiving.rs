//! Streams that leave the store.

use crate::{
    place::{Place, SHARDS, Store, until},
    streams::{CATEGORY, SHARD, STARTED_MS, after, all, append, claim, commit, showing, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{
    AppendOutcome, ArchiveContent, ArchiveState, FeedPosition, KeySweep, LeavingRule, RemovedPortion, ShardEpoch,
    StartPeriod, StreamAppend,
};
use uuid::Uuid;

/// All starts.
const EVER: StartPeriod = StartPeriod { from_ms: 0, to_ms: 4_000_000_000_000 };

fn rule(changed_before_ms: i64) -> LeavingRule {
    LeavingRule { category: CATEGORY.to_owned(), changed_before_ms, started_before_ms: EVER.to_ms }
}

/// A stream with two rows that has ended.
async fn ended(store: &Store, epoch: ShardEpoch, key: &str) -> Result<StreamAppend> {
    let first = start(epoch, key);
    let last = showing(after(&first), "completed");
    commit(store, &first).await?;
    commit(store, &last).await?;
    Ok(last)
}

fn portion(number: i64, rows: &[&StreamAppend]) -> RemovedPortion {
    RemovedPortion { number, shard: SHARD, streams: rows.iter().map(|row| (row.stream, row.version)).collect() }
}

fn content() -> ArchiveContent {
    ArchiveContent {
        file: Some("a.saga.zst".into()),
        streams: 1,
        rows: 2,
        bytes: 100,
        sha256: Some("00".into()),
        categories: vec![CATEGORY.into()],
        newest_ms: Some(STARTED_MS + 1000),
        ..ArchiveContent::default()
    }
}

pub(crate) async fn streams_leave_that_ended_long_ago(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (old, other) = (ended(&store, epoch, "old").await?, ended(&store, epoch, "other").await?);
    let open = start(epoch, "open");
    commit(&store, &open).await?;
    let rules = [rule(STARTED_MS + 2000)];
    let leaving = store.leaving(EVER, &rules, Uuid::nil(), 10).await?;
    let ids: Vec<Uuid> = leaving.iter().map(|it| it.summary.stream).collect();
    assert_eq!(ids, [old.stream, other.stream]);
    ensure!(leaving.iter().all(|it| !it.open && it.shard == SHARD));
    assert_eq!(store.leaving(EVER, &rules, old.stream, 10).await?.len(), 1);
    assert_eq!(store.leaving(EVER, &rules, Uuid::nil(), 1).await?.len(), 1);
    assert_eq!(store.staying(EVER, &rules, 10).await?, 1);
    assert_eq!(store.leaving(EVER, &[rule(STARTED_MS)], Uuid::nil(), 10).await?, []);
    assert_eq!(store.staying(EVER, &[rule(STARTED_MS)], 2).await?, 2, "counted up to a number");
    let early = LeavingRule { started_before_ms: STARTED_MS - 1, ..rule(STARTED_MS + 2000) };
    assert_eq!(store.leaving(EVER, &[early], Uuid::nil(), 10).await?, []);
    let standings = store.standings(&[open.stream, Uuid::nil()]).await?;
    ensure!(standings.len() == 1 && standings[0].open);
    Ok(())
}

pub(crate) async fn an_archive_is_on_record_step_by_step(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let number = store.begin_archive(EVER, 7).await?;
    ensure!(store.archives().await?[0].state == ArchiveState::Writing);
    store.withdraw_archive(number).await?;
    ensure!(store.archives().await?.is_empty());
    ensure!(!store.record_archive(number, &content()).await?, "what was withdrawn is not recorded");
    let number = store.begin_archive(EVER, 7).await?;
    ensure!(store.record_archive(number, &content()).await?);
    store.withdraw_archive(number).await?;
    let recorded = store.archives().await?;
    ensure!(recorded.len() == 1 && recorded[0].state == ArchiveState::Removing, "{recorded:?}");
    assert_eq!((recorded[0].content.clone(), recorded[0].period, recorded[0].begun_ms), (content(), EVER, 7));
    store.end_archive(number, 9).await?;
    let recorded = store.archives().await?;
    ensure!(recorded[0].state == ArchiveState::Done && recorded[0].ended_ms == Some(9), "{recorded:?}");
    Ok(())
}

pub(crate) async fn what_is_removed_has_ended_and_is_as_it_was_read(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (gone, changed) = (ended(&store, epoch, "gone").await?, ended(&store, epoch, "changed").await?);
    let open = start(epoch, "open");
    commit(&store, &open).await?;
    let late = after(&changed);
    commit(&store, &late).await?;
    let number = store.begin_archive(EVER, 7).await?;
    let all_three = portion(number, &[&gone, &changed, &open]);
    ensure!(store.remove_archived(&all_three).await? == 0, "nothing leaves before the archive is on record");
    ensure!(store.record_archive(number, &content()).await?);
    ensure!(store.remove_archived(&all_three).await? == 1);
    ensure!(store.remove_archived(&all_three).await? == 0, "a repeat changes nothing");
    ensure!(versions(&store, gone.stream).await?.is_empty());
    ensure!(store.summary(gone.stream).await?.is_none());
    assert_eq!(versions(&store, changed.stream).await?, [1, 2, 3]);
    assert_eq!(versions(&store, open.stream).await?, [1]);
    assert_eq!(store.list(&all()).await?.len(), 2);
    let behind = append(&store, &after(&gone)).await?;
    assert_eq!(behind, AppendOutcome::Conflict, "a stream that has left takes no row");
    Ok(())
}

pub(crate) async fn a_key_of_a_stream_that_left_stays_taken_for_its_time(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let gone = ended(&store, epoch, "gone").await?;
    let number = store.begin_archive(EVER, 7).await?;
    ensure!(store.record_archive(number, &content()).await?);
    ensure!(store.remove_archived(&portion(number, &[&gone])).await? == 1);
    ensure!(store.key_holder(CATEGORY, "gone").await?.map(|it| it.stream) == Some(gone.stream));
    let again = append(&store, &start(epoch, "gone")).await?;
    ensure!(matches!(again, AppendOutcome::DuplicateKey { stream, .. } if stream == gone.stream), "{again:?}");
    let sweep = |ended_before_ms| KeySweep { category: CATEGORY.into(), ended_before_ms, after: None, limit: 10 };
    ensure!(store.forget_keys(&sweep(STARTED_MS + 1000)).await?.forgotten == 0, "the last change is not that old");
    ensure!(store.forget_keys(&sweep(STARTED_MS + 1001)).await?.forgotten == 1);
    ensure!(store.key_holder(CATEGORY, "gone").await?.is_none());
    ensure!(append(&store, &start(epoch, "gone")).await? == AppendOutcome::Committed);
    Ok(())
}

pub(crate) async fn the_feed_forgets_what_has_left(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let gone = ended(&store, epoch, "gone").await?;
    let stays = start(epoch, "stays");
    commit(&store, &stays).await?;
    let behind = ended(&store, epoch, "behind").await?;
    ensure!(store.forget_feed(10).await? == 0, "all rows are there");
    let number = store.begin_archive(EVER, 7).await?;
    ensure!(store.record_archive(number, &content()).await?);
    ensure!(store.remove_archived(&portion(number, &[&gone, &behind])).await? == 2);
    ensure!(store.forget_feed(10).await? == 2, "up to the first row that is there");
    ensure!(store.forget_feed(10).await? == 0);
    // Transactions of other databases of the server may hold the feed back for a moment.
    until("the feed has all rows", async || {
        let page = store.feed(FeedPosition::START, 10, 1 << 20).await?;
        let rows: Vec<_> = page.rows.iter().map(|it| (it.stream, it.row.is_some())).collect();
        let all = [(stays.stream, true), (behind.stream, false), (behind.stream, false)];
        Ok(rows == all && page.extent.oldest > FeedPosition::START)
    })
    .await?;
    // Who begins with what the feed still has stands behind all rows of a commit that has gone.
    let oldest = store.feed_extent().await?.oldest;
    let rest = store.feed(oldest, 10, 1 << 20).await?.rows;
    ensure!(rest.len() == 3 && rest[0].stream == stays.stream, "{rest:?}");
    Ok(())
}

pub(crate) async fn a_reader_sees_archives_and_archives_nothing(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let number = store.begin_archive(EVER, 7).await?;
    let reader = place.reader().await?;
    ensure!(reader.archives().await?.len() == 1);
    ensure!(reader.begin_archive(EVER, 7).await.is_err());
    ensure!(reader.withdraw_archive(number).await.is_err());
    ensure!(reader.remove_archived(&portion(number, &[])).await.is_err());
    ensure!(SHARDS > SHARD);
    Ok(())
}
