//! What operators read: lists from the read model, single sagas from their journals.

use super::{Error, PORTION_BYTES, Plans, Recorded, by_saga, fold};
use saga_core::{id::SagaId, state::Status, time::Timestamp, time::rfc3339};
use saga_event_store::{EventStore, Filter, StreamSummary};
use serde::Serialize;
use std::collections::HashMap;
use uuid::Uuid;

/// One line of a list. Step and reason are those of the last change of status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaLine {
    /// Its identity.
    pub id: String,
    /// Name of its definition.
    pub saga: String,
    /// The business key.
    pub key: String,
    /// Its status.
    pub status: String,
    /// The step it is at or waits for.
    pub step: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// Hash of its definition.
    pub definition: String,
}

impl From<StreamSummary> for SagaLine {
    fn from(row: StreamSummary) -> SagaLine {
        SagaLine {
            id: row.stream.to_string(),
            saga: row.category,
            key: row.key,
            status: row.status,
            step: row.step,
            reason: row.reason,
            started_at: rfc3339(Timestamp(row.started_at_ms)),
            updated_at: rfc3339(Timestamp(row.updated_at_ms)),
            definition: row.document,
        }
    }
}

/// Which sagas to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// One of these; empty: any.
    pub statuses: Vec<Status>,
    /// Of this definition.
    pub saga: Option<String>,
    /// With this business key.
    pub key: Option<String>,
    /// Older than this one.
    pub before: Option<SagaId>,
    /// How many.
    pub limit: u32,
}

/// What an id or a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one.
    One(SagaId),
    /// None.
    None,
    /// Several of different definitions: name the definition or the id.
    Several(Vec<SagaLine>),
}

/// Sagas, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn list(store: &dyn EventStore, wanted: &Wanted) -> Result<Vec<SagaLine>, saga_event_store::Error> {
    let filter = Filter {
        statuses: wanted.statuses.iter().map(ToString::to_string).collect(),
        category: wanted.saga.clone(),
        key: wanted.key.clone(),
        before: wanted.before.map(SagaId::uuid),
        limit: wanted.limit,
    };
    Ok(store.list(&filter).await?.into_iter().map(SagaLine::from).collect())
}

/// Brings the step and reason of the lines' open sagas up to date by folding their journals: the read model changes with the status only.
///
/// # Errors
/// When the store does not answer. A saga that cannot be read keeps its line.
pub async fn refresh(
    store: &dyn EventStore,
    plans: &Plans,
    lines: &mut [SagaLine],
) -> Result<(), saga_event_store::Error> {
    let is_open = |line: &&mut SagaLine| line.status.parse::<Status>().is_ok_and(|status| !status.is_terminal());
    let open = lines.iter_mut().filter(is_open).filter_map(|line| Some((line.id.parse().ok()?, line)));
    let mut open: HashMap<SagaId, &mut SagaLine> = open.collect();
    let mut left: Vec<Uuid> = open.keys().map(|id| id.uuid()).collect();
    while !left.is_empty() {
        let portion = store.read_within(&left, PORTION_BYTES).await?;
        left = portion.left;
        for (id, rows) in by_saga(portion.rows) {
            let Some(line) = open.get_mut(&id) else { continue };
            match fold(store, plans, id, rows).await {
                Ok(recorded) => show_now(line, &recorded),
                Err(Error::Store(error)) => return Err(error),
                Err(Error::Unreadable(_) | Error::Plan(_) | Error::Fold { .. }) => {}
            }
        }
    }
    Ok(())
}

fn show_now(line: &mut SagaLine, recorded: &Recorded) {
    let (step, reason) = recorded.state.focus(&recorded.plan);
    line.status = recorded.state.status().to_string();
    line.step = step.map(|step| recorded.plan.definition.step(step).name.clone());
    line.reason = reason;
    line.updated_at = rfc3339(recorded.state.last_at);
}

/// The saga that `name` means: an id if it reads as one, else a business key, of the definition `saga` if given.
///
/// # Errors
/// When the store does not answer.
pub async fn find(store: &dyn EventStore, name: &str, saga: Option<&str>) -> Result<Found, saga_event_store::Error> {
    if let Ok(id) = name.parse::<SagaId>() {
        let is_there = store.summary(id.uuid()).await?.is_some();
        return Ok(if is_there { Found::One(id) } else { Found::None });
    }
    /// More than one person can read at a glance.
    const MOST: u32 = 20;
    let wanted = Wanted { key: Some(name.to_owned()), saga: saga.map(str::to_owned), limit: MOST, ..Wanted::default() };
    let lines = list(store, &wanted).await?;
    match lines.as_slice() {
        [] => Ok(Found::None),
        [only] => Ok(only.id.parse().map_or(Found::None, Found::One)),
        _ => Ok(Found::Several(lines)),
    }
}
