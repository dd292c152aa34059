//! The only place that knows both saga events and stored rows.

pub mod codec;
pub mod counts;
pub mod history;
mod known;
pub mod payloads;
mod plans;
pub mod reading;
pub mod shown;

pub use known::{Misnamed, misnamed};
pub use plans::{PlanError, Plans};

use saga_base::panics::caught;
use saga_core::{
    event::Decision,
    evolve,
    id::SagaId,
    state::{Plan, State},
    time::Timestamp,
};
use saga_event_store::{EventStore, Row};
use std::sync::Arc;
use uuid::Uuid;

/// A saga cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer.
    #[error("the event store did not answer")]
    Store(#[from] saga_event_store::Error),
    /// A row is not of a shape that this build reads.
    #[error(transparent)]
    Unreadable(#[from] codec::Unreadable),
    /// Its definition or policies are not in the store or cannot be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The rows do not fold.
    #[error("the journal of {saga} does not fold: {reason}")]
    Fold {
        /// Whose.
        saga: SagaId,
        /// Where it broke.
        reason: String,
    },
}

impl Error {
    /// Whether the same read may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Store(error) | Error::Plan(PlanError::Store(error)) => error.is_transient(),
            Error::Unreadable(_) | Error::Plan(_) | Error::Fold { .. } => false,
        }
    }
}

/// A saga as its journal tells it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it runs by.
    pub plan: Arc<Plan>,
    /// What it is.
    pub state: State,
    /// What happened, oldest first.
    pub decisions: Vec<Decision>,
}

/// Reads one saga; `None` if the store has no such stream.
///
/// # Errors
/// When the store is away, or the journal cannot be read by this build.
pub async fn read(store: &dyn EventStore, plans: &Plans, saga: SagaId) -> Result<Option<Recorded>, Error> {
    let rows = store.read(saga.uuid()).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    fold(store, plans, saga, rows).await.map(Some)
}

/// Payload of the journals of several sagas that are in memory at once: more than a page of small sagas, far less than one of large ones.
pub const PORTION_BYTES: u64 = 16 * 1024 * 1024;

/// Rows by saga, in their order; rows of one saga stand together.
#[must_use]
pub fn by_saga(rows: Vec<(Uuid, Row)>) -> Vec<(SagaId, Vec<Row>)> {
    let mut sagas: Vec<(SagaId, Vec<Row>)> = Vec::new();
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
pub async fn fold(store: &dyn EventStore, plans: &Plans, saga: SagaId, rows: Vec<Row>) -> Result<Recorded, Error> {
    let decisions = decode(saga, rows)?;
    let plan = plans.of(store, saga, &decisions).await?;
    let state = caught(|| evolve::fold(&plan, saga, &decisions).map_err(|error| error.to_string()))
        .flatten()
        .map_err(|reason| Error::Fold { saga, reason })?;
    Ok(Recorded { plan, state, decisions })
}

/// The decisions that `rows` record, oldest first.
///
/// # Errors
/// When a row is not of a shape that this build reads.
pub fn decode(saga: SagaId, rows: Vec<Row>) -> Result<Vec<Decision>, codec::Unreadable> {
    rows.into_iter().map(|row| codec::decode(saga, row.version, Timestamp(row.recorded_at_ms), &row.payload)).collect()
}
