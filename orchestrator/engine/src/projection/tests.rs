//! Projections of a real store.

mod archived;

use super::{
    ArchiveFolder, EventProjection, MissingArchives, ProjectedEvent, ProjectionRows,
    advance::{AdvanceOutcome, ProjectionSource},
    begin_rebuild, page, rebuild, shipped, views,
};
use crate::{journal, seeding::fixture::SeededStore};
use saga_core::{
    command::CommandDirection,
    event::{SagaDecision, SagaEnd, SagaEvent},
    id::StepIndex,
    time::Timestamp,
};
use saga_event_store::{AppendOutcome, ArchiveReading, EventStore, ProjectionStart, StreamAppend, StreamFilter};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const PORTION_ROWS: u32 = 200;
/// More than two portions of the feed.
const SAGAS: u32 = 400;

/// Ends `most` of the open sagas, as their owner does.
async fn end_sagas(store: &Arc<dyn EventStore>, most: usize) {
    let epoch = store.claim(0, "another engine").await.expect("a claim");
    let open = StreamFilter { only_open: true, limit: 10_000, ..StreamFilter::default() };
    for summary in store.list(&open).await.expect("a list").into_iter().take(most) {
        let last = store.read(summary.stream).await.expect("rows").pop().expect("a row");
        let step = StepIndex(1);
        let succeeded = SagaEvent::StepSucceeded { step, direction: CommandDirection::Do, result: json!({}) };
        let ended = SagaEvent::SagaEnded { end: SagaEnd::Completed { output: Value::Null } };
        let at = Timestamp(last.recorded_at_ms + 40);
        let decision = SagaDecision { version: last.version + 1, at, events: vec![succeeded, ended] };
        let row = StreamAppend {
            append_id: Uuid::new_v4(),
            shard: 0,
            epoch,
            stream: summary.stream,
            version: decision.version,
            recorded_at_ms: at.0,
            payload: journal::codec::encode(&decision).expect("a row"),
            outline: None,
            category: summary.category,
            key: summary.key,
            new_key: None,
            summary: None,
            act: None,
        };
        assert_eq!(store.append(&[row]).await.expect("an answer"), [AppendOutcome::Committed]);
    }
}

fn no_archives() -> ArchiveFolder {
    ArchiveFolder { folder: None, missing: MissingArchives::Refused }
}

async fn rows(store: &Arc<dyn EventStore>, name: &str) -> Vec<Value> {
    page(store.as_ref(), name, ("", ""), 10_000).await.expect("an answer").expect("a projection").rows
}

async fn all_rows(store: &Arc<dyn EventStore>) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for rules in shipped() {
        all.push(rows(store, rules.name()).await);
    }
    all
}

async fn rebuild_all(store: &Arc<dyn EventStore>) {
    for rules in shipped() {
        rebuild(Arc::clone(store), rules.name(), no_archives(), |_| {}).await.expect("it is built");
    }
}

#[tokio::test]
async fn projections_say_what_the_events_said() {
    let seeded = SeededStore::with(SAGAS).await;
    let store = &seeded.store;
    end_sagas(store, 100).await;
    rebuild_all(store).await;
    let in_flight = rows(store, "stepsInFlight").await;
    assert_eq!(in_flight.len(), SAGAS as usize - 100);
    let one = &in_flight[0]["row"];
    assert!(one["saga"] == "order" && one["steps"]["charge/do"]["attempt"] == 1, "{one}");
    let outcomes = rows(store, "outcomes").await;
    let ended: u64 = outcomes.iter().filter_map(|row| row["row"]["count"].as_u64()).sum();
    assert_eq!(ended, 100);
    assert!(outcomes[0]["key"].as_str().is_some_and(|key| key.starts_with("order/") && key.ends_with("/completed")));
    let durations = page(store.as_ref(), "stepDurations", ("total/", ""), 10).await.expect("an answer").expect("rows");
    let keys: Vec<&Value> = durations.rows.iter().map(|row| &row["key"]).collect();
    assert_eq!(keys, ["total/order/charge/do", "total/order/rest/do"]);
    assert_eq!((&durations.rows[0]["row"]["count"], &durations.rows[1]["row"]["count"]), (&json!(100), &json!(SAGAS)));
    assert_eq!(rows(store, "waiting").await, Vec::<Value>::new(), "no saga waits");
    let views = views(store.as_ref()).await.expect("views");
    assert!(views[0].projection == "sagas" && views[0].current && views[0].live.is_none());
    for view in views.into_iter().skip(1) {
        let live = view.live.expect("it is live");
        assert!(live.behind_ms == 0 && live.at.is_some() && view.building.is_none());
    }
}

/// A portion is applied, sagas go on, somebody else builds too, the builder is gone and comes back: nothing of it
/// shows.
#[tokio::test]
async fn a_projection_that_is_built_in_the_middle_of_writes_equals_one_built_from_scratch() {
    let seeded = SeededStore::with(SAGAS).await;
    let store = &seeded.store;
    rebuild_all(store).await;
    for rules in shipped() {
        let mut generation = begin_rebuild(store.as_ref(), rules.name(), no_archives()).await.expect("it begins");
        loop {
            // A builder of its own for every portion: as after an interruption.
            let mut source = ProjectionSource::new(Arc::clone(store), Arc::default(), no_archives(), PORTION_ROWS);
            end_sagas(store, 5).await;
            let mut outdated = generation.clone();
            match source.advance(*rules, &mut generation).await.expect("it goes on") {
                AdvanceOutcome::Moved(_) => {
                    let other = source.advance(*rules, &mut outdated).await.expect("an answer");
                    assert_eq!(other, AdvanceOutcome::Outdated, "an event is applied once");
                }
                AdvanceOutcome::CaughtUp => break,
                AdvanceOutcome::Outdated => panic!("nobody else builds"),
            }
            let read = begin_rebuild(store.as_ref(), rules.name(), no_archives()).await.expect("it goes on");
            assert_eq!(read, generation);
            if read.position == store.feed_extent().await.expect("an extent").newest {
                break;
            }
        }
        rebuild(Arc::clone(store), rules.name(), no_archives(), |_| {}).await.expect("it is built");
    }
    rebuild_all(store).await;
    let interrupted = all_rows(store).await;
    rebuild_all(store).await;
    assert_eq!(all_rows(store).await, interrupted);
    assert_eq!(store.projections().await.expect("generations").len(), shipped().len(), "old generations are gone");
}

#[derive(Debug)]
struct BrokenRules;

impl EventProjection for BrokenRules {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, _: &ProjectedEvent<'_>) -> Vec<String> {
        Vec::new()
    }

    fn apply(&self, _: &ProjectedEvent<'_>, rows: &mut ProjectionRows) {
        rows.put("undeclared", &1);
    }
}

#[tokio::test]
async fn a_projection_at_fault_stops_and_says_why() {
    let seeded = SeededStore::with(SAGAS).await;
    let store = &seeded.store;
    let oldest = store.feed_extent().await.expect("an extent").oldest;
    let (name, archives) = ("broken".to_owned(), ArchiveReading::None);
    let start = ProjectionStart { name, code_version: 1, from: oldest, archives, left_out: None };
    store.begin_projection(&start).await.expect("it begins");
    let mut generation = store.projections().await.expect("generations").remove(0);
    let mut source = ProjectionSource::new(Arc::clone(store), Arc::default(), no_archives(), PORTION_ROWS);
    let error = source.advance(&BrokenRules, &mut generation).await.expect_err("a fault");
    assert!(error.to_string().contains("`undeclared`, which it has not named"), "{error}");
    let failed = store.projections().await.expect("generations").remove(0);
    assert_eq!((failed.problem.as_deref(), failed.position), (Some(error.to_string().as_str()), oldest));
}

#[tokio::test]
async fn an_unknown_projection_is_named_with_those_that_there_are() {
    let seeded = SeededStore::with(SAGAS).await;
    let store = &seeded.store;
    let said =
        rebuild(Arc::clone(store), "outcome", no_archives(), |_| {}).await.expect_err("no such projection").to_string();
    assert!(said.contains("`outcome`") && said.contains("outcomes") && said.contains("stepDurations"), "{said}");
}
