//! What a new owner of a shard reads.

use crate::{
    place::{Place, Store},
    streams::{SHARD, after, all, claim, claim_all, commit, commit_all, showing, start, start_in},
};
use anyhow::{Result, ensure};
use saga_event_store::{MAX_PAGE, StoreError, StreamAppend};
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
    let mut starts: Vec<StreamAppend> = (0..25).map(|number| start(epoch, &format!("order-{number}"))).collect();
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
    ensure!(matches!(store.read_many(&many).await, Err(StoreError::Limit(_))));
    Ok(())
}

pub(crate) async fn many_streams_are_read_within_bounds(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let of_size = |key: &str, bytes| StreamAppend { payload: vec![b'x'; bytes], ..start(epoch, key) };
    // The third is larger than any bound below; the database keeps it apart from its row.
    let (one, two, three) = (of_size("order-1", 400), of_size("order-2", 500), of_size("order-3", 1_000_000));
    let unwritten = start(epoch, "order-4").stream;
    let four = of_size("order-5", 0);
    commit_all(&store, &[one.clone(), two.clone(), three.clone(), four.clone()]).await?;
    commit(&store, &StreamAppend { payload: vec![b'y'; 100], ..after(&one) }).await?;
    let (a, b, c, d) = (one.stream, two.stream, three.stream, four.stream);
    let (asked, added) = ([d, c, a, unwritten, b, a], 3 * place.added_bytes());
    let first = [(a, 1), (a, 2), (b, 1)];
    assert_eq!(within(&store, &asked, 1000 + added).await?, (first.to_vec(), vec![c, unwritten, d]));
    assert_eq!(within(&store, &asked, 999 + added).await?, (first[..2].to_vec(), vec![b, c, unwritten, d]));
    // One is read however large it is, whole.
    assert_eq!(within(&store, &asked, 0).await?, (first[..2].to_vec(), vec![b, c, unwritten, d]));
    // What has no bytes comes with it.
    let with_it = if added == 0 { (vec![(c, 1), (d, 1)], vec![]) } else { (vec![(c, 1)], vec![d]) };
    assert_eq!(within(&store, &[c, unwritten, d], 1).await?, with_it);
    assert_eq!(within(&store, &asked, u64::MAX).await?, ([&first[..], &[(c, 1), (d, 1)]].concat(), vec![]));
    let many = vec![a; MAX_PAGE as usize + 1];
    ensure!(matches!(store.read_within(&many, 1).await, Err(StoreError::Limit(_))));
    Ok(())
}

/// A page is read to its end, each stream once and whole, by asking for what was left.
pub(crate) async fn what_was_left_is_read_next(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let starts: Vec<StreamAppend> = (0..25).map(|number| start(epoch, &format!("order-{number}"))).collect();
    commit_all(&store, &starts).await?;
    commit_all(&store, &starts.iter().map(after).collect::<Vec<_>>()).await?;
    let page = store.open_streams(SHARD, None, 25).await?;
    let most = 100 + 10 * place.added_bytes();
    let (mut left, mut rows, mut portions) = (page.clone(), Vec::new(), 0);
    while !left.is_empty() {
        let portion = store.read_within(&left, most).await?;
        let bytes: usize = portion.rows.iter().map(|(_, row)| row.payload.len()).sum();
        ensure!(bytes <= 100, "a portion has {bytes} bytes");
        (left, portions) = (portion.left, portions + 1);
        rows.extend(portion.rows);
    }
    // Two rows have 17 bytes, so five streams are a portion.
    assert_eq!(portions, 5);
    assert_eq!(rows, store.read_many(&page).await?);
    Ok(())
}

/// Neither is a payload that has an outline loaded, nor does it count.
pub(crate) async fn outlines_are_read_in_place_of_large_rows(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let large = |append: StreamAppend| StreamAppend {
        payload: vec![b'x'; 1_000_000],
        outline: Some(format!("outline {}", append.version).into_bytes()),
        ..append
    };
    let (one, two) = (large(start(epoch, "order-1")), start(epoch, "order-2"));
    commit_all(&store, &[one.clone(), two.clone()]).await?;
    let (small, again) = (after(&one), large(after(&after(&one))));
    commit(&store, &StreamAppend { outline: None, ..small.clone() }).await?;
    commit(&store, &again).await?;
    commit(&store, &again).await?;
    let portion = store.outlines_within(&[two.stream, one.stream, one.stream], 100 + 4 * place.added_bytes()).await?;
    let read: Vec<&[u8]> = portion.rows.iter().map(|(_, row)| row.payload.as_slice()).collect();
    assert_eq!(read, [&b"outline 1"[..], &small.payload, b"outline 3", &two.payload]);
    let most = 30 + 3 * place.added_bytes();
    assert_eq!(store.outlines_within(&[one.stream, two.stream], most).await?.left, [two.stream]);
    assert_eq!(store.read(one.stream).await?[0].payload, one.payload);
    let whole = store.read_many(&[one.stream]).await?;
    assert_eq!(whole[2].1.payload, again.payload);
    let many = vec![one.stream; MAX_PAGE as usize + 1];
    ensure!(matches!(store.outlines_within(&many, 1).await, Err(StoreError::Limit(_))));
    Ok(())
}

/// Which rows are read, and which streams are left.
async fn within(store: &Store, streams: &[Uuid], max_bytes: u64) -> Result<(Vec<(Uuid, u32)>, Vec<Uuid>)> {
    let portion = store.read_within(streams, max_bytes).await?;
    Ok((portion.rows.iter().map(|(stream, row)| (*stream, row.version)).collect(), portion.left))
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
    store.heartbeat("engine", 1).await?;
    Ok(())
}
