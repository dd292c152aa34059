//! Keys: each starts one stream, ever.

use crate::{
    place::{Place, Store},
    streams::{CATEGORY, all, append, claim, commit, commit_all, hash_of, in_category, start},
};
use anyhow::{Result, ensure};
use saga_event_store::{AppendOutcome, NewStreamKey, ShardEpoch, StreamAppend, StreamFilter, StreamKeyHolder};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) async fn a_taken_key_is_answered_with_its_stream(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    commit(&store, &first).await?;
    let second =
        StreamAppend { new_key: Some(NewStreamKey::new(CATEGORY, "order-1", [9; 32])), ..start(epoch, "order-1") };
    let taken = AppendOutcome::DuplicateKey { stream: first.stream, payload_hash: hash_of("order-1") };
    assert_eq!(append(&store, &second).await?, taken);
    assert_eq!(append(&store, &second).await?, taken);
    assert_eq!(store.read(second.stream).await?, []);
    assert_eq!(store.summary(second.stream).await?, None);
    Ok(())
}

pub(crate) async fn a_key_is_taken_in_its_category_only(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let refund = in_category("refund", start(epoch, "order-1"));
    commit_all(&store, &[start(epoch, "order-1"), refund]).await
}

/// A stream can take a key that is not its own: then two streams have the same business key, and a third stream cannot
/// take what the second one took.
pub(crate) async fn a_stream_can_take_another_key_than_its_own(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    let taken = NewStreamKey::new("order/again", first.stream.to_string(), [1; 32]);
    let second = StreamAppend { new_key: Some(taken.clone()), ..start(epoch, "order-1") };
    commit_all(&store, &[first.clone(), second.clone()]).await?;
    commit(&store, &second).await?;

    let third = StreamAppend {
        new_key: Some(NewStreamKey::new(taken.category.as_str(), taken.key.as_str(), [2; 32])),
        ..start(epoch, "order-1")
    };
    let duplicate = AppendOutcome::DuplicateKey { stream: second.stream, payload_hash: [1; 32] };
    assert_eq!(append(&store, &third).await?, duplicate);
    assert_eq!(store.read(third.stream).await?, []);

    let of_first = StreamKeyHolder { stream: first.stream, payload_hash: hash_of("order-1") };
    let of_second = StreamKeyHolder { stream: second.stream, payload_hash: [1; 32] };
    assert_eq!(store.key_holder(CATEGORY, "order-1").await?, Some(of_first));
    assert_eq!(store.key_holder(&taken.category, &taken.key).await?, Some(of_second));
    assert_eq!(store.key_holder(&taken.category, "order-1").await?, None);
    let listed = store.list(&StreamFilter { key: Some("order-1".into()), ..all() }).await?;
    assert_eq!(listed.iter().map(|it| it.stream).collect::<Vec<_>>(), [second.stream, first.stream]);
    Ok(())
}

pub(crate) async fn keys_differ_by_their_bytes(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let keys =
        ["order-1", "Order-1", "order-1 ", " order-1", "ordér", "orde\u{301}r", "4711", "4711.0", "鍵", "' OR 1=1 --"];
    let starts: Vec<StreamAppend> = keys.iter().map(|key| start(epoch, key)).collect();
    commit_all(&store, &starts).await?;
    for first in &starts {
        let answer = append(&store, &start(epoch, &first.key)).await?;
        ensure!(
            matches!(answer, AppendOutcome::DuplicateKey { stream, .. } if stream == first.stream),
            "{}",
            first.key
        );
    }
    Ok(())
}

pub(crate) async fn of_two_streams_with_one_key_in_a_batch_one_wins(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let (one, two) = (start(epoch, "order-1"), start(epoch, "order-1"));
    let answers = store.append(&[one.clone(), two.clone()]).await?;
    let winner = the_winner(&[one, two], &answers)?;
    assert_eq!(place.rows("journal").await?, 1);
    ensure!(!store.read(winner).await?.is_empty());
    Ok(())
}

pub(crate) async fn of_many_starts_with_one_key_one_wins(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    for round in 0..5 {
        let starts: Vec<StreamAppend> = (0..8).map(|_| start(epoch, &format!("order-{round}"))).collect();
        let tasks: Vec<_> =
            starts.iter().map(|it| tokio::spawn(append_owned(Arc::clone(&store), it.clone()))).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await??);
        }
        the_winner(&starts, &answers)?;
    }
    assert_eq!((place.rows("journal").await?, place.rows("stream_keys").await?), (5, 5));
    Ok(())
}

/// The stream that was committed; all others have to name it.
fn the_winner(starts: &[StreamAppend], answers: &[AppendOutcome]) -> Result<Uuid> {
    let position = answers.iter().position(|answer| *answer == AppendOutcome::Committed);
    let winner = position.and_then(|it| starts.get(it)).ok_or_else(|| anyhow::anyhow!("nobody won: {answers:?}"))?;
    let lost = AppendOutcome::DuplicateKey { stream: winner.stream, payload_hash: hash_of(&winner.key) };
    let losers = answers.iter().filter(|answer| **answer == lost).count();
    ensure!(losers == answers.len() - 1, "the others know who won: {answers:?}");
    Ok(winner.stream)
}

async fn append_owned(store: Store, row: StreamAppend) -> Result<AppendOutcome> {
    append(&store, &row).await
}

/// A key is taken together with the first row, or not at all: not by a fenced writer, and not where the version is
/// another's.
pub(crate) async fn a_refused_start_takes_no_key(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    commit(&store, &first).await?;
    let fenced = start(ShardEpoch(epoch.0 - 1), "order-2");
    let conflicting = StreamAppend { stream: first.stream, ..start(epoch, "order-3") };
    let answers = store.append(&[fenced, conflicting]).await?;
    assert_eq!(answers, [AppendOutcome::Fenced, AppendOutcome::Conflict]);
    assert_eq!(place.rows("stream_keys").await?, 1);
    commit_all(&store, &[start(epoch, "order-2"), start(epoch, "order-3")]).await
}
