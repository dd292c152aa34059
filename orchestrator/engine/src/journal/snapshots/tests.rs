//! A long journal that is read from its snapshot on gives what the whole journal gives, or is read whole.

use super::*;
use crate::{
    journal::{self, JournalAccess},
    replay::verify::{self, DivergenceKind, SagaDivergence, VerifyEvent, VerifyRequest},
    row::{self, ShardWriter},
    seeding::fixture::SeededStore,
};
use saga_core::{
    command::CommandDirection,
    evolve,
    id::{ShardId, StepIndex},
};
use serde_json::json;
use std::time::Duration;

/// More than two snapshots.
const ROWS: u32 = 1_200;

struct LongSaga {
    store: Arc<dyn EventStore>,
    access: JournalAccess,
    saga: SagaId,
    /// The snapshot of row 1,000.
    snapshot: StreamSnapshot,
    _seeded: SeededStore,
}

/// It is on record that the participant works on the step.
fn extended(state: &SagaState) -> SagaDecision {
    let at = state.last_at.plus(Duration::from_millis(1));
    let (step, direction, deadline) = (StepIndex(1), CommandDirection::Do, at.plus(Duration::from_secs(30)));
    let event = SagaEvent::AttemptExtended { step, direction, attempt: 1, deadline, ask_at: None, location: None };
    SagaDecision { version: state.version + 1, at, events: vec![event] }
}

impl LongSaga {
    async fn recorded() -> LongSaga {
        let seeded = SeededStore::with(1).await;
        let (store, plan, saga) = (Arc::clone(&seeded.store), Arc::clone(&seeded.plan), seeded.newest().await);
        let access = JournalAccess::new(Arc::clone(&store), PlanCache::default());
        let mut state = access.read(saga).await.expect("a read").expect("a saga").state;
        let writer = ShardWriter { shard: ShardId(0), epoch: store.claim(0, "test").await.expect("a claim") };
        let mut snapshot = None;
        while state.version < ROWS {
            let decision = extended(&state);
            evolve::evolve(&plan, &mut state, &decision);
            let append = row::showing(writer, &plan, &state, &decision).expect("a row");
            let append_id = append.append_id;
            store.append(&[append]).await.expect("an append");
            if state.version == 1_000 {
                snapshot = taken(&plan, &state, append_id);
            }
        }
        LongSaga { store, access, saga, snapshot: snapshot.expect("row 1,000 came by"), _seeded: seeded }
    }

    async fn keeps(&self, snapshot: &StreamSnapshot) {
        self.store.put_snapshot(snapshot).await.expect("a store");
    }

    async fn unused(&self, snapshot: StreamSnapshot) -> &'static str {
        self.keeps(&snapshot).await;
        self.access.resumed(self.saga).await.map(|_| ()).expect_err("a snapshot that is not used").as_str()
    }

    async fn verified(&self) -> (u64, Vec<SagaDivergence>) {
        let mut diverged = Vec::new();
        let wanted = VerifyRequest::default();
        let report = verify::verify(Arc::<dyn EventStore>::clone(&self.store), &wanted, 1, |event| match event {
            VerifyEvent::Diverged(it) => diverged.push(*it),
            VerifyEvent::Progress(_) => {}
        });
        let snapshots = report.await.expect("the store answers").snapshots;
        // Its rows are made up: an owner records less often that a participant is at work.
        diverged.retain(|it: &SagaDivergence| it.kind != DivergenceKind::Decision);
        (snapshots, diverged)
    }

    /// The snapshot with another state.
    fn with(&self, change: impl FnOnce(&mut serde_json::Value)) -> StreamSnapshot {
        let mut state = serde_json::from_slice(&self.snapshot.state).expect("JSON");
        change(&mut state);
        StreamSnapshot { state: serde_json::to_vec(&state).expect("JSON"), ..self.snapshot.clone() }
    }
}

#[tokio::test]
async fn from_its_snapshot_on_a_saga_is_what_its_whole_journal_says() {
    let it = LongSaga::recorded().await;
    assert_eq!(it.access.resumed(it.saga).await.map(|_| ()).expect_err("no snapshot yet").as_str(), "missing");
    it.keeps(&it.snapshot).await;
    let resumed = it.access.resumed(it.saga).await.expect("a snapshot that is used");
    let whole = it.access.read(it.saga).await.expect("a read").expect("a saga");
    assert_eq!((&resumed.state, &resumed.plan), (&whole.state, &whole.plan));
    assert_eq!(resumed.decisions, whole.decisions[1_000..]);
    assert_eq!(it.verified().await, (1, Vec::new()));
}

#[tokio::test]
async fn a_snapshot_that_is_not_certainly_of_its_row_is_not_used_and_is_named() {
    let it = LongSaga::recorded().await;
    let beyond = it.with(|state| state["state"]["version"] = json!(ROWS + 1));
    let later = it.with(|state| state["state"]["version"] = json!(1_001));
    for (snapshot, reason, place) in [
        (StreamSnapshot { format: FORMAT + 1, ..it.snapshot.clone() }, "format", None),
        (StreamSnapshot { state: b"{".to_vec(), ..it.snapshot.clone() }, "unreadable", Some("state")),
        (StreamSnapshot { version: 999, ..it.snapshot.clone() }, "unreadable", Some("state")),
        (StreamSnapshot { append_id: Uuid::nil(), ..it.snapshot.clone() }, "row", Some("row")),
        (StreamSnapshot { version: ROWS + 1, ..beyond }, "row", Some("row")),
        (StreamSnapshot { version: 1_001, ..later }, "row", Some("row")),
        (it.with(|state| state["plans"][0]["definition"] = json!("ab")), "definition", Some("definition")),
        (it.with(|state| state["state"]["steps"] = json!([])), "journal", Some("steps")),
    ] {
        assert_eq!(it.unused(snapshot.clone()).await, reason, "{place:?}");
        let (_, diverged) = it.verified().await;
        let told: Vec<_> = diverged.iter().map(|it| (it.kind, it.place.as_str())).collect();
        let expected: Vec<_> = place.map(|place| (DivergenceKind::Snapshot, place)).into_iter().collect();
        assert_eq!(told, expected, "{diverged:?}");
    }
}

#[tokio::test]
async fn a_snapshot_that_says_something_else_than_its_rows_is_named() {
    let it = LongSaga::recorded().await;
    it.keeps(&it.with(|state| state["state"]["overdue"] = json!(true))).await;
    let (_, diverged) = it.verified().await;
    let [divergence] = diverged.as_slice() else { panic!("one difference, not {diverged:?}") };
    assert_eq!((divergence.kind, divergence.place.as_str()), (DivergenceKind::Snapshot, "overdue"));
    assert_eq!((&divergence.expected, &divergence.found, divergence.version), (&json!(false), &json!(true), 1_000));
    it.store.remove_snapshots(&[it.saga.uuid()]).await.expect("a store");
    assert_eq!(it.verified().await, (0, Vec::new()));
    let whole = journal::read(it.store.as_ref(), &PlanCache::default(), it.saga).await.expect("a read");
    assert_eq!(whole.map(|whole| whole.state.version), Some(ROWS));
}
