//! What can be shown of a saga, also of one whose journal this build cannot read.

use super::{
    JournalError, JournalFault, PlanCache, RecordedSaga, codec,
    difference::{self, SagaDifference},
    fold, history,
    history::HistoryLine,
    point::{HistoryPoint, PointOutOfRange},
    sensitive::SensitiveDetail,
};
use saga_core::{
    describe::{ErasureView, SagaView},
    event::{OperatorAction, SagaEvent},
    id::SagaId,
    state::{SagaErasure, SagaStatus},
    time::{Timestamp, rfc3339},
};
use saga_event_store::{JournalReader, StreamRow, StreamSummary};
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
    pub fn view(&self, sensitive: SensitiveDetail) -> SagaView {
        match self {
            SagaDisplay::Read(recorded) => {
                sensitive.of_saga(recorded.state.view(&recorded.plan), &recorded.plan.definition.sensitive)
            }
            SagaDisplay::Unread { view, .. } => view.as_ref().clone(),
        }
    }

    /// What happened to the saga, oldest first.
    #[must_use]
    pub fn history(&self, sensitive: SensitiveDetail) -> Vec<HistoryLine> {
        match self {
            SagaDisplay::Read(recorded) => {
                sensitive.of_history(history::history(recorded), &recorded.plan.definition.sensitive)
            }
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
    store: &dyn JournalReader,
    plans: &PlanCache,
    saga: SagaId,
    at: Option<HistoryPoint>,
) -> Result<Option<SagaDisplay>, LookBackError> {
    let mut rows = match store.read(saga.uuid()).await {
        Ok(rows) if rows.is_empty() => return Ok(without_rows(store, saga).await?),
        Ok(rows) => rows,
        Err(error) if error.is_transient() => return Err(JournalError::from(error).into()),
        Err(error) => return Ok(Some(unread(store, saga, Vec::new(), &JournalError::of(saga, error)).await?)),
    };
    let erasure = erasure(&rows);
    at.map_or(Ok(()), |at| at.truncate(&mut rows))?;
    match fold(store, plans, saga, rows.clone()).await {
        Ok(mut recorded) => {
            // Its content is missing at every point, also before the act.
            recorded.state.erased = recorded.state.erased.or(erasure);
            Ok(Some(SagaDisplay::Read(Box::new(recorded))))
        }
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => Ok(Some(unread(store, saga, rows, &error).await?)),
    }
}

/// The act by which a saga was erased, from its rows.
fn erasure(rows: &[StreamRow]) -> Option<SagaErasure> {
    rows.first().filter(|first| codec::is_erased(&first.payload))?;
    rows.iter().rev().find_map(|row| {
        let at = Timestamp(row.recorded_at_ms);
        let decision = codec::decode(row.version, at, &row.payload).ok()?;
        decision.events.into_iter().find_map(|event| {
            let SagaEvent::OperatorActed { who, reason, action: OperatorAction::Erase, .. } = event else {
                return None;
            };
            Some(SagaErasure { at, who, reason })
        })
    })
}

/// Compares a saga at two points of its history; `None` if the store has no such stream.
///
/// # Errors
/// When the saga cannot be read up to the later point, or has no state at one of the points.
pub async fn difference(
    store: &dyn JournalReader,
    plans: &PlanCache,
    saga: SagaId,
    points: [HistoryPoint; 2],
    sensitive: SensitiveDetail,
) -> Result<Option<SagaDifference>, LookBackError> {
    let rows = store.read(saga.uuid()).await.map_err(|error| JournalError::of(saga, error))?;
    if rows.is_empty() {
        return match store.summary(saga.uuid()).await.map_err(JournalError::from)? {
            Some(_) => Err(JournalError::from(JournalFault::no_rows(saga)).into()),
            None => Ok(None),
        };
    }
    let [one, other] = points.map(|point| {
        let mut rows = rows.clone();
        point.truncate(&mut rows).map(|()| rows)
    });
    let one = fold(store, plans, saga, one?).await?;
    let other = fold(store, plans, saga, other?).await?;
    Ok(Some(difference::between(&one, &other, sensitive)))
}

/// What is said of an erased saga whose journal could not be read: there is nothing to repair.
pub const ERASED_UNREAD: &str =
    "an operator has erased the saga; its journal could not be read before that, so its course is not known";

/// Why a saga that has ended cannot be read, as [`unreadable`].
#[must_use]
pub fn unreadable_at_end(error: &JournalError) -> String {
    match error {
        JournalError::Store(_) => unreadable(error),
        JournalError::Fault(fault) => fault.told_at_end(),
    }
}

/// Why a saga cannot be read, with the causes of the error in one line. The text names the saga, the row at fault and
/// the remedy.
#[must_use]
pub fn unreadable(error: &JournalError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    match error {
        JournalError::Store(_) => format!("the saga cannot be read: {}", causes.join(": ")),
        JournalError::Fault(fault) => fault.to_string(),
    }
}

/// A saga without rows is there only if the read model has it.
async fn without_rows(store: &dyn JournalReader, saga: SagaId) -> Result<Option<SagaDisplay>, JournalError> {
    let Some(summary) = store.summary(saga.uuid()).await? else { return Ok(None) };
    let reason = told(&summary, &JournalFault::no_rows(saga).into());
    Ok(Some(SagaDisplay::Unread { view: Box::new(view(summary, 0, reason)), history: Vec::new() }))
}

async fn unread(
    store: &dyn JournalReader,
    saga: SagaId,
    rows: Vec<StreamRow>,
    error: &JournalError,
) -> Result<SagaDisplay, JournalError> {
    let summary = store.summary(saga.uuid()).await?.unwrap_or_else(|| unlisted(saga, &rows));
    let version = match store.last_version(saga.uuid()).await {
        Err(error) if error.is_damage() => 0,
        version => version?.unwrap_or_default(),
    };
    let history = rows.iter().flat_map(lines).collect();
    let reason = told(&summary, error);
    let erased = erasure(&rows).as_ref().map(ErasureView::of);
    Ok(SagaDisplay::Unread { view: Box::new(SagaView { erased, ..view(summary, version, reason) }), history })
}

/// Why the saga cannot be read, with what can be done about it in its status.
fn told(summary: &StreamSummary, error: &JournalError) -> String {
    if summary.erased_at_ms.is_some() {
        return ERASED_UNREAD.to_owned();
    }
    match summary.status.parse::<SagaStatus>() {
        Ok(status) if status.is_terminal() => unreadable_at_end(error),
        Ok(_) | Err(_) => unreadable(error),
    }
}

/// What the rows say of a saga that the read model does not have.
fn unlisted(saga: SagaId, rows: &[StreamRow]) -> StreamSummary {
    let first =
        rows.first().and_then(|row| codec::decode(row.version, Timestamp(row.recorded_at_ms), &row.payload).ok());
    let start = first.and_then(|decision| decision.events.into_iter().next());
    let (category, key, document) = match start {
        Some(SagaEvent::SagaStarted { name, key, definition, .. }) => (name, key, definition),
        Some(_) | None => Default::default(),
    };
    StreamSummary {
        erased_at_ms: None,
        stream: saga.uuid(),
        category,
        key,
        document,
        status: SagaStatus::Parked.as_str().to_owned(),
        step: None,
        reason: None,
        started_at_ms: saga.started_at().0,
        updated_at_ms: rows.last().map_or(saga.started_at().0, |row| row.recorded_at_ms),
        waits_on: Vec::new(),
        flags: Vec::new(),
        code: None,
    }
}

fn view(summary: StreamSummary, version: u32, reason: String) -> SagaView {
    let status = summary.status.parse().ok().filter(|status: &SagaStatus| status.is_terminal());
    SagaView {
        id: summary.stream.to_string(),
        saga: summary.category,
        key: summary.key,
        status: status.unwrap_or(SagaStatus::Parked),
        step: summary.step,
        reason: Some(reason.clone()),
        unreadable: Some(reason),
        started_at: rfc3339(Timestamp(summary.started_at_ms)),
        updated_at: rfc3339(Timestamp(summary.updated_at_ms)),
        next_due: None,
        next: Vec::new(),
        deadline: None,
        waits_on: Vec::new(),
        definition: summary.document,
        trace_id: None,
        version,
        overdue: false,
        needs_person: Vec::new(),
        trigger: None,
        steps: Vec::new(),
        output: None,
        forked_from: None,
        rerun_as: None,
        erased: None,
        incidents: Vec::new(),
    }
}

/// The events of a row by their names; the definition that would tell more may be what is missing.
fn lines(row: &StreamRow) -> Vec<HistoryLine> {
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
    match codec::decode(row.version, Timestamp(row.recorded_at_ms), &row.payload) {
        Ok(decision) => {
            let events = decision.events.iter().enumerate();
            events.map(|(index, event)| line(index, name(event), data(event))).collect()
        }
        Err(error) => vec![line(0, format!("cannot be read: {error}"), Value::Null)],
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
