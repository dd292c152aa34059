//! Reads journals. A saga that cannot be read must not keep others from being read.

use super::{context::ShardContext, snapshots};
use crate::{
    journal::{self, RecordedSaga},
    retry::RetryDelays,
};
use saga_core::id::SagaId;
use saga_event_store::{StreamBatch, StreamRow};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tracing::warn;
use uuid::Uuid;

/// The retry delay for reading one saga while the store is unavailable.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Payload of the journals that are read at once: many small sagas, or one large one.
const PORTION_BYTES: u64 = 4 * 1024 * 1024;
/// Tries to read several sagas at once before each is read alone: what keeps failing may be one of them.
const TRIES: u32 = 3;

/// What reading a saga led to; `Ok(None)`: there is none.
pub(super) type SagaLoadResult = Result<Option<RecordedSaga>, journal::JournalError>;

/// The result of reading several sagas.
#[derive(Debug, Default)]
pub(super) struct SagaLoadBatch {
    /// The sagas that were read, each once.
    pub(super) sagas: Vec<(SagaId, SagaLoadResult)>,
    /// Those that were not reached, so that no more than a portion is in memory.
    pub(super) left: Vec<SagaId>,
}

/// Reads as many of `sagas` as make a portion, ascending: no saga of the portion is above one that was not reached.
/// Long sagas are read from their snapshots on. Waits while the store is unavailable. If only one saga cannot be read,
/// the others do not notice it.
pub(super) async fn portion(context: &ShardContext, mut sagas: Vec<SagaId>) -> SagaLoadBatch {
    sagas.sort_unstable();
    let (resumed, beyond) = snapshots::resumed(context, &sagas).await;
    let later = beyond.map_or_else(Vec::new, |beyond| sagas.split_off(sagas.partition_point(|saga| *saga < beyond)));
    sagas.retain(|saga| !resumed.contains_key(saga));
    let read = if sagas.is_empty() { SagaLoadBatch::default() } else { whole(context, sagas).await };
    read.with(resumed, later)
}

impl SagaLoadBatch {
    /// With sagas that were read from their snapshots on, as far as the others were reached.
    fn with(mut self, resumed: BTreeMap<SagaId, RecordedSaga>, later: Vec<SagaId>) -> SagaLoadBatch {
        let reached = self.left.iter().min().copied();
        for (saga, recorded) in resumed {
            if reached.is_none_or(|first_left| saga < first_left) {
                self.sagas.push((saga, Ok(Some(recorded))));
            } else {
                self.left.push(saga);
            }
        }
        self.left.extend(later);
        self.left.sort_unstable();
        self.sagas.sort_unstable_by_key(|(saga, _)| *saga);
        self
    }
}

/// The same by their whole journals.
async fn whole(context: &ShardContext, sagas: Vec<SagaId>) -> SagaLoadBatch {
    let ids: Vec<Uuid> = sagas.iter().map(|saga| saga.uuid()).collect();
    let (mut tries, mut delays) = (0, RetryDelays::new(RETRY_MIN, RETRY_MAX));
    loop {
        match together(context, &ids).await {
            Ok(portion) => {
                let left: Vec<SagaId> = portion.left.iter().filter_map(|id| SagaId::from_uuid(*id)).collect();
                let reached = sagas.into_iter().filter(|saga| !left.contains(saga)).collect();
                return SagaLoadBatch { sagas: folded(context, reached, portion.rows).await, left };
            }
            Err(error) => {
                told(context, sagas.len(), &error);
                tries += 1;
                if (tries >= TRIES || error.is_damage())
                    && let Some(sagas) = one_by_one(context, &sagas).await
                {
                    return SagaLoadBatch { sagas, left: Vec::new() };
                }
                delays.wait().await;
            }
        }
    }
}

fn told(context: &ShardContext, sagas: usize, error: &saga_event_store::StoreError) {
    if error.is_transient() {
        context.store.health.missed("read journals", error);
    } else {
        warn!(%error, sagas, "journals cannot be read together; trying again");
    }
}

/// Readers take turns, so that sagas that fall due all at once do not keep the committers from the database. A reader
/// that waits for its retry delay has no turn.
async fn together(context: &ShardContext, ids: &[Uuid]) -> Result<StreamBatch, saga_event_store::StoreError> {
    let _turn = context.store.reads.acquire().await;
    context.store.events().read_within(ids, PORTION_BYTES).await
}

/// `None` if none of them can be read now: then the store is unavailable.
async fn one_by_one(context: &ShardContext, sagas: &[SagaId]) -> Option<Vec<(SagaId, SagaLoadResult)>> {
    let mut read = Vec::with_capacity(sagas.len());
    for saga in sagas {
        let _turn = context.store.reads.acquire().await;
        let loaded = match context.store.journal.read(*saga).await {
            Ok(None) => context.store.journal.without_rows(*saga).await,
            loaded => loaded,
        };
        read.push((*saga, loaded));
    }
    let is_away = |loaded: &SagaLoadResult| matches!(loaded, Err(error) if error.is_transient());
    let all_away = read.iter().all(|(_, loaded)| is_away(loaded));
    (!all_away).then_some(read)
}

async fn folded(
    context: &ShardContext,
    sagas: Vec<SagaId>,
    rows: Vec<(Uuid, StreamRow)>,
) -> Vec<(SagaId, SagaLoadResult)> {
    let mut rows: HashMap<SagaId, Vec<StreamRow>> = journal::by_saga(rows).into_iter().collect();
    let mut read = Vec::with_capacity(sagas.len());
    for saga in sagas {
        let loaded = match rows.remove(&saga) {
            Some(rows) => fold(context, saga, rows).await.map(Some),
            None => without_rows(context, saga).await,
        };
        read.push((saga, loaded));
    }
    read
}

/// A saga without rows is lost or was never there, unless the read model has it. Waits while the store is unavailable.
async fn without_rows(context: &ShardContext, saga: SagaId) -> SagaLoadResult {
    let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
    loop {
        match context.store.journal.without_rows(saga).await {
            Err(error) if error.is_transient() => {
                context.store.health.missed("look for a saga without rows", &error);
                delays.wait().await;
            }
            answer => return answer,
        }
    }
}

/// Waits for a definition whose text the store does not give now: without it no saga of it can be read.
async fn fold(
    context: &ShardContext,
    saga: SagaId,
    rows: Vec<StreamRow>,
) -> Result<RecordedSaga, journal::JournalError> {
    let mut delays = RetryDelays::new(RETRY_MIN, RETRY_MAX);
    loop {
        match context.store.journal.fold(saga, rows.clone()).await {
            Err(error) if error.is_transient() => {
                context.store.health.missed("read what a saga runs by", &error);
                delays.wait().await;
            }
            answer => return answer,
        }
    }
}
