//! The feed: all rows in one order, each once.

use crate::{
    place::{Place, Store, until},
    streams::{after, append, claim, claim_all, commit, commit_all, rival_of, start, start_in},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{AppendOutcome, FeedError, FeedExtent, FeedPosition, FeedRow, ShardEpoch, StreamAppend};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// More than all payloads of a test together.
pub(crate) const ROOM: u64 = 1 << 20;

/// Waits until the feed has all that is committed. Transactions of other tests on the same server hold it back.
pub(crate) async fn settled(store: &Store) -> Result<FeedExtent> {
    until("the feed has all that is committed", async || Ok(store.feed_extent().await?.held_since_ms.is_none()))
        .await?;
    Ok(store.feed_extent().await?)
}

/// All rows after `from`, once the feed has all that is committed.
pub(crate) async fn follow(store: &Store, from: FeedPosition, limit: u32) -> Result<Vec<FeedRow>> {
    settled(store).await?;
    follow_now(store, from, limit).await
}

/// All rows after `from` that can be read now, of `limit`.
pub(crate) async fn follow_now(store: &Store, from: FeedPosition, limit: u32) -> Result<Vec<FeedRow>> {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        let page = store.feed(at, limit, ROOM).await?.rows;
        ensure!(page.len() <= limit as usize, "a page has {} rows, more than {limit}", page.len());
        let Some(last) = page.last() else { return Ok(all) };
        // As readers keep it.
        at = last.position.to_string().parse()?;
        all.extend(page);
    }
}

pub(crate) fn names(rows: &[FeedRow]) -> Vec<(Uuid, u32)> {
    rows.iter().map(|row| (row.stream, row.version)).collect()
}

/// That each stream has its versions once and in their order.
pub(crate) fn each_once_and_in_order(rows: &[FeedRow]) -> Result<()> {
    let mut last: HashMap<Uuid, u32> = HashMap::new();
    for row in rows {
        let before = last.insert(row.stream, row.version).unwrap_or_default();
        ensure!(row.version == before + 1, "version {} of {} follows {before}", row.version, row.stream);
    }
    ensure!(rows.is_sorted_by(|one, next| one.position < next.position), "positions rise");
    Ok(())
}

pub(crate) async fn the_feed_has_every_row_once(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    ensure!(follow(&store, FeedPosition::START, 10).await?.is_empty(), "nothing was written");
    let epochs = claim_all(&store).await?;
    let (one, two) = (start_in(3, epochs[3], "order-1"), start_in(1, epochs[1], "order-2"));
    commit_all(&store, &[two.clone(), one.clone()]).await?;
    commit_all(&store, &[after(&two), after(&one)]).await?;
    commit(&store, &after(&after(&one))).await?;
    let all = follow(&store, FeedPosition::START, 100).await?;
    each_once_and_in_order(&all)?;
    assert_eq!(all.len(), 5);
    for limit in 1..=5 {
        assert_eq!(follow(&store, FeedPosition::START, limit).await?, all, "pages of {limit}");
    }
    for (number, row) in all.iter().enumerate() {
        assert_eq!(follow(&store, row.position, 2).await?, all[number + 1..]);
        assert_eq!(follow(&store, row.position.before(), 2).await?, all[number..]);
    }
    assert_eq!(all[0].row.as_ref().context("the journal has it")?.payload, b"started");
    let extent = settled(&store).await?;
    assert_eq!((extent.oldest, extent.newest), (FeedPosition::START, all[4].position));
    assert_eq!((extent.newest_at_ms, extent.held_since_ms), (Some(one.recorded_at_ms + 2_000), None));
    let reader = place.reader().await?;
    assert_eq!(names(&follow(&reader, FeedPosition::START, 100).await?), names(&all));
    Ok(())
}

pub(crate) async fn what_is_not_written_is_not_in_the_feed(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    commit(&store, &first).await?;
    let old = StreamAppend { epoch: ShardEpoch(epoch.0 - 1), ..start(epoch, "order-2") };
    for (refused, answer) in [
        (rival_of(&first), AppendOutcome::Conflict),
        (after(&after(&first)), AppendOutcome::Conflict),
        (first.clone(), AppendOutcome::Committed),
        (old, AppendOutcome::Fenced),
    ] {
        assert_eq!(append(&store, &refused).await?, answer);
    }
    let answers = store.append(&[start(epoch, "order-1"), after(&first)]).await?;
    ensure!(matches!(answers[..], [AppendOutcome::DuplicateKey { .. }, AppendOutcome::Committed]), "{answers:?}");
    let all = follow(&store, FeedPosition::START, 10).await?;
    assert_eq!(names(&all), [(first.stream, 1), (first.stream, 2)]);
    Ok(())
}

pub(crate) async fn a_page_of_the_feed_is_bounded_by_its_bytes(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = StreamAppend { payload: vec![b'x'; 400], ..start(epoch, "order-1") };
    let large = StreamAppend { payload: vec![b'y'; 1_000_000], ..after(&first) };
    let empty = StreamAppend { payload: Vec::new(), ..after(&large) };
    for append in [&first, &large, &empty] {
        commit(&store, append).await?;
    }
    settled(&store).await?;
    let mut at = FeedPosition::START;
    // One row is read however large it is, and the row before it, which a sealed store makes longer, does not count.
    for expected in [(500, vec![1, 2]), (0, vec![3])] {
        let page = store.feed(at, 10, expected.0).await?.rows;
        assert_eq!(page.iter().map(|row| row.version).collect::<Vec<_>>(), expected.1);
        at = page.last().context("a page is not empty")?.position;
    }
    let versions = |rows: Vec<FeedRow>| rows.iter().map(|row| row.version).collect::<Vec<_>>();
    assert_eq!(versions(store.feed(FeedPosition::START, 10, 400).await?.rows), [1]);
    assert_eq!(versions(store.feed(FeedPosition::START, 10, u64::MAX).await?.rows), [1, 2, 3]);
    assert_eq!(versions(store.feed(FeedPosition::START, 0, 400).await?.rows), [1], "a page has a row");
    Ok(())
}

/// Rows of the largest batch, of which every page gets few.
pub(crate) async fn a_large_batch_is_read_in_pages(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let batch: Vec<StreamAppend> = (0..1024).map(|number| start(epoch, &format!("order-{number}"))).collect();
    commit_all(&store, &batch).await?;
    let last = start(epoch, "the last");
    commit(&store, &last).await?;
    let all = follow(&store, FeedPosition::START, 100).await?;
    each_once_and_in_order(&all)?;
    assert_eq!((all.len(), all[1024].stream), (1025, last.stream));
    assert_eq!(follow(&store, all[1022].position, 1).await?, all[1023..]);
    Ok(())
}

pub(crate) async fn a_cursor_of_another_store_is_refused(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    commit(&store, &after(&first)).await?;
    let newest = settled(&store).await?.newest;
    let mut text = newest.to_string();
    let end = text.pop().context("a cursor is not empty")?;
    text.push(if end == '0' { '1' } else { '0' });
    let ahead = "999999.1.1.9c0d1e2f".to_owned();
    for wrong in [text, ahead] {
        match store.feed(wrong.parse()?, 10, ROOM).await {
            Err(error @ FeedError::Unknown { .. }) => {
                let said = error.to_string();
                ensure!(said.contains(&wrong) && said.contains(&newest.to_string()), "{said}");
            }
            other => anyhow::bail!("{wrong} is unknown, not {other:?}"),
        }
    }
    ensure!(store.feed(newest, 10, ROOM).await?.rows.is_empty());
    Ok(())
}

/// A database that was put back gives positions again; the reader must not take them for its own.
pub(crate) async fn a_cursor_of_lost_rows_is_refused(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    commit(&store, &first).await?;
    commit(&store, &after(&first)).await?;
    let all = follow(&store, FeedPosition::START, 10).await?;
    place.run("DELETE FROM commits").await?;
    let lost = store.feed(all[1].position, 10, ROOM).await;
    ensure!(matches!(lost, Err(FeedError::Unknown { after, .. }) if after == all[1].position), "{lost:?}");
    ensure!(store.feed(FeedPosition::START, 10, ROOM).await?.rows.is_empty());
    Ok(())
}

pub(crate) async fn a_row_that_the_journal_no_longer_has_is_named(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), StreamAppend { recorded_at_ms: 77, ..start(epoch, "order-2") });
    commit(&store, &one).await?;
    commit(&store, &two).await?;
    let known = settled(&store).await?.newest;
    commit(&store, &after(&one)).await?;
    place.run("DELETE FROM journal WHERE recorded_at = 77").await?;
    let all = follow(&store, FeedPosition::START, 10).await?;
    assert_eq!(names(&all), [(one.stream, 1), (two.stream, 1), (one.stream, 2)]);
    assert_eq!(all.iter().map(|row| row.row.is_some()).collect::<Vec<_>>(), [true, false, true]);
    // A cursor stays valid.
    assert_eq!(follow(&store, known, 10).await?, all[2..]);
    Ok(())
}

pub(crate) async fn whoever_follows_the_feed_gets_each_row_once(place: &dyn Place) -> Result<()> {
    const STREAMS: usize = 40;
    const VERSIONS: u32 = 5;
    let store = place.engine().await?;
    let epochs = claim_all(&store).await?;
    let mut writers = tokio::task::JoinSet::new();
    for (shard, epoch) in (0..4_u16).zip(epochs) {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let key = |number| format!("order-{shard}-{number}");
            let mut rows: Vec<_> = (0..STREAMS / 4).map(|number| start_in(shard, epoch, &key(number))).collect();
            for _ in 0..VERSIONS {
                commit_all(&store, &rows).await?;
                rows = rows.iter().map(after).collect();
            }
            anyhow::Ok(())
        });
    }
    let mut seen: Vec<FeedRow> = Vec::new();
    while seen.len() < STREAMS * VERSIONS as usize {
        let at = seen.last().map_or(FeedPosition::START, |row| row.position);
        seen.extend(store.feed(at, 7, ROOM).await?.rows);
        each_once_and_in_order(&seen)?;
        tokio::task::yield_now().await;
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    assert_eq!(follow(&store, FeedPosition::START, 1_000).await?, seen);
    Ok(())
}
