//! Every way in which a saga cannot be read says which row is at fault and what to do.

use super::*;
use crate::{
    journal::{self, PlanCache, reading, reading::RefreshScope, shown},
    seeding::fixture::SeededStore,
};
use saga_core::{state::SagaPlan, time::Timestamp};
use saga_event_store::{EventStore, StoreAccess, StreamRow};
use std::sync::Arc;

struct FaultyStore {
    store: Arc<dyn EventStore>,
    plan: Arc<SagaPlan>,
    saga: SagaId,
    rows: Vec<StreamRow>,
    _seeded: SeededStore,
}

impl FaultyStore {
    /// With one saga of two rows, and its documents.
    async fn seeded() -> FaultyStore {
        let seeded = SeededStore::with(1).await;
        let saga = seeded.newest().await;
        let rows = seeded.store.read(saga.uuid()).await.expect("rows");
        FaultyStore { store: Arc::clone(&seeded.store), plan: Arc::clone(&seeded.plan), saga, rows, _seeded: seeded }
    }

    async fn fault(&self, rows: Vec<StreamRow>) -> JournalFault {
        match journal::fold(self.store.as_ref(), &PlanCache::default(), self.saga, rows).await {
            Err(JournalError::Fault(fault)) => *fault,
            other => panic!("a fault, not {other:?}"),
        }
    }

    /// With the second row's payload.
    fn second(&self, payload: &[u8]) -> Vec<StreamRow> {
        let mut rows = self.rows.clone();
        rows[1].payload = payload.to_vec();
        rows
    }
}

#[tokio::test]
async fn every_fault_names_saga_row_and_remedy() {
    let it = FaultyStore::seeded().await;
    let cut = &it.rows[1].payload[..20];
    let second = StreamRow { version: 4, ..it.rows[1].clone() };
    let unknown = br#"{"v":1,"events":["sagaOverdue",{"stepTeleported":{"step":1}}]}"#;
    let no_word = br#"{"v":1,"events":[{"stepSkipped":{"step":1,"direction":"sideways"}}]}"#;
    let no_step = br#"{"v":1,"events":[{"stepSkipped":{"step":99,"direction":"do"}}]}"#;
    let no_start = StreamRow { payload: br#"{"v":1,"events":["sagaOverdue"]}"#.to_vec(), ..it.rows[0].clone() };
    for (rows, version, problem, remedy) in [
        (it.second(cut), 2, "row 2 is cut off after 20 bytes", "Restore the row"),
        (it.second(b""), 2, "row 2 is cut off after 0 bytes", "Restore the row"),
        (it.second(b"\xff\x00"), 2, "row 2 does not read as events", "Restore the row"),
        (it.second(unknown), 2, "row 2 has an event of the kind `stepTeleported`", "Upgrade this program"),
        (it.second(no_word), 2, "unknown variant `sideways`", "Restore the row"),
        (it.second(br#"{"v":2,"events":[7]}"#), 2, "row 2 has format 2", "Upgrade this program"),
        (vec![it.rows[0].clone(), second], 2, "rows 2 to 3 are missing", "Restore its rows"),
        (vec![it.rows[1].clone()], 1, "row 1 is missing", "Restore its rows"),
        (vec![no_start], 1, "row 1 does not begin with the start", "Restore its rows"),
        (it.second(no_step), 2, "row 2 names step 99, the definition has 2 steps", "Restore its rows"),
        (it.second(&it.rows[0].payload), 2, "which row 2 does not keep", "Restore its rows"),
    ] {
        let fault = it.fault(rows).await;
        let told = fault.to_string();
        assert_eq!((fault.saga, fault.version), (it.saga, Some(version)), "{told}");
        for part in [problem, remedy, &it.saga.to_string(), &format!("`saga abandon {}`", it.saga)] {
            assert!(told.contains(part), "{part} is missing in: {told}");
        }
        assert!(told.len() < 500, "a list shows it whole: {told}");
    }
    let erased = it.fault(it.second(br#"{"v":1,"erased":true,"events":[]}"#)).await.to_string();
    assert!(erased.contains("row 2 could not be read when the saga was erased"), "{erased}");
    assert!(erased.contains("nothing is left to be done") && !erased.contains("abandon"), "{erased}");
}

#[tokio::test]
async fn a_document_that_is_missing_or_changed_is_named_and_can_be_put_back() {
    let it = FaultyStore::seeded().await;
    let (definition, policies) = (it.plan.definition.hash.clone(), it.plan.policies_hash.clone());
    let (text, policies_text) = (it.plan.definition.text.clone(), it.plan.policies.canonical_json());
    for (kind, hash, text, damaged) in [
        ("definition", &definition, &text, text.replace("1m", "2m")),
        ("definition", &definition, &text, "saga: [".to_owned()),
        ("policies", &policies, &policies_text, "{}".to_owned()),
        ("policies", &policies, &policies_text, policies_text.replacen(':', " :", 1)),
    ] {
        it.store.put_document(kind, hash, &damaged).await.expect("a store");
        let fault = it.fault(it.rows.clone()).await;
        let told = fault.to_string();
        assert_eq!(fault.version, Some(1), "{told}");
        assert!(told.contains(&format!("row 1 names the {kind} {hash}, which cannot be read")), "{told}");
        assert!(told.contains("`saga definitions restore FILE`"), "{told}");
        it.store.put_document(kind, hash, text).await.expect("a store");
        let read = journal::fold(it.store.as_ref(), &PlanCache::default(), it.saga, it.rows.clone()).await;
        assert!(read.is_ok(), "{read:?}");
    }
    let other = FaultyStore::seeded().await;
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("sqlite:{}", folder.path().join("saga.db").display());
    let empty = saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store");
    let missing = journal::fold(empty.as_ref(), &PlanCache::default(), other.saga, other.rows.clone()).await;
    let told = missing.expect_err("no document is there").to_string();
    assert!(told.contains(&format!("names the definition {definition}, which the store does not have")), "{told}");
}

#[tokio::test]
async fn a_saga_that_only_the_journal_has_is_shown_and_one_that_nothing_has_is_not() {
    let it = FaultyStore::seeded().await;
    let none = SagaId::new(Timestamp(1), saga_core::id::ShardId(0), 1);
    let shown = shown::show(it.store.as_ref(), &PlanCache::default(), none, None).await.expect("the store answers");
    assert!(shown.is_none());
    let found = reading::find(it.store.as_ref(), &it.saga.to_string(), None).await.expect("the store answers");
    assert_eq!(found, reading::SagaLookup::One { id: it.saga, earlier: Vec::new() });
}

#[tokio::test]
async fn the_line_of_a_list_says_that_a_saga_cannot_be_read() {
    let it = FaultyStore::seeded().await;
    it.store.put_document("definition", &it.plan.definition.hash, "saga: [").await.expect("a store");
    let wanted = reading::SagaQuery { limit: 10, ..Default::default() };
    let mut lines = reading::list(it.store.as_ref(), &wanted).await.expect("a list");
    assert_eq!(lines[0].status, "running");
    let refreshed = reading::refresh(it.store.as_ref(), &PlanCache::default(), &mut lines, RefreshScope::Open).await;
    assert!(refreshed.expect("the store answers").is_empty());
    assert_eq!((lines[0].status.as_str(), lines[0].code.as_deref()), ("parked", Some("unreadable")));
    assert!(lines[0].reason.as_deref().is_some_and(|reason| reason.contains("definitions restore")), "{lines:?}");
    lines[0].status = "completed".into();
    let refreshed = reading::refresh(it.store.as_ref(), &PlanCache::default(), &mut lines, RefreshScope::All).await;
    assert!(refreshed.expect("the store answers").is_empty());
    assert_eq!((lines[0].status.as_str(), lines[0].code.as_deref()), ("completed", Some("unreadable")));
}
