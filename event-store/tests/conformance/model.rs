//! Each store against a model in memory: random operations of several writers, answers that are lost, connections that
//! break. `PROPTEST_CASES` says how many cases are tried; without it, as many as take some seconds.

mod compared;
mod drawn;
mod memory;

use crate::place::Place;
use anyhow::Result;
use compared::{ComparedStores, CutStatement};
use drawn::StoreOperation;
use memory::ModelMistake;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// Cases on each database.
const CASES: u32 = 40;
/// After this time no further case begins, so that a slow machine is not kept.
const MOST_TIME: Duration = Duration::from_secs(40);
/// Steps of making a failing case smaller.
const MOST_SHRINKS: u32 = 200;
/// What is left of a failing case then has no more operations.
const FEW_OPERATIONS: usize = 12;
/// Ends the sessions of stores. They come back.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// A server makes a database slowly, so all cases have the same one.
const EMPTY: &str = "ALTER TABLE notes DISABLE TRIGGER append_only; \
                     TRUNCATE journal, stream_keys, streams, documents, notes, snapshots, shard_epochs, \
                     shard_attendance, shard_gaps, heartbeats, commits, data_keys; \
                     ALTER TABLE notes ENABLE ALWAYS TRIGGER append_only";

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Tries cases until one fails.
fn tried(mut case: impl FnMut(&[StoreOperation]) -> Result<()>) -> Result<(), TestError<Vec<StoreOperation>>> {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: MOST_SHRINKS, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = if std::env::var_os("PROPTEST_CASES").is_some() {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, rng)
    };
    let (begun, case) = (Instant::now(), std::cell::RefCell::new(&mut case));
    let has_failed = std::cell::Cell::new(false);
    runner.run(&drawn::cases(), |operations| {
        if begun.elapsed() > MOST_TIME && !has_failed.get() {
            return Ok(());
        }
        let ended = (case.borrow_mut())(&operations);
        has_failed.set(has_failed.get() || ended.is_err());
        ended.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    })
}

async fn compared(
    place: &dyn Place,
    cut: CutStatement,
    mistake: ModelMistake,
    operations: &[StoreOperation],
) -> Result<()> {
    ComparedStores::new(place, cut, mistake).await?.run(operations).await
}

/// On a file of its own for each case.
fn on_sqlite(mistake: ModelMistake) -> Result<(), TestError<Vec<StoreOperation>>> {
    let runtime = runtime();
    tried(|operations| {
        runtime.block_on(async {
            let Some(place) = crate::sqlite::place().await? else { return Ok(()) };
            compared(place.as_ref(), None, mistake, operations).await
        })
    })
}

fn on_postgres<F: Future<Output = Result<Option<Box<dyn Place>>>>>(place: impl FnOnce() -> F) {
    let runtime = runtime();
    let Some(place) = runtime.block_on(place()).expect("a database") else { return };
    runtime.block_on(async { place.engine().await.map(drop) }).expect("a store");
    let ended = tried(|operations| {
        runtime.block_on(async {
            // The last case's store may have sessions left.
            place.run(CUT).await?;
            place.run(EMPTY).await?;
            compared(place.as_ref(), Some(CUT), ModelMistake::None, operations).await
        })
    });
    // Before the runtime, which it may need.
    drop(place);
    if let Err(error) = ended {
        panic!("{error}");
    }
}

#[test]
fn a_file_does_what_the_model_does() {
    if let Err(error) = on_sqlite(ModelMistake::None) {
        panic!("{error}");
    }
}

#[test]
fn a_server_does_what_the_model_does() {
    on_postgres(crate::postgres::place);
}

#[test]
fn a_server_of_the_next_version_does_what_the_model_does() {
    on_postgres(crate::postgres::place_18);
}

/// Otherwise the comparison would prove nothing.
#[test]
fn every_mistake_of_the_model_is_found_and_shown_by_a_few_operations() {
    for mistake in [
        ModelMistake::IgnoresEpochs,
        ModelMistake::ForgetsAppendIds,
        ModelMistake::AllowsGaps,
        ModelMistake::KeepsForgottenKeys,
        ModelMistake::MarksWhatHasEnded,
        ModelMistake::AddsNotesTwice,
    ] {
        match on_sqlite(mistake) {
            Err(TestError::Fail(reason, operations)) => {
                // A race does not end alike each time, so a case with one is not always made smaller.
                let races = operations.iter().any(|it| matches!(it, StoreOperation::Race { .. }));
                assert!(races || operations.len() <= FEW_OPERATIONS, "{mistake:?}: {reason}: {operations:#?}");
            }
            other => panic!("{mistake:?} was not found: {other:?}"),
        }
    }
}
