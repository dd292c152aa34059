//! Every saga of a store with its rows, in bounded memory.

use crate::journal::{PORTION_BYTES, by_saga, snapshots::SNAPSHOT_ROWS};
use saga_base::clock::EngineClock;
use saga_core::{
    id::{SagaId, ShardId},
    time::Timestamp,
};
use saga_event_store::{JournalReader, RowPosition, StoreError, StreamRow};
use std::{mem, sync::Arc};
use uuid::Uuid;

/// Rows of one page: enough that a round trip costs little for each, and few enough that work on a page begins soon.
const PAGE_ROWS: u32 = 4_096;

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScanProgress {
    /// Sagas that were looked at.
    pub sagas: u64,
    /// Their events.
    pub events: u64,
    /// The part of the time between the first saga of the scan and its last one that is done, 0 to 1. Sagas are read
    /// in the order of their starts.
    pub share: f64,
}

/// Adds up how far a scan is.
#[derive(Debug, Default)]
pub(crate) struct ScanMeter {
    sagas: u64,
    events: u64,
    first: Option<Timestamp>,
    share: f64,
}

impl ScanMeter {
    /// After one more page of sagas, of which `ids` are the first and the last.
    pub(crate) fn page(&mut self, sagas: u64, events: u64, ids: Option<(SagaId, SagaId)>) -> ScanProgress {
        self.sagas += sagas;
        self.events += events;
        if let Some((first, last)) = ids {
            let from = *self.first.get_or_insert(first.started_at());
            let all = EngineClock::Wall.now().since(from).as_secs_f64().max(0.001);
            self.share = (last.started_at().since(from).as_secs_f64() / all).clamp(0.0, 1.0);
        }
        ScanProgress { sagas: self.sagas, events: self.events, share: self.share }
    }
}

/// Before all sagas that started at `since` or later; `None`: before all.
pub(super) fn first_stream(since: Option<Timestamp>) -> Uuid {
    since.map(|at| SagaId::new(at, ShardId(0), 0).uuid()).unwrap_or_default()
}

/// A saga with all its rows, oldest first, or why they cannot be read.
#[derive(Debug)]
pub(crate) struct ScannedSaga {
    pub(crate) saga: SagaId,
    pub(crate) rows: Result<Vec<StreamRow>, StoreError>,
}

impl ScannedSaga {
    /// Whether it may have a snapshot.
    pub(super) fn is_long(&self) -> bool {
        self.rows.as_ref().is_ok_and(|rows| rows.len() >= FEWEST_ROWS)
    }
}

/// Of a journal that has a snapshot, unless rows of it are lost.
const FEWEST_ROWS: usize = SNAPSHOT_ROWS as usize;

/// Reads sagas with all their rows, ascending by id, which is by the time of their start.
pub(crate) struct SagaScan {
    store: Arc<dyn JournalReader>,
    after: RowPosition,
    /// The beginning of a saga whose other rows are on the next page.
    begun: Vec<(Uuid, StreamRow)>,
    is_over: bool,
}

impl SagaScan {
    /// Of sagas that started at `since` or later; `None`: of all.
    pub(crate) fn new(store: Arc<dyn JournalReader>, since: Option<Timestamp>) -> SagaScan {
        let after = RowPosition { stream: first_stream(since), version: 0 };
        SagaScan { store, after, begun: Vec::new(), is_over: false }
    }

    /// Of sagas after this one.
    pub(crate) fn after(store: Arc<dyn JournalReader>, saga: SagaId) -> SagaScan {
        let after = RowPosition { stream: saga.uuid(), version: LAST_VERSION };
        SagaScan { store, after, begun: Vec::new(), is_over: false }
    }

    /// The next sagas, whole; `None`: there are no more. A saga is in memory whole, whatever its size, and beside it a
    /// page of others.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ScannedSaga>>, StoreError> {
        while !self.is_over {
            let page = match self.store.scan(self.after, PAGE_ROWS, PORTION_BYTES).await {
                Err(error) if error.is_damage() => return self.one_by_one().await.map(Some),
                page => page?,
            };
            match page.last() {
                Some((stream, row)) => self.after = RowPosition { stream: *stream, version: row.version },
                None => self.is_over = true,
            }
            self.begun.extend(page);
            let whole = self.take_whole();
            if !whole.is_empty() {
                let whole = by_saga(whole).into_iter();
                return Ok(Some(whole.map(|(saga, rows)| ScannedSaga { saga, rows: Ok(rows) }).collect()));
            }
        }
        Ok(None)
    }

    /// All rows but those of the last saga, which may go on; at the end all.
    fn take_whole(&mut self) -> Vec<(Uuid, StreamRow)> {
        if self.is_over {
            return mem::take(&mut self.begun);
        }
        let last = self.begun.last().map(|(stream, _)| *stream);
        let end = self.begun.partition_point(|(stream, _)| Some(*stream) != last);
        let rest = self.begun.split_off(end);
        mem::replace(&mut self.begun, rest)
    }

    /// The sagas up to the first one that cannot be read, with that one. It is on the page that could not be read, so
    /// they are not more than a page.
    async fn one_by_one(&mut self) -> Result<Vec<ScannedSaga>, StoreError> {
        let begun = self.begun.first().map(|(stream, _)| *stream);
        self.begun.clear();
        let mut scanned = Vec::new();
        let mut next = match begun {
            Some(stream) => Some(stream),
            None => self.store.next_stream(self.after.stream).await?,
        };
        while let Some(stream) = next {
            self.after = RowPosition { stream, version: LAST_VERSION };
            let rows = self.store.read(stream).await;
            if let Err(error) = &rows
                && error.is_transient()
            {
                return rows.map(|_| scanned);
            }
            let is_readable = rows.is_ok();
            scanned.extend(SagaId::from_uuid(stream).map(|saga| ScannedSaga { saga, rows }));
            if !is_readable {
                return Ok(scanned);
            }
            next = self.store.next_stream(stream).await?;
        }
        self.is_over = true;
        Ok(scanned)
    }
}

/// The highest version that a store can have.
const LAST_VERSION: u32 = i32::MAX.unsigned_abs();
