//! Applies the next part of the archives, and then of the feed, to a generation.

mod reading;

use super::{
    EventProjection, ProjectedEvent, ProjectionRows,
    archived::{ArchiveFolder, ArchiveShelf, LeftOutArchive},
    portion::DecodedPortion,
};
use crate::journal::PlanCache;
use reading::ReadPortion;
use saga_event_store::{
    ChangeOutcome, EventStore, FeedError, ProjectedRow, ProjectionChange, ProjectionGeneration, StoreError,
};
use std::{collections::BTreeSet, sync::Arc};

/// A generation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// The store did not answer, or cannot go on in the feed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Archive files that the build needs cannot be read by this process. Others may have them.
    #[error("files of archives cannot be read: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Archives(Vec<LeftOutArchive>),
    /// The projection breaks its own rules.
    #[error("the projection is at fault: {0}")]
    Rules(String),
}

impl AdvanceError {
    /// Whether the same try may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            AdvanceError::Feed(FeedError::Store(error)) => error.is_transient(),
            AdvanceError::Archives(_) => true,
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
    /// So many rows of the feed or of archives were applied; the generation is as it says now.
    Moved(u64),
    /// There is nothing to apply for now.
    CaughtUp,
    /// Somebody else applied this part, or the generation is gone: read the generations again.
    Outdated,
}

type RowChanges = (Vec<ProjectedRow>, Vec<String>);

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

/// Rows of the feed in one transaction of an engine, which has sagas to run beside it: some ten milliseconds of work.
pub(super) const BESIDE_SAGAS_ROWS: u32 = 500;
/// Rows of the feed in one transaction where nothing else waits: queries and commit cost as much as some hundred rows.
pub(super) const ALONE_ROWS: u32 = 4_000;

/// Reads the archives and the feed for projections, and applies them.
pub(super) struct ProjectionSource {
    pub(super) store: Arc<dyn EventStore>,
    portion_rows: u32,
    plans: Arc<PlanCache>,
    pub(super) shelf: ArchiveShelf,
    /// The last part that was read: projections that are equally far share it.
    last: Option<Arc<ReadPortion>>,
}

impl ProjectionSource {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        plans: Arc<PlanCache>,
        folder: ArchiveFolder,
        portion_rows: u32,
    ) -> ProjectionSource {
        ProjectionSource { store, portion_rows, plans, shelf: ArchiveShelf::new(folder), last: None }
    }

    /// Applies the next portion, in one transaction with the new position.
    ///
    /// # Errors
    /// When the archives or the feed cannot be read, or the projection breaks its rules. Nothing was written then.
    /// Unless the same try may succeed later, the generation records why it does not go on.
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
        let Some(portion) = self.read(generation).await? else { return Ok(AdvanceOutcome::CaughtUp) };
        let (put, removed) = apply(self.store.as_ref(), rules, generation, &portion.decoded).await?;
        // A live generation keeps what it says.
        let archives_to = if generation.is_live { generation.archives } else { portion.archives_to };
        let change = ProjectionChange {
            name: generation.name.clone(),
            generation: generation.generation,
            from: generation.position,
            to: portion.to,
            archives_from: generation.archives,
            archives_to,
            left_out: portion.left_out.clone(),
            at_ms: portion.at_ms,
            put,
            removed,
        };
        if self.store.apply_projection(&change).await? == ChangeOutcome::Outdated {
            return Ok(AdvanceOutcome::Outdated);
        }
        (generation.position, generation.at_ms) = (portion.to, portion.at_ms.or(generation.at_ms));
        generation.archives = archives_to;
        generation.left_out = portion.left_out.clone().or(generation.left_out.take());
        Ok(AdvanceOutcome::Moved(portion.rows))
    }
}
