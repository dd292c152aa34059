//! Writes the read model anew from the journals, while engines run.
//!
//! A row is written only where it says something else than the journal folds to, and only if the journal has not gone
//! on since it was read. So an engine that works on the saga neither waits nor loses anything, and a call that is
//! repeated changes nothing more.

use super::{
    page_pipeline,
    read_model::{self, RowDifference},
    scan::{SagaScan, ScanMeter, ScanProgress, ScannedSaga},
};
use crate::journal::{self, JournalError, PlanCache, RecordedSaga, shown::unreadable};
use futures_util::StreamExt;
use saga_core::id::SagaId;
use saga_event_store::{EventStore, RepairOutcome, StoreError, StreamRepair, StreamStanding, SummaryUpdate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Whether rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// They are told only.
    DryRun,
    /// They are written.
    Write,
}

/// A row of the read model that was written, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaRepair {
    /// The saga's id.
    pub id: String,
    /// The saga's business key.
    pub key: String,
    /// The saga's shard.
    pub shard: u16,
    /// Version of the last row of the journal, from which the row was made.
    pub version: u32,
    /// The fields that change.
    pub changes: Vec<FieldRepair>,
    /// The saga goes on, and the read model did not have it among the open ones. An engine that took over the shard
    /// before the repair does not know the saga until something comes for it.
    pub reopened: bool,
}

/// A field of a row of the read model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldRepair {
    /// Its name; `row` where the read model did not have the saga.
    pub field: String,
    /// What it said; null: nothing.
    pub was: Value,
    /// What the journal says.
    pub is: Value,
}

/// A saga whose row of the read model stays as it is, although its journal does not confirm it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnrepairedSaga {
    /// The saga's id.
    pub id: String,
    /// Why, and what to do.
    pub reason: String,
}

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairReport {
    /// Sagas whose journals were folded.
    pub sagas: u64,
    /// Rows of the read model that were written, or would be.
    pub repaired: u64,
    /// Of these, sagas that go on and were not among the open ones.
    pub reopened: u64,
    /// Sagas whose rows stay as they are.
    pub unrepaired: u64,
}

impl RepairReport {
    /// Adds what another part did.
    pub fn add(&mut self, part: &RepairReport) {
        self.sagas += part.sagas;
        self.repaired += part.repaired;
        self.reopened += part.reopened;
        self.unrepaired += part.unrepaired;
    }
}

/// What a repair tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RepairEvent {
    /// A row was written, or would be.
    Repaired(Box<SagaRepair>),
    /// A row stays as it is.
    Unrepaired(UnrepairedSaga),
    /// How far it is.
    Progress(ScanProgress),
}

/// A part of a repair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairPart {
    /// What the part did.
    pub report: RepairReport,
    /// The rows that were written, or would be.
    pub repairs: Vec<SagaRepair>,
    /// The sagas whose rows stay as they are.
    pub unrepaired: Vec<UnrepairedSaga>,
    /// The saga after which the next part begins; `None`: this was the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Repairs the whole read model, several pages at once for as many cores as `workers`. `tell` gets every row that is
/// written, and after each page how far the repair is. A call that is dropped has repaired a part; the same call again
/// does the rest.
///
/// # Errors
/// When the store does not answer.
pub async fn repair(
    store: Arc<dyn EventStore>,
    mode: RepairMode,
    workers: usize,
    mut tell: impl FnMut(RepairEvent),
) -> Result<RepairReport, StoreError> {
    let repairer = PageRepairer { store: Arc::clone(&store), plans: Arc::default(), mode };
    let scan = SagaScan::new(store, None);
    let repaired = page_pipeline::processed(scan, workers, |page| {
        let repairer = repairer.clone();
        async move { repairer.repaired(page).await }
    });
    let mut repaired = std::pin::pin!(repaired);
    let (mut report, mut meter) = (RepairReport::default(), ScanMeter::default());
    while let Some(page) = repaired.next().await {
        let RepairedPage { part, events, ids } = page?;
        report.add(&part.report);
        part.repairs.into_iter().for_each(|it| tell(RepairEvent::Repaired(Box::new(it))));
        part.unrepaired.into_iter().for_each(|it| tell(RepairEvent::Unrepaired(it)));
        tell(RepairEvent::Progress(meter.page(part.report.sagas, events, ids)));
    }
    Ok(report)
}

/// Repairs the sagas after `after` (`None`: from the first one), for some time: a caller that waits for an answer goes
/// on with [`RepairPart::next`].
///
/// # Errors
/// When the store does not answer.
pub async fn repair_part(
    store: Arc<dyn EventStore>,
    plans: Arc<PlanCache>,
    (mode, after): (RepairMode, Option<SagaId>),
    most: Duration,
) -> Result<RepairPart, StoreError> {
    let began = Instant::now();
    let repairer = PageRepairer { store: Arc::clone(&store), plans, mode };
    let mut scan = match after {
        Some(after) => SagaScan::after(store, after),
        None => SagaScan::new(store, None),
    };
    let mut done = RepairPart::default();
    while let Some(page) = scan.next().await? {
        let RepairedPage { part, events: _, ids } = repairer.repaired(page).await?;
        done.report.add(&part.report);
        done.repairs.extend(part.repairs);
        done.unrepaired.extend(part.unrepaired);
        if began.elapsed() >= most {
            done.next = ids.map(|(_, last)| last.to_string());
            break;
        }
    }
    Ok(done)
}

/// Times that a saga is read again because it went on meanwhile. Each time it has committed a row.
const MOST_TRIES: u32 = 50;

/// What came out of one page.
#[derive(Debug, Default)]
struct RepairedPage {
    part: RepairPart,
    events: u64,
    /// The first and the last saga of the page.
    ids: Option<(SagaId, SagaId)>,
}

/// What became of one saga.
enum MendOutcome {
    /// Journal and row agree, or the saga has left the store.
    Agrees,
    /// The row is written, or would be.
    Repaired(Box<SagaRepair>),
    /// The saga went on each time that its row was made.
    GoesOn,
}

#[derive(Clone, Debug)]
struct PageRepairer {
    store: Arc<dyn EventStore>,
    plans: Arc<PlanCache>,
    mode: RepairMode,
}

impl PageRepairer {
    async fn repaired(&self, page: Vec<ScannedSaga>) -> Result<RepairedPage, StoreError> {
        let streams: Vec<Uuid> = page.iter().map(|it| it.saga.uuid()).collect();
        let shown = self.store.standings(&streams).await?.into_iter().map(|it| (it.summary.stream, it));
        let shown: HashMap<Uuid, StreamStanding> = shown.collect();
        let ids = page.first().zip(page.last()).map(|(first, last)| (first.saga, last.saga));
        let mut repaired = RepairedPage { ids, ..RepairedPage::default() };
        for scanned in page {
            self.saga(scanned, &shown, &mut repaired).await?;
        }
        Ok(repaired)
    }

    async fn saga(
        &self,
        ScannedSaga { saga, rows }: ScannedSaga,
        shown: &HashMap<Uuid, StreamStanding>,
        repaired: &mut RepairedPage,
    ) -> Result<(), StoreError> {
        repaired.part.report.sagas += 1;
        let rows = rows.map_err(|error| JournalError::of(saga, error));
        let folded = match rows {
            Ok(rows) => journal::fold(self.store.as_ref(), &self.plans, saga, rows).await,
            Err(error) => Err(error),
        };
        let outcome = match folded {
            Ok(recorded) => {
                repaired.events += recorded.decisions.iter().map(|it| it.events.len() as u64).sum::<u64>();
                match changes(&row_of(&recorded), shown.get(&saga.uuid())).is_empty() {
                    true => Ok(MendOutcome::Agrees),
                    // The page of journals is older than the page of rows, so the saga may only have gone on.
                    false => self.mend(saga).await,
                }
            }
            Err(error) if !error.is_transient() && is_erased(shown.get(&saga.uuid())) => Ok(MendOutcome::Agrees),
            Err(error) => Err(error),
        };
        repaired.part.add(saga, outcome)
    }

    /// Writes the row from the journal as it is now.
    async fn mend(&self, saga: SagaId) -> Result<MendOutcome, JournalError> {
        let of = |error| JournalError::of(saga, error);
        for _ in 0..MOST_TRIES {
            let Some(recorded) = journal::read(self.store.as_ref(), &self.plans, saga).await? else {
                // It went to an archive.
                return Ok(MendOutcome::Agrees);
            };
            let row = row_of(&recorded);
            // After the journal: as long as this has not gone on, the row is that of its last version.
            let shown = self.store.standings(&[saga.uuid()]).await.map_err(of)?.pop();
            let changes = changes(&row, shown.as_ref());
            if changes.is_empty() {
                return Ok(MendOutcome::Agrees);
            }
            if self.is_written(&recorded, &row).await.map_err(of)? {
                let reopened = row.summary.open && !shown.is_some_and(|it| it.open && it.shard == row.shard);
                let StreamRepair { shard, version, key, .. } = row;
                let repair = SagaRepair { id: saga.to_string(), key, shard, version, changes, reopened };
                return Ok(MendOutcome::Repaired(Box::new(repair)));
            }
        }
        Ok(MendOutcome::GoesOn)
    }

    /// Whether the row is written, or would be: the journal has not gone on.
    async fn is_written(&self, recorded: &RecordedSaga, row: &StreamRepair) -> Result<bool, StoreError> {
        match self.mode {
            RepairMode::DryRun => Ok(self.store.last_version(row.stream).await? == Some(row.version)),
            RepairMode::Write => {
                let changed_at = read_model::changed_at(&recorded.plan, &recorded.state, &recorded.decisions);
                let row = StreamRepair { updated_at_ms: changed_at.0, ..row.clone() };
                Ok(self.store.repair(&row).await? == RepairOutcome::Repaired)
            }
        }
    }
}

/// A saga that could not be read, and is erased: nothing tells any more what its row should be.
fn is_erased(shown: Option<&StreamStanding>) -> bool {
    shown.is_some_and(|shown| shown.summary.erased_at_ms.is_some())
}

fn row_of(recorded: &RecordedSaga) -> StreamRepair {
    read_model::folded(&recorded.plan, &recorded.state, &recorded.decisions)
}

/// What changes in the row that was found.
fn changes(row: &StreamRepair, found: Option<&StreamStanding>) -> Vec<FieldRepair> {
    let field = |(field, is, was): RowDifference| FieldRepair { field: field.to_owned(), was, is };
    let Some(found) = found else {
        let all: serde_json::Map<String, Value> =
            read_model::fields(row).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return vec![field(("row", Value::Object(all), Value::Null))];
    };
    let SummaryUpdate { open, .. } = row.summary;
    let standing = [("open", json!(open), json!(found.open)), ("shard", json!(row.shard), json!(found.shard))];
    let standing = standing.into_iter().filter(|(_, is, was)| is != was);
    read_model::differences(row, &found.summary).into_iter().chain(standing).map(field).collect()
}

impl RepairPart {
    fn add(&mut self, saga: SagaId, outcome: Result<MendOutcome, JournalError>) -> Result<(), StoreError> {
        match outcome {
            Ok(MendOutcome::Agrees) => {}
            Ok(MendOutcome::Repaired(repair)) => {
                self.report.repaired += 1;
                self.report.reopened += u64::from(repair.reopened);
                self.repairs.push(*repair);
            }
            Ok(MendOutcome::GoesOn) => {
                let reason =
                    format!("the saga went on {MOST_TRIES} times while its row was made. Run the command again");
                self.unrepaired(saga, reason);
            }
            Err(JournalError::Store(error)) if error.is_transient() => return Err(error),
            Err(error) => self.unrepaired(saga, unreadable(&error)),
        }
        Ok(())
    }

    fn unrepaired(&mut self, saga: SagaId, reason: String) {
        self.report.unrepaired += 1;
        self.unrepaired.push(UnrepairedSaga { id: saga.to_string(), reason });
    }
}

#[cfg(test)]
mod tests;
