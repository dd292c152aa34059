//! The only place that knows both saga events and stored rows.

mod archive_horizon;
pub mod codec;
pub mod counts;
pub mod definitions;
pub mod difference;
pub(crate) mod erasing;
mod fault;
mod guard_filter;
pub mod history;
pub(crate) mod known;
pub mod payloads;
mod plans;
pub mod point;
pub mod reading;
pub mod reruns;
pub mod search;
pub mod sensitive;
pub mod shown;
pub(crate) mod snapshots;
mod timeline;

pub use fault::{JournalError, JournalFault, JournalFaultKind, PlanError};
pub use known::{LetterNames, UnknownFilterName};
pub use plans::PlanCache;
pub(crate) use plans::texts_of;

use archive_horizon::ArchiveHorizon;

use saga_base::{
    operations::{OperationKind, OperationMeter},
    panics::caught,
};
use saga_core::{
    definition::ParticipantCatalog,
    event::SagaDecision,
    evolve::{self, FoldError},
    id::SagaId,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_event_store::{EventStore, JournalReader, StreamRow};
use std::{sync::Arc, time::Instant};
use uuid::Uuid;

/// A saga as its journal tells it.
#[derive(Clone, Debug)]
pub struct RecordedSaga {
    /// The definition and policies that the saga runs by.
    pub plan: Arc<SagaPlan>,
    /// The saga's state after its last recorded decision.
    pub state: SagaState,
    /// The saga's decisions, oldest first. The owner of a long saga reads it from a snapshot on, and has only those
    /// after it.
    pub decisions: Vec<SagaDecision>,
}

/// Reads one saga; `None` if the store has no such stream.
///
/// # Errors
/// When the store is unavailable, or this build cannot read the journal.
pub async fn read(
    store: &dyn JournalReader,
    plans: &PlanCache,
    saga: SagaId,
) -> Result<Option<RecordedSaga>, JournalError> {
    let rows = store.read(saga.uuid()).await.map_err(|error| JournalError::of(saga, error))?;
    if rows.is_empty() {
        return Ok(None);
    }
    fold(store, plans, saga, rows).await.map(Some)
}

/// Reads journals, and the plans that they name. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct JournalAccess {
    store: Arc<dyn EventStore>,
    plans: Arc<PlanCache>,
    horizon: ArchiveHorizon,
    meter: OperationMeter,
}

impl JournalAccess {
    pub(crate) fn new(store: Arc<dyn EventStore>, plans: PlanCache) -> JournalAccess {
        let meter = OperationMeter::of(OperationKind::Read, "event store");
        JournalAccess { store, plans: Arc::new(plans), horizon: ArchiveHorizon::default(), meter }
    }

    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// Up to where sagas may have left the store.
    pub(crate) fn horizon(&self) -> &ArchiveHorizon {
        &self.horizon
    }

    /// The cache of the plans that this process has used.
    pub(crate) fn plans(&self) -> &PlanCache {
        &self.plans
    }

    pub(crate) fn shared_plans(&self) -> Arc<PlanCache> {
        Arc::clone(&self.plans)
    }

    /// Reads one saga from this journal, as [`read`] does.
    pub(crate) async fn read(&self, saga: SagaId) -> Result<Option<RecordedSaga>, JournalError> {
        let began = Instant::now();
        let read = read(self.store.as_ref(), &self.plans, saga).await;
        self.meter.record(began.elapsed());
        read
    }

    /// What a saga is that has no rows: a fault if the read model has it, otherwise nothing.
    pub(crate) async fn without_rows(&self, saga: SagaId) -> Result<Option<RecordedSaga>, JournalError> {
        match self.store.summary(saga.uuid()).await {
            Ok(None) => Ok(None),
            Ok(Some(_)) => Err(JournalFault::no_rows(saga).into()),
            Err(error) => Err(JournalError::of(saga, error)),
        }
    }

    /// Folds the rows of a saga, as [`fold`] does.
    pub(crate) async fn fold(&self, saga: SagaId, rows: Vec<StreamRow>) -> Result<RecordedSaga, JournalError> {
        fold(self.store.as_ref(), &self.plans, saga, rows).await
    }

    /// Stores the texts of a plan, as [`PlanCache::publish`] does.
    pub(crate) async fn publish(&self, plan: Arc<SagaPlan>) -> Result<(), saga_event_store::StoreError> {
        self.plans.publish(self.store.as_ref(), plan).await
    }

    /// Returns the plan with these hashes, as [`PlanCache::exactly`] does.
    pub(crate) async fn exact_plan(&self, definition: &str, policies: &str) -> Result<Arc<SagaPlan>, PlanError> {
        self.plans.exactly(self.store.as_ref(), definition, policies).await
    }

    /// Returns a plan for new sagas of a stored definition, as [`PlanCache::stored`] does.
    pub(crate) async fn stored_plan(
        &self,
        hash: &str,
        participants: &ParticipantCatalog,
    ) -> Result<Arc<SagaPlan>, PlanError> {
        self.plans.stored(self.store.as_ref(), hash, participants).await
    }
}

/// Payload of the journals of several sagas that are in memory at once: more than a page of small sagas, far less than
/// one of large ones.
pub const PORTION_BYTES: u64 = 16 * 1024 * 1024;

/// Rows by saga, in their order; rows of one saga stand together.
#[must_use]
pub fn by_saga(rows: Vec<(Uuid, StreamRow)>) -> Vec<(SagaId, Vec<StreamRow>)> {
    let mut sagas: Vec<(SagaId, Vec<StreamRow>)> = Vec::new();
    for (stream, row) in rows {
        let Some(saga) = SagaId::from_uuid(stream) else { continue };
        match sagas.last_mut() {
            Some((last, rows)) if *last == saga => rows.push(row),
            Some(_) | None => sagas.push((saga, vec![row])),
        }
    }
    sagas
}

/// Folds rows that were read.
///
/// # Errors
/// When the plan cannot be read from the store, or the rows are not a journal of this build.
pub async fn fold(
    store: &dyn JournalReader,
    plans: &PlanCache,
    saga: SagaId,
    rows: Vec<StreamRow>,
) -> Result<RecordedSaga, JournalError> {
    let decisions = decode(saga, &rows)?;
    let plan = plans.of(store, saga, &decisions).await?;
    let state = guarded(saga, || evolve::fold(&plan, saga, &decisions))?;
    Ok(RecordedSaga { plan, state, decisions })
}

/// What `folded` returns; where the rows of the saga do not fit, or the rules panic on them, the fault.
///
/// # Errors
/// [`JournalFaultKind::Fold`].
pub(crate) fn guarded<T>(saga: SagaId, folded: impl FnOnce() -> Result<T, FoldError>) -> Result<T, JournalError> {
    match caught(folded) {
        Ok(folded) => Ok(folded.map_err(|error| JournalFault::from((saga, error)))?),
        Err(panic) => Err(JournalFault { saga, version: None, kind: JournalFaultKind::Fold(panic) }.into()),
    }
}

/// The decisions that `rows` record, oldest first. `rows` are the first rows of the journal, or all of them.
///
/// # Errors
/// When a row is missing, or is not of a shape that this build reads.
pub fn decode(saga: SagaId, rows: &[StreamRow]) -> Result<Vec<SagaDecision>, JournalFault> {
    decisions_after(saga, 0, rows)
}

/// The decisions that `rows` record, which are those after the version `after`.
pub(crate) fn decisions_after(saga: SagaId, after: u32, rows: &[StreamRow]) -> Result<Vec<SagaDecision>, JournalFault> {
    (after.saturating_add(1)..).zip(rows).map(|(expected, row)| decision(saga, expected, row)).collect()
}

/// The decision of the row that follows the version before `expected`.
fn decision(saga: SagaId, expected: u32, row: &StreamRow) -> Result<SagaDecision, JournalFault> {
    if row.version != expected {
        let kind = JournalFaultKind::MissingRows { first: expected, last: row.version.saturating_sub(1) };
        return Err(JournalFault { saga, version: Some(expected), kind });
    }
    let decoded = codec::decode(row.version, Timestamp(row.recorded_at_ms), &row.payload);
    match decoded {
        Ok(decision) if decision.events.is_empty() => {
            let kind = JournalFaultKind::NoEvents(expected);
            Err(JournalFault { saga, version: Some(expected), kind })
        }
        decoded => decoded.map_err(|error| JournalFault::from((saga, error))),
    }
}
