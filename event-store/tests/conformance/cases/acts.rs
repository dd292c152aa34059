//! What people did to streams.

use crate::{
    place::{Place, Store},
    streams::{after, claim, commit, commit_all, start},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{
    ActPosition, ActQuery, ActSelection, ActSource, AppendOutcome, MAX_ACT_TEXT_BYTES, MAX_WHO_BYTES, NewNote,
    ShardEpoch, StoreError, StreamAct, StreamAppend,
};
use uuid::Uuid;

/// As JSON, which the store does not read.
const BEFORE: &str = "{\"status\":\"parked\",\"step\":\"charge\"}";

/// Past the store: an act on a letter that is not there any more.
const ACT_ON_LETTER: &str = "INSERT INTO letter_acts \
                             (letter, at, topic, partition, position, id, who, action, why, act_id) \
                             VALUES (1, 1, 'dlq', 0, 0, 'l', 'ada', 'discard', 'old', 'a')";

fn source(who: &str) -> ActSource {
    let text = |text: &str| Some(text.to_owned());
    ActSource { subject: text(who), token: text("key:ops"), address: text("10.0.0.7:5512"), request: None }
}

fn act(append: StreamAppend, who: &str) -> StreamAppend {
    let act = StreamAct {
        id: append.append_id.to_string(),
        who: who.to_owned(),
        action: "retry".to_owned(),
        reason: "token renewed".to_owned(),
        source: source(who),
        before: Some(BEFORE.to_owned()),
        after: None,
    };
    StreamAppend { act: Some(act), ..append }
}

fn all() -> ActQuery {
    ActQuery {
        scope: ActSelection::All,
        since_ms: i64::MIN,
        before: ActPosition::END,
        action: String::new(),
        limit: 100,
    }
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
    assert_eq!((&newest.act.source, newest.act.before.as_deref()), (&source("ada"), Some(BEFORE)));
    assert_eq!(newest.act.after, None);
    for (action, found) in [("retry", 3), ("ret", 0), ("retry now", 0), ("nul\0", 0)] {
        let acts = store.acts(&ActQuery { action: action.into(), ..all() }).await?;
        assert_eq!(acts.len(), found, "{action}");
    }
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
    let endless = StreamAct { before: Some("x".repeat(MAX_ACT_TEXT_BYTES + 1)), ..StreamAct::default() };
    let endless = StreamAppend { act: Some(StreamAct { who: "ada".into(), ..endless }), ..after(&row) };
    assert!(matches!(store.append(&[endless]).await, Err(StoreError::Limit(_))));
    let longest = act(after(&row), &"ä".repeat(MAX_WHO_BYTES / 2));
    commit(&store, &longest).await?;
    Ok(())
}

pub(crate) async fn the_database_itself_refuses_to_change_or_remove_what_was_done(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    acted(&store).await?;
    let note = NewNote { id: Uuid::new_v4(), topic: "guards".into(), body: "{}".into(), at_ms: 1 };
    store.add_note(&note).await?;
    place.run(ACT_ON_LETTER).await?;
    for (table, column) in [("acts", "who"), ("letter_acts", "who"), ("notes", "body")] {
        let count = place.rows(table).await?;
        ensure!(count > 0, "{table} has rows");
        refused(place, &format!("UPDATE {table} SET {column} = 'nobody'"), table).await?;
        refused(place, &format!("DELETE FROM {table}"), table).await?;
        assert_eq!(place.rows(table).await?, count);
    }
    Ok(())
}

/// What a server also has.
pub(crate) async fn what_was_done_is_not_emptied_and_no_setting_of_a_session_helps(place: &dyn Place) -> Result<()> {
    place.engine().await?;
    for table in ["acts", "letter_acts", "notes"] {
        refused(place, &format!("TRUNCATE {table}"), table).await?;
        refused(place, &format!("DELETE FROM {table} WHERE at < 0"), table).await?;
        let as_replica = format!("SET session_replication_role = replica; DELETE FROM {table}");
        refused(place, &as_replica, table).await?;
    }
    Ok(())
}

async fn refused(place: &dyn Place, statement: &str, table: &str) -> Result<()> {
    let error = place.run(statement).await.err().with_context(|| format!("`{statement}` is refused"))?;
    let said = format!("{error:#}");
    ensure!(said.contains("the audit is append-only") && said.contains(table), "{statement}: {said}");
    Ok(())
}
