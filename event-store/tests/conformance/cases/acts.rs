//! What people did to streams.

use crate::{
    place::{Place, Store},
    streams::{after, claim, commit, commit_all, start},
};
use anyhow::Result;
use saga_event_store::{
    ActPosition, ActQuery, ActSelection, AppendOutcome, MAX_WHO_BYTES, ShardEpoch, StoreError, StreamAct, StreamAppend,
};
use uuid::Uuid;

fn act(append: StreamAppend, who: &str) -> StreamAppend {
    let act = StreamAct {
        id: append.append_id.to_string(),
        who: who.to_owned(),
        action: "retry".to_owned(),
        reason: "token renewed".to_owned(),
    };
    StreamAppend { act: Some(act), ..append }
}

fn all() -> ActQuery {
    ActQuery { scope: ActSelection::All, since_ms: i64::MIN, before: ActPosition::END, limit: 100 }
}

async fn found(store: &Store, wanted: &ActQuery) -> Result<Vec<(Uuid, u32)>> {
    let acts = store.acts(wanted).await?;
    Ok(acts.into_iter().map(|it| (it.position.stream, it.position.version)).collect())
}

/// Two streams: three acts of two people, and rows without any.
async fn acted(store: &Store) -> Result<(ShardEpoch, StreamAppend, StreamAppend)> {
    let epoch = claim(store).await?;
    let (one, two) = (start(epoch, "order-1"), start(epoch, "order-2"));
    commit_all(store, &[one.clone(), two.clone()]).await?;
    let (first, second) = (act(after(&one), "ada"), act(after(&two), "ben"));
    commit_all(store, &[first.clone(), second]).await?;
    let third = act(after(&after(&first)), "ada");
    commit_all(store, &[after(&first)]).await?;
    commit(store, &third).await?;
    Ok((epoch, one, two))
}

pub(crate) async fn acts_are_found_newest_first_by_person_and_by_stream(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    assert_eq!(found(&store, &all()).await?, []);
    let (_, one, two) = acted(&store).await?;
    let (a, b) = (one.stream, two.stream);
    assert_eq!(found(&store, &all()).await?, [(a, 4), (b, 2), (a, 2)], "of one time the greater stream first");
    assert_eq!(found(&store, &ActQuery { scope: ActSelection::By("ada".into()), ..all() }).await?, [(a, 4), (a, 2)]);
    assert_eq!(found(&store, &ActQuery { scope: ActSelection::By("nul\0".into()), ..all() }).await?, []);
    assert_eq!(found(&store, &ActQuery { scope: ActSelection::On(b), ..all() }).await?, [(b, 2)]);
    let newest = &store.acts(&all()).await?[0];
    assert_eq!((newest.key.as_str(), newest.act.who.as_str()), ("order-1", "ada"));
    assert_eq!((newest.act.action.as_str(), newest.act.reason.as_str()), ("retry", "token renewed"));
    let since_ms = newest.position.at_ms;
    assert_eq!(found(&store, &ActQuery { since_ms, ..all() }).await?, [(a, 4)]);
    let between: Vec<u32> =
        store.acts_between(a, a).await?.unwrap_or_default().iter().map(|it| it.position.version).collect();
    assert_eq!(between, [2, 4]);
    assert_eq!(store.acts_between(a, b).await?.map(|acts| acts.len()), Some(3));
    Ok(())
}

pub(crate) async fn acts_have_pages(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    acted(&store).await?;
    let all_at_once = store.acts(&all()).await?;
    let (mut paged, mut before) = (Vec::new(), ActPosition::END);
    while let [act] = store.acts(&ActQuery { before, limit: 1, ..all() }).await?.as_slice() {
        before = act.position;
        paged.push(act.clone());
    }
    assert_eq!(paged, all_at_once);
    Ok(())
}

pub(crate) async fn an_act_is_there_if_and_only_if_its_row_is(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let first = start(epoch, "order-1");
    commit(&store, &first).await?;
    let row = act(after(&first), "ada");
    let gap = act(StreamAppend { version: 7, ..after(&first) }, "ben");
    assert_eq!(store.append(&[gap]).await?, [AppendOutcome::Conflict]);
    let late = act(StreamAppend { epoch: ShardEpoch(epoch.0 - 1), ..after(&first) }, "ben");
    assert_eq!(store.append(&[late]).await?, [AppendOutcome::Fenced]);
    commit(&store, &row).await?;
    commit(&store, &row).await?;
    let rival = act(StreamAppend { append_id: Uuid::new_v4(), ..row.clone() }, "ben");
    assert_eq!(store.append(&[rival]).await?, [AppendOutcome::Conflict]);
    let acts = store.acts(&all()).await?;
    assert_eq!(acts.iter().map(|it| it.act.who.as_str()).collect::<Vec<_>>(), ["ada"]);
    let unnamed = act(after(&row), "");
    assert!(matches!(store.append(&[unnamed]).await, Err(StoreError::Limit(_))));
    let longest = act(after(&row), &"ä".repeat(MAX_WHO_BYTES / 2));
    commit(&store, &longest).await?;
    Ok(())
}
