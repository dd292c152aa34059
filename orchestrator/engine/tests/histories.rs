//! Journals that each released version wrote are kept as files in `tests/histories`, and this build reads them: it
//! folds them to the state that is kept beside them, and decides them again as they are on record.
//!
//! A kept journal is never written again. `UPDATE_HISTORIES=1` writes those of the version that is being made, until
//! it is released: from then on, its line in `SHA256SUMS` fails the build that changes the file. `UPDATE_GOLDEN=1`
//! writes the states again, because what is shown of a saga grows; read the difference.

// The journals are made with the words of the tests of the state machine.
#[allow(dead_code, reason = "the tests of the state machine use the rest")]
#[path = "../../core/tests/machine/given.rs"]
mod given;
#[path = "../../core/tests/machine/snapshots.rs"]
mod snapshots;
#[allow(dead_code, reason = "the tests of the state machine use the rest")]
#[path = "../../core/tests/machine/surroundings.rs"]
mod surroundings;
#[allow(dead_code, reason = "the tests of the state machine use the rest")]
#[path = "../../core/tests/machine/words.rs"]
mod words;

#[path = "histories/kept.rs"]
mod kept;
#[path = "histories/lives.rs"]
mod lives;

use kept::KeptJournal;
use saga_core::{
    event::{SagaDecision, SagaEvent},
    id::SagaId,
    replay::{self, RowReplay},
    time::Timestamp,
};
use saga_engine::journal::{PlanCache, RecordedSaga, codec, fold};
use saga_event_store::{EventStore, StoreAccess};
use std::{collections::BTreeSet, env, fs, sync::Arc};

/// The version whose journals may still be written again.
const CURRENT: &str = env!("CARGO_PKG_VERSION");

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|value| value == "1")
}

/// A store that has the documents of a kept journal, and the journal as that store tells it.
async fn recorded(kept: &KeptJournal) -> RecordedSaga {
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("sqlite:{}", folder.path().join("saga.db").display());
    let store: Arc<dyn EventStore> =
        saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store");
    for (kind, hash, text) in &kept.documents {
        store.put_document(kind, hash, text).await.expect("the store takes the document");
    }
    let read = fold(store.as_ref(), &PlanCache::default(), kept.saga, kept.stream_rows()).await;
    read.unwrap_or_else(|error| panic!("{}: {error}", kept.path.display()))
}

#[tokio::test]
async fn every_kept_journal_folds_to_the_state_that_is_kept_with_it() {
    for kept in kept::all() {
        let recorded = recorded(&kept).await;
        let state = serde_json::to_string_pretty(&recorded.state.view(&recorded.plan)).expect("JSON") + "\n";
        let path = kept.path.with_extension("state.json");
        if is_set("UPDATE_GOLDEN") {
            fs::write(&path, &state).expect("the state is written");
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(state, golden, "{} folds to another state; UPDATE_GOLDEN=1 writes it again", kept.path.display());
    }
}

#[tokio::test]
async fn every_kept_journal_is_decided_again_as_it_is_on_record() {
    for kept in kept::all() {
        let RecordedSaga { plan, decisions, .. } = recorded(&kept).await;
        let replayed = replay::replay(&plan, kept.saga, &decisions).expect("it folds");
        for (version, row) in replayed.rows {
            assert!(!matches!(row, RowReplay::Diverged { .. }), "{} row {version}: {row:#?}", kept.path.display());
        }
    }
}

#[test]
fn every_kind_of_event_is_in_a_kept_journal() {
    let decode = |kept: &KeptJournal| -> Vec<SagaDecision> {
        let rows = kept.rows.iter();
        rows.map(|row| codec::decode(row.version, Timestamp(row.at), row.payload.as_bytes()).expect("a row")).collect()
    };
    let events = kept::all().iter().flat_map(decode).flat_map(|decision| decision.events).collect::<Vec<_>>();
    let seen: BTreeSet<String> = events.iter().map(name).collect();
    let missing: Vec<String> = known_kinds().into_iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "add a life to tests/histories/lives.rs that records {missing:?}");
}

#[test]
fn a_kept_journal_does_not_change() {
    if is_set("UPDATE_HISTORIES") {
        write_the_current();
    }
    let sums = kept::sums();
    for kept in kept::all() {
        let (name, sum) = (kept.name(), kept::sum(&kept.path));
        match sums.get(&name) {
            Some(recorded) => assert_eq!(&sum, recorded, "{name} is on record as it was written and must not change"),
            None => panic!("{name} is not in tests/histories/SHA256SUMS: UPDATE_HISTORIES=1 writes its line"),
        }
    }
    assert_eq!(sums.len(), kept::all().len(), "a journal that SHA256SUMS names is gone");
}

/// Writes the journals of this version, and their sums.
fn write_the_current() {
    for life in lives::all() {
        let journal = KeptJournal::of(life.name, &life.saga);
        assert!(journal.path.starts_with(kept::folder().join(CURRENT)));
        journal.write();
    }
    kept::write_sums();
}

fn name(event: &SagaEvent) -> String {
    match serde_json::to_value(event).expect("JSON") {
        serde_json::Value::String(name) => name,
        serde_json::Value::Object(members) => members.into_iter().next().expect("a variant").0,
        other => panic!("{other}"),
    }
}

/// What serde says of a variant that does not exist names all that do.
fn known_kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<SagaEvent>("\"none\"").expect_err("no such variant").to_string();
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// The id under which every life of [`lives`] runs.
fn saga_id() -> SagaId {
    given::saga_id()
}
