//! The only place that knows both saga events and stored rows.

pub mod codec;
pub mod counts;
pub mod definitions;
pub mod difference;
pub mod history;
mod known;
pub mod payloads;
mod plans;
pub mod point;
pub mod reading;
pub mod shown;
mod timeline;

pub use known::{UnknownFilterName, misnamed};
pub use plans::{PlanCache, PlanError};

use saga_base::panics::caught;
use saga_core::{
    definition::ParticipantCatalog,
    event::SagaDecision,
    evolve,
    id::SagaId,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_event_store::{EventStore, StreamRow};
use std::sync::Arc;
use uuid::Uuid;

/// A saga cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store did not answer.
    #[error("the event store did not answer")]
    Store(#[from] saga_event_store::StoreError),
    /// A row is not of a shape that this build reads.
    #[error(transparent)]
    Unreadable(#[from] codec::RowDecodeError),
    /// Its definition or policies are not in the store or cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The rows do not fold to a state.
    #[error("the journal of {saga} does not fold: {reason}")]
    Fold {
        /// The saga whose journal it is.
        saga: SagaId,
        /// Which part of the journal does not fit, and why.
        reason: String,
    },
}

impl JournalError {
    /// Whether the same read may succeed later without an operator's action.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            JournalError::Store(error) | JournalError::Plan(PlanError::Store(error)) => error.is_transient(),
            JournalError::Unreadable(_) | JournalError::Plan(_) | JournalError::Fold { .. } => false,
        }
    }
}

/// A saga as its journal tells it.
#[derive(Clone, Debug)]
pub struct RecordedSaga {
    /// The definition and policies that the saga runs by.
    pub plan: Arc<SagaPlan>,
    /// The saga's state after its last recorded decision.
    pub state: SagaState,
    /// The saga's decisions, oldest first.
    pub decisions: Vec<SagaDecision>,
}

/// Reads one saga; `None` if the store has no such stream.
///
/// # Errors
/// When the store is unavailable, or this build cannot read the journal.
pub async fn read(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
) -> Result<Option<RecordedSaga>, JournalError> {
    let rows = store.read(saga.uuid()).await?;
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
}

impl JournalAccess {
    pub(crate) fn new(store: Arc<dyn EventStore>, plans: PlanCache) -> JournalAccess {
        JournalAccess { store, plans: Arc::new(plans) }
    }

    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
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
        read(self.store.as_ref(), &self.plans, saga).await
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
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
    rows: Vec<StreamRow>,
) -> Result<RecordedSaga, JournalError> {
    let decisions = decode(saga, rows)?;
    let plan = plans.of(store, saga, &decisions).await?;
    let state = caught(|| evolve::fold(&plan, saga, &decisions).map_err(|error| error.to_string()))
        .flatten()
        .map_err(|reason| JournalError::Fold { saga, reason })?;
    Ok(RecordedSaga { plan, state, decisions })
}

/// The decisions that `rows` record, oldest first.
///
/// # Errors
/// When a row is not of a shape that this build reads.
pub fn decode(saga: SagaId, rows: Vec<StreamRow>) -> Result<Vec<SagaDecision>, codec::RowDecodeError> {
    rows.into_iter().map(|row| codec::decode(saga, row.version, Timestamp(row.recorded_at_ms), &row.payload)).collect()
}
