//! Jobs on record in the event store: which operator did what to how many sagas. What was done to each saga is in its
//! journal.

use super::BulkJobView;
use crate::{journal::JournalAccess, notes::whole_log};
use saga_core::time::{Timestamp, rfc3339};
use saga_event_store::{EventStore, NewNote, StoreError};
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;
use uuid::Uuid;

/// The log's topic in the event store.
const TOPIC: &str = "jobs";
/// The most records of jobs that one query returns.
const MOST_TOLD: usize = 100;

/// A job as it began, or as it ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BulkJobRecord {
    /// Its place: 1, 2, 3, …
    pub number: i64,
    /// When, RFC 3339, by the clock of the engine that it ran on.
    pub at: String,
    /// The job as it was at that time, in JSON.
    pub job: Value,
}

/// Writes down how the job stands. A dry run does nothing, and is not on record.
pub(super) async fn keep(journal: &JournalAccess, now: Timestamp, job: &BulkJobView) -> Result<(), StoreError> {
    if job.dry_run {
        return Ok(());
    }
    let body = serde_json::to_string(job).unwrap_or_default();
    let note = NewNote { id: Uuid::new_v4(), topic: TOPIC.to_owned(), body, at_ms: now.0 };
    journal.store().add_note(&note).await.map(drop)
}

/// What `store` has on record, the latest first.
///
/// # Errors
/// When the store does not answer.
pub async fn on_record(store: &dyn EventStore) -> Result<Vec<BulkJobRecord>, StoreError> {
    let mut latest = VecDeque::new();
    whole_log::each(store, TOPIC, |note| {
        let job = serde_json::from_str(&note.body).unwrap_or(Value::Null);
        latest.push_front(BulkJobRecord { number: note.number.0, at: rfc3339(Timestamp(note.at_ms)), job });
        latest.truncate(MOST_TOLD);
    })
    .await?;
    Ok(latest.into())
}
