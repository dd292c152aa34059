//! What an append writes, and what it is answered.

use crate::{
    place::Place,
    streams::{CATEGORY, after, append, claim, commit, commit_all, hash_of, rival_of, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, MAX_BATCH_ROWS, ShardEpoch, StreamAppend, StreamRow};
use uuid::Uuid;

pub(crate) async fn an_append_is_read_back_as_it_was_written(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-4711");
    ensure!(append(&store, &first).await? == AppendOutcome::Committed);
    let written = StreamRow {
        version: 1,
        recorded_at_ms: first.recorded_at_ms,
        append_id: first.append_id,
        payload: first.payload.clone(),
    };
    assert_eq!(store.read(first.stream).await?, [written]);
    assert_eq!(store.read(Uuid::new_v4()).await?, []);
    Ok(())
}

pub(crate) async fn rows_are_read_in_the_order_of_their_versions(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let mut last = start(claim(&store).await?, "order-1");
    commit(&store, &last).await?;
    while last.version < 12 {
        last = after(&last);
        commit(&store, &last).await?;
    }
    assert_eq!(versions(&store, last.stream).await?, (1..=12).collect::<Vec<_>>());
    Ok(())
}

pub(crate) async fn payloads_are_bytes(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let payloads = [Vec::new(), vec![0], (0..=255).collect(), b"\xff\xfe \0 \xc3".to_vec(), vec![b'x'; 1 << 20]];
    for (number, payload) in payloads.into_iter().enumerate() {
        let row = StreamAppend { payload, ..start(epoch, &format!("order-{number}")) };
        commit(&store, &row).await?;
        ensure!(store.read(row.stream).await?[0].payload == row.payload, "payload {number} came back changed");
    }
    Ok(())
}

pub(crate) async fn a_version_that_is_taken_is_a_conflict(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    let second = after(&first);
    commit(&store, &first).await?;
    commit(&store, &second).await?;
    assert_eq!(append(&store, &rival_of(&second)).await?, AppendOutcome::Conflict);
    assert_eq!(append(&store, &rival_of(&first)).await?, AppendOutcome::Conflict);
    let kept: Vec<Uuid> = store.read(first.stream).await?.iter().map(|row| row.append_id).collect();
    assert_eq!(kept, [first.append_id, second.append_id]);
    Ok(())
}

pub(crate) async fn a_version_that_skips_one_is_a_conflict(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let first = start(claim(&store).await?, "order-1");
    let (second, third) = (after(&first), after(&after(&first)));
    assert_eq!(append(&store, &second).await?, AppendOutcome::Conflict);
    commit(&store, &first).await?;
    assert_eq!(append(&store, &third).await?, AppendOutcome::Conflict);
    assert_eq!(versions(&store, first.stream).await?, [1]);
    commit(&store, &second).await?;
    commit(&store, &third).await
}

/// As after a COMMIT whose answer was lost: the same bytes go first, and whatever became of them the answer is the
/// truth.
pub(crate) async fn a_repeat_finds_its_own_row(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (first, other) = (start(epoch, "order-1"), start(epoch, "order-2"));
    commit(&store, &first).await?;
    commit_all(&store, &[first.clone(), other.clone()]).await?;
    let second = after(&first);
    commit_all(&store, &[second.clone(), other.clone()]).await?;
    commit(&store, &first).await?;
    commit_all(&store, &[second, other]).await?;
    assert_eq!((place.rows("journal").await?, place.rows("stream_keys").await?), (3, 2));
    assert_eq!(place.rows("streams").await?, 2);
    Ok(())
}

pub(crate) async fn each_append_of_a_batch_is_answered_alone(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (old, own) = (start(epoch, "order-1"), start(epoch, "order-0"));
    commit_all(&store, &[old.clone(), own.clone()]).await?;
    let batch = [
        start(epoch, "order-2"),
        rival_of(&old),
        start(ShardEpoch(epoch.0 + 1), "order-3"),
        start(epoch, "order-1"),
        own,
        start(epoch, "order-4"),
    ];
    // The rival is a start, and its key is taken by its own stream: that is no duplicate.
    let taken = AppendOutcome::DuplicateKey { stream: old.stream, payload_hash: hash_of("order-1") };
    let answers = store.append(&batch).await?;
    let (done, conflict) = (AppendOutcome::Committed, AppendOutcome::Conflict);
    assert_eq!(answers, [done.clone(), conflict, AppendOutcome::Fenced, taken, done.clone(), done]);
    assert_eq!((place.rows("journal").await?, place.rows("stream_keys").await?), (4, 4));
    assert_eq!(store.summary(batch[5].stream).await?.map(|it| it.category), Some(CATEGORY.to_owned()));
    Ok(())
}

pub(crate) async fn a_batch_may_be_empty_or_full(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(store.append(&[]).await?, []);
    let epoch = claim(&store).await?;
    let full: Vec<StreamAppend> = (0..MAX_BATCH_ROWS).map(|number| start(epoch, &format!("order-{number}"))).collect();
    commit_all(&store, &full).await?;
    assert_eq!(place.rows("journal").await?, i64::try_from(MAX_BATCH_ROWS)?);
    Ok(())
}

pub(crate) async fn of_two_writers_of_a_version_one_wins(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let mut last = start(claim(&store).await?, "order-1");
    commit(&store, &last).await?;
    for _ in 0..20 {
        let (one, two) = (after(&last), after(&last));
        let answers = tokio::try_join!(append(&store, &one), append(&store, &two))?;
        last = match answers {
            (AppendOutcome::Committed, AppendOutcome::Conflict) => one,
            (AppendOutcome::Conflict, AppendOutcome::Committed) => two,
            both => anyhow::bail!("one is committed and the other is a conflict, not {both:?}"),
        };
        assert_eq!(store.read(last.stream).await?.last().map(|row| row.append_id), Some(last.append_id));
    }
    Ok(())
}
