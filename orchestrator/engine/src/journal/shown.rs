//! What can be shown of a saga, also of one whose journal this build cannot read.

use super::{
    JournalError, PlanCache, RecordedSaga, codec,
    difference::{self, SagaDifference},
    fold, history,
    history::HistoryLine,
    point::{HistoryPoint, PointOutOfRange},
};
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

/// A saga cannot be shown as it was.
#[derive(Debug, thiserror::Error)]
pub enum LookBackError {
    /// The store did not answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The saga has no state at the point.
    #[error(transparent)]
    Point(#[from] PointOutOfRange),
}

/// Reads a saga to show it, as it was at `at`, or as it is; `None` if the store has no such stream. Rows after `at` are
/// not folded, so a saga with an unreadable row is shown as it was before that row.
///
/// # Errors
/// When the store does not answer, or the saga has no state at `at`.
pub async fn show(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
    at: Option<HistoryPoint>,
) -> Result<Option<SagaDisplay>, LookBackError> {
    let mut rows = match store.read(saga.uuid()).await {
        Ok(rows) if rows.is_empty() => return Ok(None),
        Ok(rows) => rows,
        Err(error) if error.is_transient() => return Err(JournalError::from(error).into()),
        Err(error) => return Ok(unread(store, saga, Vec::new(), &error.into()).await?),
    };
    at.map_or(Ok(()), |at| at.truncate(&mut rows))?;
    match fold(store, plans, saga, rows.clone()).await {
        Ok(recorded) => Ok(Some(SagaDisplay::Read(Box::new(recorded)))),
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => Ok(unread(store, saga, rows, &error).await?),
    }
}

/// Compares a saga at two points of its history; `None` if the store has no such stream.
///
/// # Errors
/// When the saga cannot be read up to the later point, or has no state at one of the points.
pub async fn difference(
    store: &dyn EventStore,
    plans: &PlanCache,
    saga: SagaId,
    points: [HistoryPoint; 2],
) -> Result<Option<SagaDifference>, LookBackError> {
    let rows = store.read(saga.uuid()).await.map_err(JournalError::from)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let [one, other] = points.map(|point| {
        let mut rows = rows.clone();
        point.truncate(&mut rows).map(|()| rows)
    });
    let one = fold(store, plans, saga, one?).await?;
    let other = fold(store, plans, saga, other?).await?;
    Ok(Some(difference::between(&one, &other)))
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
        since_before_ms: None,
        took_ms: None,
        attempt: None,
        cause: None,
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
