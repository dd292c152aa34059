//! What can be shown of a saga, also of one whose journal this build cannot read.

use super::{JournalError, PlanCache, RecordedSaga, codec, fold, history, history::HistoryLine};
use saga_core::{
    describe::SagaView,
    event::SagaEvent,
    id::SagaId,
    state::SagaStatus,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, StreamRow, StreamSummary};
use serde_json::Value;

/// A saga as the engine shows it to operators.
#[derive(Debug)]
pub enum SagaDisplay {
    /// The saga's journal was read whole.
    Read(Box<RecordedSaga>),
    /// Its journal cannot be read: what the read model says of it, and the rows that can be.
    Unread {
        /// Parked for that reason, unless it has ended.
        view: Box<SagaView>,
        /// The readable rows, one line per event.
        history: Vec<HistoryLine>,
    },
}

impl SagaDisplay {
    /// The whole saga, or what can be shown of it.
    #[must_use]
    pub fn view(&self) -> SagaView {
        match self {
            SagaDisplay::Read(recorded) => recorded.state.view(&recorded.plan),
            SagaDisplay::Unread { view, .. } => view.as_ref().clone(),
        }
    }

    /// What happened to the saga, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<HistoryLine> {
        match self {
            SagaDisplay::Read(recorded) => history::history(recorded),
            SagaDisplay::Unread { history, .. } => history.clone(),
        }
    }
}

/// Reads a saga to show it; `None` if the store has no such stream.
///
/// # Errors
/// When the store does not answer.
pub async fn show(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
) -> Result<Option<SagaDisplay>, JournalError> {
    let rows = match store.read(saga.uuid()).await {
        Ok(rows) if rows.is_empty() => return Ok(None),
        Ok(rows) => rows,
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(error) => return unread(store, saga, Vec::new(), &error.into()).await,
    };
    match fold(store, plans, saga, rows.clone()).await {
        Ok(recorded) => Ok(Some(SagaDisplay::Read(Box::new(recorded)))),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => unread(store, saga, rows, &error).await,
    }
}

/// Why a saga is parked whose journal cannot be read, with the causes of the error in one line.
#[must_use]
pub fn unreadable(error: &JournalError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    format!("the saga cannot be read: {}", causes.join(": "))
}

async fn unread(
    store: &dyn EventStore,
    saga: SagaId,
    rows: Vec<StreamRow>,
    error: &JournalError,
) -> Result<Option<SagaDisplay>, JournalError> {
    let Some(summary) = store.summary(saga.uuid()).await? else { return Ok(None) };
    let version = store.last_version(saga.uuid()).await?.unwrap_or_default();
    let history = rows.iter().flat_map(|row| lines(saga, row)).collect();
    Ok(Some(SagaDisplay::Unread { view: Box::new(view(summary, version, unreadable(error))), history }))
}

fn view(summary: StreamSummary, version: u32, reason: String) -> SagaView {
    let status = summary.status.parse().ok().filter(|status: &SagaStatus| status.is_terminal());
    SagaView {
        id: summary.stream.to_string(),
        saga: summary.category,
        key: summary.key,
        status: status.unwrap_or(SagaStatus::Parked),
        step: summary.step,
        reason: Some(reason),
        started_at: rfc3339(Timestamp(summary.started_at_ms)),
        updated_at: rfc3339(Timestamp(summary.updated_at_ms)),
        next_due: None,
        next: Vec::new(),
        deadline: None,
        waits_on: Vec::new(),
        definition: summary.document,
        version,
        overdue: false,
        needs_person: Vec::new(),
        trigger: None,
        steps: Vec::new(),
        output: None,
        incidents: Vec::new(),
    }
}

/// The events of a row by their names; the definition that would tell more may be what is missing.
fn lines(saga: SagaId, row: &StreamRow) -> Vec<HistoryLine> {
    let at = rfc3339(Timestamp(row.recorded_at_ms));
    let line = |index: usize, text: String, data: Value| HistoryLine {
        event: format!("{}.{index}", row.version),
        at: at.clone(),
        step: None,
        text,
        payload: None,
        data,
    };
    match codec::decode(saga, row.version, Timestamp(row.recorded_at_ms), &row.payload) {
        Ok(decision) => {
            let events = decision.events.iter().enumerate();
            events.map(|(index, event)| line(index, name(event), data(event))).collect()
        }
        Err(error) => vec![line(0, unreadable(&error.into()), Value::Null)],
    }
}

fn data(event: &SagaEvent) -> Value {
    serde_json::to_value(event).unwrap_or(Value::Null)
}

/// The event's name as it is stored, such as `stepStarted`.
fn name(event: &SagaEvent) -> String {
    match data(event) {
        Value::String(name) => name,
        Value::Object(members) => members.into_iter().next().map(|(name, _)| name).unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => String::new(),
    }
}
