//! All rows of a store, page after page.

use crate::{
    place::{Place, Store},
    streams::{after, claim, claim_all, commit, commit_all, showing, start, start_in},
};
use anyhow::{Result, ensure};
use saga_event_store::{MAX_PAGE, RowPosition, StoreError, StreamAppend};
use uuid::Uuid;

/// More than all payloads of a test together.
const ROOM: u64 = 1 << 20;

async fn page(store: &Store, after: (Uuid, u32), limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, u32)>> {
    let after = RowPosition { stream: after.0, version: after.1 };
    let rows = store.scan(after, limit, max_bytes).await?;
    Ok(rows.iter().map(|(stream, row)| (*stream, row.version)).collect())
}

pub(crate) async fn rows_of_all_streams_are_read_in_order(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epochs = claim_all(&store).await?;
    let (one, two) = (start_in(3, epochs[3], "order-1"), start_in(1, epochs[1], "order-2"));
    commit_all(&store, &[two.clone(), one.clone()]).await?;
    commit_all(&store, &[after(&two), after(&one)]).await?;
    commit(&store, &after(&after(&one))).await?;
    let (a, b) = (one.stream, two.stream);
    let all = [(a, 1), (a, 2), (a, 3), (b, 1), (b, 2)];
    assert_eq!(page(&store, (Uuid::nil(), 0), 100, ROOM).await?, all);
    assert_eq!(page(&store, (Uuid::nil(), 0), 2, ROOM).await?, all[..2]);
    assert_eq!(page(&store, all[1], 2, ROOM).await?, all[2..4]);
    assert_eq!(page(&store, (b, 0), 100, ROOM).await?, all[3..]);
    assert_eq!(page(&store, (a, i32::MAX.unsigned_abs()), 100, ROOM).await?, all[3..]);
    assert_eq!(page(&store, all[4], 100, ROOM).await?, []);
    let rows = store.scan(RowPosition::default(), 1, ROOM).await?;
    assert_eq!(rows[0].1.payload, one.payload);
    assert_eq!(store.next_stream(Uuid::nil()).await?, Some(a));
    assert_eq!(store.next_stream(a).await?, Some(b));
    assert_eq!(store.next_stream(b).await?, None);
    Ok(())
}

pub(crate) async fn a_page_of_rows_is_bounded_by_its_bytes(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    // The second is large enough that a database keeps it apart from its row.
    let first = StreamAppend { payload: vec![b'x'; 400], ..start(epoch, "order-1") };
    let large = StreamAppend { payload: vec![b'y'; 1_000_000], ..after(&first) };
    let empty = StreamAppend { payload: Vec::new(), ..after(&large) };
    for append in [&first, &large, &empty] {
        commit(&store, append).await?;
    }
    let (stream, added) = (first.stream, place.added_bytes());
    assert_eq!(page(&store, (stream, 0), 10, 400 + added).await?, [(stream, 1)]);
    assert_eq!(page(&store, (stream, 0), 10, 401 + added).await?, [(stream, 1), (stream, 2)]);
    // One row is read however large it is.
    assert_eq!(page(&store, (stream, 1), 10, 0).await?, [(stream, 2)]);
    assert_eq!(page(&store, (stream, 0), 10, u64::MAX).await?, [(stream, 1), (stream, 2), (stream, 3)]);
    Ok(())
}

pub(crate) async fn rows_of_the_read_model_are_read_for_many_streams(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), showing(start(epoch, "order-2"), "completed"));
    commit_all(&store, &[one.clone(), two.clone()]).await?;
    let mut found = store.summaries(&[two.stream, Uuid::new_v4(), one.stream]).await?;
    found.sort_by_key(|it| it.stream);
    let shown: Vec<(Uuid, &str, &str)> =
        found.iter().map(|it| (it.stream, it.key.as_str(), it.status.as_str())).collect();
    assert_eq!(shown, [(one.stream, "order-1", "running"), (two.stream, "order-2", "completed")]);
    assert_eq!(store.summaries(&[]).await?, []);
    let many = vec![one.stream; MAX_PAGE as usize + 1];
    ensure!(matches!(store.summaries(&many).await, Err(StoreError::Limit(_))));
    Ok(())
}

pub(crate) async fn an_unreadable_row_is_damage_of_its_page_alone(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), StreamAppend { recorded_at_ms: 77, ..start(epoch, "order-2") });
    let three = start(epoch, "order-3");
    commit_all(&store, &[one.clone(), two.clone(), three.clone()]).await?;
    place.damage("UPDATE journal SET version = -1 WHERE recorded_at = 77").await?;
    let whole = store.scan(RowPosition::default(), 10, ROOM).await;
    ensure!(whole.is_err_and(|error| error.is_damage()));
    assert_eq!(page(&store, (Uuid::nil(), 0), 1, ROOM).await?, [(one.stream, 1)]);
    assert_eq!(store.next_stream(one.stream).await?, Some(two.stream));
    assert_eq!(page(&store, (two.stream, 1), 10, ROOM).await?, [(three.stream, 1)]);
    Ok(())
}

pub(crate) async fn a_stream_of_the_read_model_without_rows_is_found(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let appends: Vec<StreamAppend> = (1..=4).map(|number| start(epoch, &format!("order-{number}"))).collect();
    let one = StreamAppend { recorded_at_ms: 77, ..appends[1].clone() };
    commit_all(&store, &[appends[0].clone(), one, appends[2].clone(), appends[3].clone()]).await?;
    place.run("DELETE FROM journal WHERE recorded_at = 77").await?;
    let expected: Vec<(Uuid, bool)> =
        appends.iter().zip([true, false, true, true]).map(|(it, has)| (it.stream, has)).collect();
    assert_eq!(store.journaled(Uuid::nil(), 100).await?, expected);
    assert_eq!(store.journaled(Uuid::nil(), 2).await?, expected[..2]);
    assert_eq!(store.journaled(expected[1].0, 2).await?, expected[2..]);
    assert_eq!(store.journaled(expected[3].0, 2).await?, []);
    Ok(())
}
