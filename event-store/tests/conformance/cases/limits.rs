//! Limits: what breaks one is refused before anything is sent, so that the other appends can be sent without it.

use crate::{
    place::{Place, Store},
    streams::{CATEGORY, after, all, claim, commit, in_category, start, versions},
};
use anyhow::{Result, ensure};
use saga_event_store::{
    MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_CATEGORY_BYTES, MAX_KEY_BYTES, StoreError, StreamAppend, StreamFilter,
    SummaryUpdate,
};

pub(crate) async fn what_breaks_a_limit_is_refused_before_it_is_sent(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let good = start(epoch, "order-1");
    for (what, bad) in bad_appends(&start(epoch, "order-2")) {
        refuses(&store, what, &[good.clone(), bad]).await?;
    }
    let twice = [good.clone(), after(&good)];
    refuses(&store, "two appends of one stream", &twice).await?;
    let rows: Vec<StreamAppend> = (0..=MAX_BATCH_ROWS).map(|number| start(epoch, &format!("many-{number}"))).collect();
    refuses(&store, "too many rows", &rows).await?;
    let half = || vec![b'x'; MAX_BATCH_BYTES / 2 + 1];
    let large = [
        StreamAppend { payload: half(), ..start(epoch, "large-1") },
        StreamAppend { payload: half(), ..start(epoch, "large-2") },
    ];
    refuses(&store, "too many bytes", &large).await?;
    assert_eq!((place.rows("journal").await?, place.rows("stream_keys").await?), (0, 0));
    commit(&store, &good).await
}

fn bad_appends(good: &StreamAppend) -> Vec<(&'static str, StreamAppend)> {
    let with = |change: fn(&mut StreamAppend)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let summary = |change: fn(&mut SummaryUpdate)| {
        let mut bad = good.clone();
        bad.summary.iter_mut().for_each(change);
        bad
    };
    vec![
        ("an empty key", with(|it| it.key.clear())),
        ("a long key", with(|it| it.key = "k".repeat(MAX_KEY_BYTES + 1))),
        ("a key with NUL", with(|it| it.key = "order\0".into())),
        ("an empty category", with(|it| it.category.clear())),
        ("a long category", with(|it| it.category = "c".repeat(MAX_CATEGORY_BYTES + 1))),
        ("a category with NUL", with(|it| it.category = "or\0der".into())),
        ("version 0", with(|it| it.version = 0)),
        ("a version that is no integer of the database", with(|it| it.version = u32::MAX)),
        ("a status with NUL", summary(|it| it.status = "\0".into())),
        ("a document with NUL", summary(|it| it.document = "a\0b".into())),
        ("a step with NUL", summary(|it| it.step = Some("charge\0".into()))),
        ("a reason with NUL", summary(|it| it.reason = Some("it said \0".into()))),
    ]
}

async fn refuses(store: &Store, what: &str, batch: &[StreamAppend]) -> Result<()> {
    match store.append(batch).await {
        Err(error @ StoreError::Limit(_)) => {
            ensure!(!error.is_transient(), "{what}: {error} will not go away by itself");
        }
        other => anyhow::bail!("{what} is refused, not {other:?}"),
    }
    Ok(())
}

pub(crate) async fn what_just_keeps_the_limits_is_taken(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let epoch = claim(&store).await?;
    let long = in_category(&"c".repeat(MAX_CATEGORY_BYTES), start(epoch, &"ä".repeat(MAX_KEY_BYTES / 2)));
    commit(&store, &long).await?;
    let found = store.list(&StreamFilter { key: Some(long.key.clone()), ..all() }).await?;
    assert_eq!(found.iter().map(|row| row.stream).collect::<Vec<_>>(), [long.stream]);
    let large = StreamAppend { payload: vec![b'x'; MAX_BATCH_BYTES], ..start(epoch, "large") };
    commit(&store, &large).await?;
    assert_eq!(store.read(large.stream).await?[0].payload.len(), MAX_BATCH_BYTES);
    let reason = SummaryUpdate { reason: Some("because ".repeat(10_000)), ..summary_of(&large)? };
    commit(&store, &StreamAppend { summary: Some(reason.clone()), ..after(&large) }).await?;
    assert_eq!(store.summary(large.stream).await?.and_then(|it| it.reason), reason.reason);
    assert_eq!(versions(&store, large.stream).await?, [1, 2]);
    Ok(())
}

fn summary_of(append: &StreamAppend) -> Result<SummaryUpdate> {
    append.summary.clone().ok_or_else(|| anyhow::anyhow!("a start shows its status"))
}

pub(crate) async fn a_text_with_nul_finds_nothing_and_is_not_kept(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    commit(&store, &start(claim(&store).await?, "order-1")).await?;
    let nul = || Some("order-1\0".to_owned());
    assert_eq!(store.list(&StreamFilter { key: nul(), ..all() }).await?, []);
    assert_eq!(store.list(&StreamFilter { category: Some(format!("{CATEGORY}\0")), ..all() }).await?, []);
    let statuses = vec!["running\0".to_owned(), "parked".to_owned()];
    assert_eq!(store.list(&StreamFilter { statuses, ..all() }).await?, []);
    assert_eq!(store.get_document("saga", "\0").await?, None);
    for (kind, hash, body) in [("saga\0", "d0", "saga: x"), ("saga", "d\0", "saga: x"), ("saga", "d0", "saga: \0")] {
        ensure!(matches!(store.put_document(kind, hash, body).await, Err(StoreError::Limit(_))));
    }
    ensure!(matches!(store.claim(0, "engine\0").await, Err(StoreError::Limit(_))));
    assert_eq!(place.rows("documents").await?, 0);
    Ok(())
}
