//! Snapshots of long journals: the state of a saga at one of its rows, from which its owner goes on without the rows
//! before it. The rows stay the truth: a snapshot that is not certainly the state of its row is not used.

use super::{JournalAccess, JournalError, PlanCache, RecordedSaga, decisions_after, fault, guarded};
use saga_core::{
    event::{SagaDecision, SagaEvent},
    id::SagaId,
    snapshot::{self, FORMAT},
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_event_store::{EventStore, MAX_SNAPSHOT_BYTES, RowPosition, StoreError, StreamRow, StreamSnapshot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A snapshot is taken at every so many rows: fewer rows than that are folded in some milliseconds.
pub(crate) const SNAPSHOT_ROWS: u32 = 500;

/// Names what a saga ran by: the hashes of a definition and its policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanName {
    definition: String,
    policies: String,
}

#[derive(Serialize)]
struct EncodedSnapshot<'a> {
    plans: &'a [PlanName],
    state: &'a SagaState,
}

/// A snapshot that was read.
#[derive(Debug, Deserialize)]
pub(crate) struct DecodedSnapshot {
    /// What the saga ran by one after the other, up to the row of the snapshot.
    pub(crate) plans: Vec<PlanName>,
    pub(crate) state: SagaState,
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotUnused {
    #[error("the saga has none")]
    Missing,
    #[error("it has the format {0}, and this build reads the format {FORMAT}")]
    Format(u32),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    #[error("it is not of the row that the journal has there")]
    OtherRow,
    #[error("it names another definition than the journal")]
    OtherDefinition,
    #[error("the journal cannot be read from it on")]
    Journal(#[from] JournalError),
}

impl SnapshotUnused {
    /// For the metric.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            SnapshotUnused::Missing => "missing",
            SnapshotUnused::Format(_) => "format",
            SnapshotUnused::Unreadable(_) => "unreadable",
            SnapshotUnused::OtherRow => "row",
            SnapshotUnused::OtherDefinition => "definition",
            SnapshotUnused::Journal(_) => "journal",
        }
    }
}

/// The snapshot of `state`, whose last row has the id `append_id`; `None`: it would be too large.
#[must_use]
pub(crate) fn taken(plan: &SagaPlan, state: &SagaState, append_id: Uuid) -> Option<StreamSnapshot> {
    let plans: Vec<PlanName> = plan.chain().into_iter().map(PlanName::of).collect();
    let bytes = serde_json::to_vec(&EncodedSnapshot { plans: &plans, state }).ok()?;
    let (stream, version) = (state.id.uuid(), state.version);
    let snapshot = StreamSnapshot { stream, version, append_id, format: FORMAT, state: bytes };
    (snapshot.state.len() <= MAX_SNAPSHOT_BYTES).then_some(snapshot)
}

/// What the bytes of a snapshot say, if they are of this build and of this stream and version.
pub(crate) fn decoded(snapshot: &StreamSnapshot) -> Result<DecodedSnapshot, SnapshotUnused> {
    if snapshot.format != FORMAT {
        return Err(SnapshotUnused::Format(snapshot.format));
    }
    let decoded: DecodedSnapshot =
        serde_json::from_slice(&snapshot.state).map_err(|error| SnapshotUnused::Unreadable(error.to_string()))?;
    let is_its_own = (decoded.state.id.uuid(), decoded.state.version) == (snapshot.stream, snapshot.version);
    if is_its_own { Ok(decoded) } else { Err(SnapshotUnused::Unreadable("it is of another saga or row".into())) }
}

impl JournalAccess {
    /// Reads one saga from its snapshot on, as [`resumed`] does.
    pub(crate) async fn resumed(&self, saga: SagaId) -> Result<RecordedSaga, SnapshotUnused> {
        resumed(self.store.as_ref(), &self.plans, saga).await
    }

    /// Reads one saga from its snapshot on if it has one that can be used, otherwise whole.
    pub(crate) async fn current(&self, saga: SagaId) -> Result<Option<RecordedSaga>, JournalError> {
        match self.resumed(saga).await {
            Ok(recorded) => Ok(Some(recorded)),
            Err(_) => self.read(saga).await,
        }
    }
}

/// A saga, read from its snapshot on; [`RecordedSaga::decisions`] has only the rows after the snapshot.
///
/// # Errors
/// When the saga has no snapshot that can be used. Then the whole journal says what the saga is, or why it cannot be
/// read.
async fn resumed(store: &dyn EventStore, plans: &PlanCache, saga: SagaId) -> Result<RecordedSaga, SnapshotUnused> {
    let stream = saga.uuid();
    let snapshot = store.snapshots(&[stream]).await.map_err(of_store)?.pop().ok_or(SnapshotUnused::Missing)?;
    let DecodedSnapshot { plans: names, state } = decoded(&snapshot)?;
    let rows = store.read_from(stream, snapshot.version).await.map_err(of_store)?;
    if !snapshot.is_of(&rows) {
        return Err(SnapshotUnused::OtherRow);
    }
    if names.first() != begins_by(store, stream).await?.as_ref() {
        return Err(SnapshotUnused::OtherDefinition);
    }
    let decisions = decisions_after(saga, snapshot.version, &rows[1..]).map_err(JournalError::from)?;
    let plan = plan_of(store, plans, saga, &names, &decisions).await?;
    let state = guarded(saga, || snapshot::resumed(&plan, names.len(), state, &decisions))?;
    Ok(RecordedSaga { plan, state, decisions })
}

fn of_store(error: StoreError) -> SnapshotUnused {
    SnapshotUnused::Journal(error.into())
}

/// What the first row names.
async fn begins_by(store: &dyn EventStore, stream: Uuid) -> Result<Option<PlanName>, SnapshotUnused> {
    let before = RowPosition { stream, version: 0 };
    let first = store.scan(before, 1, 1).await.map_err(of_store)?;
    let name = |(_, row): &(Uuid, StreamRow)| {
        let decision = super::codec::decode(row.version, Timestamp(row.recorded_at_ms), &row.payload).ok()?;
        PlanName::begins(&decision)
    };
    Ok(first.first().filter(|(of, row)| (*of, row.version) == (stream, 1)).and_then(name))
}

async fn plan_of(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
    names: &[PlanName],
    after: &[SagaDecision],
) -> Result<Arc<SagaPlan>, JournalError> {
    let later = after.iter().filter_map(PlanName::changes);
    let mut plan: Option<Arc<SagaPlan>> = None;
    for name in names.iter().cloned().chain(later) {
        let next = plans.exactly(store, &name.definition, &name.policies).await;
        let next = next.map_err(|error| fault::of_plan(saga, 1, error))?;
        plan = Some(plan.map_or_else(|| Arc::clone(&next), |before| Arc::new(next.after(before))));
    }
    plan.ok_or_else(|| JournalError::from(super::JournalFault::no_rows(saga)))
}

impl PlanName {
    pub(crate) fn of(plan: &SagaPlan) -> PlanName {
        PlanName { definition: plan.definition.hash.clone(), policies: plan.policies_hash.clone() }
    }

    fn begins(decision: &SagaDecision) -> Option<PlanName> {
        let SagaEvent::SagaStarted { definition, policies, .. } = decision.events.first()? else { return None };
        Some(PlanName { definition: definition.clone(), policies: policies.clone() })
    }

    fn changes(decision: &SagaDecision) -> Option<PlanName> {
        let SagaEvent::DefinitionChanged { definition, policies, .. } = decision.events.first()? else { return None };
        Some(PlanName { definition: definition.clone(), policies: policies.clone() })
    }
}

#[cfg(test)]
mod tests;
