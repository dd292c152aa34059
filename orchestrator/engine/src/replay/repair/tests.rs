//! A read model that was damaged, of a real store.

use super::*;
use crate::{
    replay::verify::{self, VerifyRequest},
    seeding::fixture::SeededStore,
};
use saga_event_store::{StreamFilter, StreamSummary};

/// More than a page of rows.
const SAGAS: u32 = 2_500;

impl SeededStore {
    fn shared(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
    }

    async fn listed(&self) -> Vec<StreamSummary> {
        self.store.list(&StreamFilter { limit: 5_000, ..StreamFilter::default() }).await.expect("a list")
    }

    async fn repaired(&self, mode: RepairMode) -> (RepairReport, Vec<SagaRepair>) {
        let mut repairs = Vec::new();
        let report = repair(self.shared(), mode, 2, |event| match event {
            RepairEvent::Repaired(it) => repairs.push(*it),
            RepairEvent::Unrepaired(it) => panic!("every journal can be read: {it:?}"),
            RepairEvent::Progress(progress) => assert!((0.0..=1.0).contains(&progress.share)),
        });
        (report.await.expect("the store answers"), repairs)
    }

    async fn divergences(&self) -> u64 {
        verify::verify(self.shared(), &VerifyRequest::default(), 2, |_| {}).await.expect("a report").divergences
    }

    /// Makes the row of a saga say that it has ended.
    async fn hide(&self, saga: SagaId) {
        let recorded = journal::read(self.store.as_ref(), &PlanCache::default(), saga).await.expect("a read");
        let row = row_of(&recorded.expect("a saga"));
        let summary = SummaryUpdate { status: "completed".into(), open: false, step: None, ..row.summary.clone() };
        let hidden = self.store.repair(&StreamRepair { summary, ..row }).await;
        assert_eq!(hidden.expect("an answer"), RepairOutcome::Repaired);
    }
}

fn saga(summary: &StreamSummary) -> SagaId {
    SagaId::from_uuid(summary.stream).expect("a saga")
}

#[tokio::test]
async fn a_row_that_says_something_else_is_written_as_the_journal_folds() {
    let it = SeededStore::with(SAGAS).await;
    let before = it.listed().await;
    let damaged = saga(&before[7]);
    it.hide(damaged).await;
    assert!(it.divergences().await > 0);
    let (told, repairs) = it.repaired(RepairMode::DryRun).await;
    let expected = RepairReport { sagas: SAGAS.into(), repaired: 1, reopened: 1, unrepaired: 0 };
    assert_eq!(told, expected);
    let status = FieldRepair { field: "status".into(), was: json!("completed"), is: json!("running") };
    assert!(repairs[0].id == damaged.to_string() && repairs[0].changes.contains(&status), "{repairs:?}");
    assert!(repairs[0].changes.iter().any(|it| it.field == "open"), "{repairs:?}");
    assert!(it.divergences().await > 0, "a dry run writes nothing");
    assert_eq!(it.repaired(RepairMode::Write).await, (expected, repairs));
    assert_eq!((it.listed().await, it.divergences().await), (before, 0));
    assert_eq!(it.repaired(RepairMode::Write).await.0, RepairReport { repaired: 0, reopened: 0, ..expected });
}

#[tokio::test]
async fn a_repair_in_parts_comes_to_every_saga_once() {
    let it = SeededStore::with(SAGAS).await;
    let before = it.listed().await;
    for at in [0, 1_000, before.len() - 1] {
        it.hide(saga(&before[at])).await;
    }
    let (mut report, mut after, mut parts) = (RepairReport::default(), None, 0);
    loop {
        let part = repair_part(it.shared(), Arc::default(), (RepairMode::Write, after), Duration::ZERO);
        let part = part.await.expect("the store answers");
        report.add(&part.report);
        parts += 1;
        let Some(next) = part.next else { break };
        after = Some(next.parse().expect("a saga"));
    }
    assert_eq!(report, RepairReport { sagas: SAGAS.into(), repaired: 3, reopened: 3, unrepaired: 0 });
    assert!(parts > 1, "a part is a page");
    assert_eq!(it.listed().await, before);
}
