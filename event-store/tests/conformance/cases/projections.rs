//! Projections: rows and the position up to which they are made, together.

use crate::place::{Place, Store};
use anyhow::{Context, Result, ensure};
use saga_event_store::{
    ArchiveReading, ChangeOutcome, FeedPosition, MAX_PROJECTED_BYTES, ProjectedRow, ProjectionChange,
    ProjectionGeneration, ProjectionStart, StoreError,
};
use std::sync::Arc;
use uuid::Uuid;

const NAME: &str = "outcomes";

fn position(number: u32) -> FeedPosition {
    format!("1.{number}.1.9c0d1e2f").parse().expect("a position")
}

fn row(key: &str, body: &str) -> ProjectedRow {
    ProjectedRow { key: key.to_owned(), body: body.to_owned() }
}

fn change(generation: i64, from: FeedPosition, to: FeedPosition, put: &[(&str, &str)]) -> ProjectionChange {
    ProjectionChange {
        name: NAME.into(),
        generation,
        from,
        to,
        archives_from: ArchiveReading::None,
        archives_to: ArchiveReading::None,
        left_out: None,
        at_ms: Some(7),
        put: put.iter().map(|(key, body)| row(key, body)).collect(),
        removed: Vec::new(),
    }
}

fn first() -> ProjectionStart {
    let (name, from, archives) = (NAME.to_owned(), FeedPosition::START, ArchiveReading::None);
    ProjectionStart { name, code_version: 1, from, archives, left_out: None }
}

async fn begun(place: &dyn Place) -> Result<Store> {
    let store = place.engine().await?;
    store.begin_projection(&first()).await?;
    Ok(store)
}

async fn generations(store: &Store) -> Result<Vec<(i64, bool)>> {
    Ok(store.projections().await?.iter().map(|it| (it.generation, it.is_live)).collect())
}

async fn keys(store: &Store, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>> {
    let page = store.projection_page(NAME, 1, prefix, after, limit).await?;
    Ok(page.into_iter().map(|row| row.key).collect())
}

pub(crate) async fn a_change_moves_rows_and_position_together(place: &dyn Place) -> Result<()> {
    let store = begun(place).await?;
    let first = change(1, FeedPosition::START, position(1), &[("b", "1"), ("a/ü\"\\", "2"), ("a/x", "3")]);
    assert_eq!(store.apply_projection(&first).await?, ChangeOutcome::Applied);
    let second = ProjectionChange {
        at_ms: None,
        removed: vec!["a/x".into(), "nothing".into()],
        ..change(1, position(1), position(2), &[("b", "4")])
    };
    assert_eq!(store.apply_projection(&second).await?, ChangeOutcome::Applied);
    assert_eq!(store.apply_projection(&second).await?, ChangeOutcome::Outdated);
    let wanted = ["b", "a/ü\"\\", "a/x"].map(str::to_owned);
    let mut found = store.projected(NAME, 1, &wanted).await?;
    found.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(found, [row("a/ü\"\\", "2"), row("b", "4")]);
    assert_eq!(store.projected(NAME, 2, &wanted).await?, []);
    assert_eq!(store.projected(NAME, 1, &[]).await?, []);
    let reader = place.reader().await?;
    assert_eq!(keys(&reader, "", "", 10).await?, ["a/ü\"\\", "b"]);
    assert_eq!(keys(&reader, "a/", "", 10).await?, ["a/ü\"\\"]);
    assert_eq!(keys(&reader, "", "a/ü\"\\", 10).await?, ["b"]);
    assert_eq!(keys(&reader, "", "", 1).await?.len(), 1);
    let expected = ProjectionGeneration {
        name: NAME.into(),
        generation: 1,
        code_version: 1,
        is_live: false,
        position: position(2),
        at_ms: Some(7),
        problem: None,
        archives: ArchiveReading::None,
        left_out: None,
    };
    assert_eq!(reader.projections().await?, [expected]);
    ensure!(reader.apply_projection(&second).await.is_err(), "a reader changes nothing");
    Ok(())
}

/// Two engines that both take themselves for the owner apply an event once.
pub(crate) async fn of_several_changes_from_one_position_one_is_applied(place: &dyn Place) -> Result<()> {
    let store = begun(place).await?;
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..6 {
        let store = Arc::clone(&store);
        let body = number.to_string();
        tries.spawn(async move {
            let change = change(1, FeedPosition::START, position(1), &[("count", &body)]);
            anyhow::Ok((body, store.apply_projection(&change).await?))
        });
    }
    let mut applied = Vec::new();
    while let Some(tried) = tries.join_next().await {
        let (body, outcome) = tried??;
        if outcome == ChangeOutcome::Applied {
            applied.push(body);
        }
    }
    ensure!(applied.len() == 1, "applied: {applied:?}");
    assert_eq!(store.projected(NAME, 1, &["count".into()]).await?, [row("count", &applied[0])]);
    Ok(())
}

pub(crate) async fn a_new_generation_takes_the_place_of_the_live_one(place: &dyn Place) -> Result<()> {
    let store = begun(place).await?;
    ensure!(store.switch_projection(NAME, 1).await?);
    store.begin_projection(&first()).await?;
    store.begin_projection(&first()).await?;
    assert_eq!(generations(&store).await?, [(1, true), (2, false)], "it goes on with the one that is being built");
    for generation in [1, 2] {
        let filling = change(generation, FeedPosition::START, position(1), &[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(store.apply_projection(&filling).await?, ChangeOutcome::Applied);
    }
    ensure!(store.switch_projection(NAME, 2).await?);
    ensure!(store.switch_projection(NAME, 2).await?, "a repeat is answered the same");
    ensure!(!store.switch_projection(NAME, 1).await?, "an older one does not come back");
    ensure!(!store.switch_projection(NAME, 9).await?, "one that is not there is not live");
    assert_eq!(generations(&store).await?, [(1, false), (2, true)]);
    assert_eq!(store.drop_projection(NAME, 1, 2).await?, 2);
    assert_eq!(store.drop_projection(NAME, 1, 2).await?, 1);
    assert_eq!(generations(&store).await?, [(2, true)]);
    assert_eq!(place.rows("projection_rows").await?, 3);
    Ok(())
}

pub(crate) async fn a_generation_with_a_problem_does_not_go_on(place: &dyn Place) -> Result<()> {
    let store = begun(place).await?;
    store.fail_projection(NAME, 1, "a rule is\0 broken").await?;
    let next = change(1, FeedPosition::START, position(1), &[("a", "1")]);
    assert_eq!(store.apply_projection(&next).await?, ChangeOutcome::Outdated);
    ensure!(!store.switch_projection(NAME, 1).await?);
    store.begin_projection(&first()).await?;
    assert_eq!(generations(&store).await?, [(1, false), (2, false)], "another one begins beside it");
    let all = store.projections().await?;
    let problem = all[0].problem.as_deref().context("it is recorded")?;
    ensure!(problem.starts_with("a rule is") && all[1].problem.is_none(), "{all:?}");
    Ok(())
}

pub(crate) async fn rows_and_how_far_archives_are_read_move_together(place: &dyn Place) -> Result<()> {
    let store = place.engine().await?;
    let reading = |after| ArchiveReading::Reading { base: 0, until: 3, after: Uuid::from_u128(after) };
    let left_out = Some("archive 2".to_owned());
    store.begin_projection(&ProjectionStart { archives: reading(0), left_out: left_out.clone(), ..first() }).await?;
    let from_archives = |from, to, put| ProjectionChange {
        archives_from: from,
        archives_to: to,
        ..change(1, FeedPosition::START, FeedPosition::START, put)
    };
    let first = from_archives(reading(0), reading(7), &[("a", "1")]);
    assert_eq!(store.apply_projection(&first).await?, ChangeOutcome::Applied);
    assert_eq!(store.apply_projection(&first).await?, ChangeOutcome::Outdated, "the position alone does not tell");
    let of_the_feed = change(1, FeedPosition::START, position(1), &[("a", "2")]);
    assert_eq!(store.apply_projection(&of_the_feed).await?, ChangeOutcome::Outdated, "the archives come first");
    let read = ArchiveReading::Read { until: 3 };
    let more = Some("archives 2 and 3".to_owned());
    let last = ProjectionChange { to: position(4), left_out: more.clone(), ..from_archives(reading(7), read, &[]) };
    assert_eq!(store.apply_projection(&last).await?, ChangeOutcome::Applied);
    let next = ProjectionChange { archives_from: read, archives_to: read, ..change(1, position(4), position(5), &[]) };
    assert_eq!(store.apply_projection(&next).await?, ChangeOutcome::Applied);
    let it = store.projections().await?.remove(0);
    assert_eq!((it.position, it.archives, it.left_out), (position(5), read, more));
    assert_eq!(store.projected(NAME, 1, &["a".into()]).await?, [row("a", "1")]);
    Ok(())
}

pub(crate) async fn what_breaks_a_limit_of_a_projection_is_refused(place: &dyn Place) -> Result<()> {
    let store = begun(place).await?;
    let large = "x".repeat(MAX_PROJECTED_BYTES + 1);
    for put in [&[("", "1")][..], &[("a", "")], &[("a", large.as_str())], &[("a\0", "1")], &[("a", "\0")]] {
        let answer = store.apply_projection(&change(1, FeedPosition::START, position(1), put)).await;
        ensure!(matches!(answer, Err(StoreError::Limit(_))), "{answer:?}");
    }
    assert_eq!(place.rows("projection_rows").await?, 0);
    Ok(())
}
