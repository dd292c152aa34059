//! Applies the next part of the feed to a generation.

use super::{EventProjection, ProjectedEvent, ProjectionRows};
use crate::journal::{self, PlanCache, PlanError};
use saga_core::{event::SagaDecision, id::SagaId, time::Timestamp};
use saga_event_store::{
    ChangeOutcome, EventStore, FeedError, FeedPosition, FeedRow, ProjectionChange, ProjectionGeneration, StoreError,
    StreamSummary,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Rows of the feed in one transaction: some ten milliseconds of work.
const PORTION_ROWS: u32 = 500;
/// Payloads of one transaction.
const PORTION_BYTES: u64 = 4 * 1024 * 1024;
/// Rows that cannot be read have a row under this prefix and their saga and version, so that people see what is
/// missing.
const UNREADABLE: &str = "!unreadable/";

/// A generation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The store did not answer, or cannot go on in the feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The projection breaks its own rules.
    #[error("the projection is at fault: {0}")]
    Rules(String),
}

impl AdvanceError {
    /// Whether the same try may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            AdvanceError::Feed(FeedError::Store(error)) => error.is_transient(),
            AdvanceError::Feed(FeedError::Forgotten { .. } | FeedError::Unknown { .. }) | AdvanceError::Rules(_) => {
                false
            }
        }
    }
}

impl From<StoreError> for AdvanceError {
    fn from(error: StoreError) -> AdvanceError {
        AdvanceError::Feed(error.into())
    }
}

/// What a portion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdvanceOutcome {
    /// So many rows of the feed were applied; the generation is as it says now.
    Moved(u64),
    /// There is nothing to apply for now.
    CaughtUp,
    /// Somebody else applied this part, or the generation is gone: read the generations again.
    Outdated,
}

type RowChanges = (Vec<saga_event_store::ProjectedRow>, Vec<String>);

async fn apply(
    store: &dyn EventStore,
    rules: &dyn EventProjection,
    generation: &ProjectionGeneration,
    portion: &DecodedPortion,
) -> Result<RowChanges, AdvanceError> {
    let events: Vec<ProjectedEvent<'_>> = portion.events().collect();
    let mut keys: BTreeSet<String> = events.iter().flat_map(|event| rules.keys(event)).collect();
    keys.extend(portion.unreadable.keys().cloned());
    let keys: Vec<String> = keys.into_iter().collect();
    let stored = store.projected(&generation.name, generation.generation, &keys).await?;
    let mut rows = ProjectionRows::of(keys, stored);
    for event in &events {
        rules.apply(event, &mut rows);
    }
    for (key, reason) in &portion.unreadable {
        rows.put(key, reason);
    }
    rows.changes().map_err(AdvanceError::Rules)
}

/// A part of the feed, decoded, with what is known of its sagas.
struct DecodedPortion {
    decisions: Vec<(SagaId, SagaDecision)>,
    summaries: HashMap<Uuid, StreamSummary>,
    /// Names of the steps, by hash of the definition.
    steps: HashMap<String, Vec<String>>,
    /// Why rows cannot be read, by the key of the row that says so.
    unreadable: HashMap<String, String>,
}

impl DecodedPortion {
    async fn of(store: &dyn EventStore, plans: &PlanCache, rows: Vec<FeedRow>) -> Result<DecodedPortion, StoreError> {
        let streams: BTreeSet<Uuid> = rows.iter().map(|row| row.stream).collect();
        let streams: Vec<Uuid> = streams.into_iter().collect();
        let summaries = store.summaries(&streams).await?;
        let steps = steps_of(store, plans, &summaries).await?;
        let summaries = summaries.into_iter().map(|summary| (summary.stream, summary)).collect();
        let mut portion =
            DecodedPortion { decisions: Vec::with_capacity(rows.len()), summaries, steps, unreadable: HashMap::new() };
        rows.into_iter().for_each(|row| portion.decode(row));
        Ok(portion)
    }

    /// A row that the journal no longer has says nothing to a projection: what the saga was is in its other rows, or
    /// its archive.
    fn decode(&mut self, row: FeedRow) {
        let (Some(saga), Some(stored)) = (SagaId::from_uuid(row.stream), row.row) else { return };
        let at = Timestamp(stored.recorded_at_ms);
        match journal::codec::decode(row.version, at, &stored.payload) {
            Ok(decision) => self.decisions.push((saga, decision)),
            Err(error) => {
                self.unreadable.insert(format!("{UNREADABLE}{saga}/{}", row.version), error.to_string());
            }
        }
    }

    fn events(&self) -> impl Iterator<Item = ProjectedEvent<'_>> {
        self.decisions.iter().flat_map(|(saga, decision)| {
            let summary = self.summaries.get(&saga.uuid());
            let steps = summary.and_then(|summary| self.steps.get(&summary.document));
            decision.events.iter().map(move |event| ProjectedEvent {
                saga: *saga,
                definition: summary.map_or("", |summary| summary.category.as_str()),
                key: summary.map_or("", |summary| summary.key.as_str()),
                at: decision.at,
                event,
                steps: steps.map_or(&[][..], Vec::as_slice),
            })
        })
    }
}

async fn steps_of(
    store: &dyn EventStore,
    plans: &PlanCache,
    summaries: &[StreamSummary],
) -> Result<HashMap<String, Vec<String>>, StoreError> {
    let mut steps = HashMap::new();
    for hash in summaries.iter().map(|summary| &summary.document).collect::<BTreeSet<_>>() {
        match plans.definition(store, hash).await {
            Ok(definition) => {
                let names = definition.steps.iter().map(|step| step.name.clone()).collect();
                steps.insert(hash.clone(), names);
            }
            Err(PlanError::Store(error)) => return Err(error),
            Err(PlanError::Missing { .. } | PlanError::Unreadable { .. }) => {}
        }
    }
    Ok(steps)
}

/// A part of the feed.
struct ReadPortion {
    from: FeedPosition,
    to: FeedPosition,
    rows: u64,
    at_ms: Option<i64>,
    decoded: DecodedPortion,
}

/// Reads the feed for projections, and applies it.
pub(super) struct ProjectionSource {
    pub(super) store: Arc<dyn EventStore>,
    plans: Arc<PlanCache>,
    /// The last part that was read: projections that are equally far share it.
    last: Option<Arc<ReadPortion>>,
}

impl ProjectionSource {
    pub(super) fn new(store: Arc<dyn EventStore>, plans: Arc<PlanCache>) -> ProjectionSource {
        ProjectionSource { store, plans, last: None }
    }

    /// Applies the next portion of the feed, in one transaction with the new position.
    ///
    /// # Errors
    /// When the feed cannot be read, or the projection breaks its rules. Nothing was written then. Unless the same try
    /// may succeed later, the generation records why it does not go on.
    pub(super) async fn advance(
        &mut self,
        rules: &dyn EventProjection,
        generation: &mut ProjectionGeneration,
    ) -> Result<AdvanceOutcome, AdvanceError> {
        let done = self.apply_next(rules, generation).await;
        if let Err(error) = &done
            && !error.is_transient()
        {
            self.store.fail_projection(&generation.name, generation.generation, &error.to_string()).await?;
        }
        done
    }

    async fn apply_next(
        &mut self,
        rules: &dyn EventProjection,
        generation: &mut ProjectionGeneration,
    ) -> Result<AdvanceOutcome, AdvanceError> {
        let Some(portion) = self.read(generation.position).await? else { return Ok(AdvanceOutcome::CaughtUp) };
        let (put, removed) = apply(self.store.as_ref(), rules, generation, &portion.decoded).await?;
        let change = ProjectionChange {
            name: generation.name.clone(),
            generation: generation.generation,
            from: generation.position,
            to: portion.to,
            at_ms: portion.at_ms,
            put,
            removed,
        };
        if self.store.apply_projection(&change).await? == ChangeOutcome::Outdated {
            return Ok(AdvanceOutcome::Outdated);
        }
        (generation.position, generation.at_ms) = (portion.to, portion.at_ms.or(generation.at_ms));
        Ok(AdvanceOutcome::Moved(portion.rows))
    }

    async fn read(&mut self, from: FeedPosition) -> Result<Option<Arc<ReadPortion>>, FeedError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.from.to_string() == from.to_string()) {
            return Ok(Some(Arc::clone(last)));
        }
        let page = self.store.feed(from, PORTION_ROWS, PORTION_BYTES).await?;
        let Some(last) = page.rows.last() else { return Ok(None) };
        let (to, rows) = (last.position, page.rows.len() as u64);
        let at_ms = page.rows.iter().rev().find_map(|row| row.row.as_ref()).map(|row| row.recorded_at_ms);
        let decoded = DecodedPortion::of(self.store.as_ref(), &self.plans, page.rows).await?;
        let portion = Arc::new(ReadPortion { from, to, rows, at_ms, decoded });
        self.last = Some(Arc::clone(&portion));
        Ok(Some(portion))
    }
}
