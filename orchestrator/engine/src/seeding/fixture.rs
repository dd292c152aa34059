//! A store with seeded sagas, for the tests of whatever reads journals.

use super::{SeedState, seed};
use saga_core::{
    definition::{self, participants},
    event::TriggerRecord,
    id::SagaId,
    policy::SagaPolicies,
    state::SagaPlan,
    time::Timestamp,
};
use saga_event_store::{EventStore, StoreAccess, StreamFilter};
use serde_json::json;
use std::sync::Arc;

/// What the seeded sagas run by.
pub(crate) const DEFINITION: &str = "saga: order
trigger: {topic: orders, key: \"${ event.id }\"}
steps:
  - {step: rest, wait: 1m}
  - {step: charge, do: payments.Charge, undo: payments.Refund}
";
const PARTICIPANTS: &str = "participants: {payments: {kafka: {commands: payments.commands}}}";

/// A store in a file that is deleted with it.
pub(crate) struct SeededStore {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) plan: Arc<SagaPlan>,
    _folder: tempfile::TempDir,
}

impl SeededStore {
    /// Without sagas.
    pub(crate) async fn empty() -> SeededStore {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        let store = saga_event_store::open(&address, StoreAccess::Write { shards: 1 }).await.expect("a store");
        SeededStore { store, plan: plan(DEFINITION), _folder: folder }
    }

    /// With this many sagas, whose first attempt of `charge` is out.
    pub(crate) async fn with(sagas: u32) -> SeededStore {
        let it = SeededStore::empty().await;
        seed(&it.store, &it.plan, SeedState::AwaitedAnswer, sagas, trigger).await.expect("journals");
        it
    }

    /// The newest of its sagas.
    pub(crate) async fn newest(&self) -> SagaId {
        let newest = self.store.list(&StreamFilter { limit: 1, ..StreamFilter::default() }).await.expect("a list");
        SagaId::from_uuid(newest[0].stream).expect("a saga")
    }
}

/// The plan of a definition that calls `payments`.
pub(crate) fn plan(definition: &str) -> Arc<SagaPlan> {
    let participants = participants::parse("participants.yaml", PARTICIPANTS, &|_| None).expect("participants");
    let parsed = definition::parse("order.saga.yaml", definition, Some(&participants), None).expect("a definition");
    let policies = SagaPolicies::resolve(&parsed.definition, &participants);
    Arc::new(SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies)))
}

/// The record that starts the saga of a key.
pub(crate) fn trigger(key: &str) -> TriggerRecord {
    TriggerRecord {
        topic: "orders".into(),
        partition: 0,
        offset: 7,
        key: None,
        timestamp: Timestamp(0),
        headers: Default::default(),
        event: json!({"id": key}),
    }
}
