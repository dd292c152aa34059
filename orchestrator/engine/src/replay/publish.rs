//! Recorded events that are published once more: the outcome events, or one record for each event of a step.
//!
//! Sagas are read in the order of their starts. The records of one saga are sent one after the other, those of several
//! sagas at the same time. The position moves when all records of a saga, and of all sagas before it, have their
//! delivery reports; so what is sent after a position may be sent again, under the same `ce_id`, and nothing is left
//! out.

mod pace;
mod saga_sender;
mod selection;
mod sending;

pub use pace::{RecordRate, RecordRateError};
pub use selection::{PublishFilter, PublishKind};
pub use sending::{PublishFailure, PublishTarget};

use super::scan::{SagaScan, ScannedSaga};
use crate::journal::{self, JournalError, PlanCache};
use saga_core::id::SagaId;
use saga_event_store::{JournalReader, StoreError};
use saga_sender::SagaSender;
use saga_wire::OutgoingRecord;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A record that would be sent, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedMark {
    /// The saga that the record is of.
    pub saga: String,
    /// Its business key.
    pub key: String,
    /// `ce_id` of the record.
    pub event_id: String,
    /// When its cause was recorded, RFC 3339.
    pub at: String,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishReport {
    /// Sagas that fit the filter.
    pub sagas: u64,
    /// Their records.
    pub records: u64,
    /// The records by definition and type of event.
    pub by_type: BTreeMap<String, u64>,
    /// The first record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<PublishedMark>,
    /// The last record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<PublishedMark>,
    /// Sagas that fit the filter and are erased: their records are missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub erased: u64,
    /// Sagas that cannot be read, and why: their records are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One record and what is told of it.
#[derive(Clone, Debug)]
pub(super) struct SelectedRecord {
    pub(super) record: OutgoingRecord,
    pub(super) mark: PublishedMark,
    /// Name of the definition and type of the event.
    pub(super) kind: String,
}

/// What a run reads, and from where.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Which events.
    pub filter: PublishFilter,
    /// The topic that they go to.
    pub topic: Arc<str>,
    /// Identity of the run, which each record carries in the header `ce_replay`.
    pub run: String,
    /// Records of sagas up to this one are done.
    pub after: Option<SagaId>,
}

/// How a run ended.
#[derive(Debug)]
pub enum PublishEnd {
    /// Every record was sent.
    Done,
    /// It was asked to stop.
    Stopped,
    /// A record was not delivered.
    Failed(PublishFailure),
}

/// A run does not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The store did not answer.
    #[error("the event store was not read to its end")]
    Store(#[from] StoreError),
    /// The position could not be kept.
    #[error(transparent)]
    Progress(#[from] std::io::Error),
}

/// Counts what would be sent. `tell` learns of the report after each page.
///
/// # Errors
/// When the store does not answer.
pub async fn count(
    store: Arc<dyn JournalReader>,
    wanted: &PublishRequest,
    mut tell: impl FnMut(&PublishReport),
) -> Result<PublishReport, StoreError> {
    let (plans, mut report) = (PlanCache::default(), PublishReport::default());
    let mut scan = scan(&store, wanted);
    while let Some(page) = scan.next().await? {
        for saga in page {
            if let Some((_, records)) = report.taken(selected(store.as_ref(), &plans, wanted, saga).await?) {
                report.add(&records);
            }
        }
        tell(&report);
    }
    Ok(report)
}

/// Sends what `wanted` selects, at most as fast as `rate`, until everything is sent, a record is not delivered, or
/// `stop` is cancelled. `keep` is told the position and what was sent up to it, each time the position moves; after a
/// crash a run goes on from the last position that it kept.
///
/// # Errors
/// When the store does not answer, or `keep` fails.
pub async fn publish(
    store: Arc<dyn JournalReader>,
    wanted: &PublishRequest,
    (target, rate): (&PublishTarget, Option<RecordRate>),
    stop: &CancellationToken,
    keep: impl FnMut(SagaId, &PublishReport) -> Result<(), std::io::Error>,
) -> Result<(PublishReport, PublishEnd), PublishError> {
    let plans = PlanCache::default();
    let mut scan = scan(&store, wanted);
    let mut sender = SagaSender::new((target, rate), stop, keep);
    'reading: while let Some(page) = scan.next().await? {
        for saga in page {
            let chosen = selected(store.as_ref(), &plans, wanted, saga).await?;
            let Some((saga, records)) = sender.report_mut().taken(chosen) else { continue };
            if !sender.send(saga, records).await? {
                break 'reading;
            }
        }
    }
    sender.end().await
}

fn scan(store: &Arc<dyn JournalReader>, wanted: &PublishRequest) -> SagaScan {
    match wanted.after {
        Some(saga) => SagaScan::after(Arc::clone(store), saga),
        None => SagaScan::new(Arc::clone(store), wanted.filter.since),
    }
}

/// What a saga has for a run.
enum SelectedSaga {
    /// These records, or none.
    Records(SagaId, Vec<SelectedRecord>),
    /// It fits the filter, and what it published is erased.
    Erased,
    /// It may fit the filter, and cannot be read for this reason.
    Unreadable(String),
}

async fn selected(
    store: &dyn JournalReader,
    plans: &PlanCache,
    wanted: &PublishRequest,
    scanned: ScannedSaga,
) -> Result<SelectedSaga, StoreError> {
    let ScannedSaga { saga, rows } = scanned;
    if wanted.filter.until.is_some_and(|until| saga.started_at() >= until) {
        return Ok(SelectedSaga::Records(saga, Vec::new()));
    }
    let folded = match rows {
        Ok(rows) => journal::fold(store, plans, saga, rows).await,
        Err(error) => Err(JournalError::of(saga, error)),
    };
    match folded {
        Ok(recorded) if recorded.state.erased.is_none() => {
            Ok(SelectedSaga::Records(saga, selection::records(wanted, &recorded)))
        }
        Ok(recorded) if selection::is_wanted(wanted, &recorded) => Ok(SelectedSaga::Erased),
        Ok(_) => Ok(SelectedSaga::Records(saga, Vec::new())),
        Err(JournalError::Store(error)) if error.is_transient() => Err(error),
        Err(error) => {
            let shown = store.summary(saga.uuid()).await?;
            Ok(match shown {
                Some(shown) if !selection::may_be_wanted(&wanted.filter, &shown) => {
                    SelectedSaga::Records(saga, Vec::new())
                }
                Some(shown) if shown.erased_at_ms.is_some() => SelectedSaga::Erased,
                Some(_) | None => SelectedSaga::Unreadable(format!("{saga}: {error}")),
            })
        }
    }
}

impl PublishReport {
    /// The records that are to be sent. What is left out is counted.
    fn taken(&mut self, selected: SelectedSaga) -> Option<(SagaId, Vec<SelectedRecord>)> {
        match selected {
            SelectedSaga::Records(saga, records) => return Some((saga, records)),
            SelectedSaga::Erased => self.erased += 1,
            SelectedSaga::Unreadable(why) => self.unreadable.push(why),
        }
        None
    }

    fn add(&mut self, records: &[SelectedRecord]) {
        let Some(last) = records.last() else { return };
        self.sagas += 1;
        self.records += records.len() as u64;
        for record in records {
            *self.by_type.entry(record.kind.clone()).or_default() += 1;
        }
        self.first = self.first.take().or_else(|| records.first().map(|record| record.mark.clone()));
        self.last = Some(last.mark.clone());
    }
}
