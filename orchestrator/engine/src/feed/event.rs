//! One event of the feed, as readers get it.

use super::EventCursor;
use crate::journal::{self, PlanCache, PlanError};
use saga_core::{
    definition::SagaDefinition,
    event::SagaEvent,
    evolve,
    id::SagaId,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, FeedRow, StoreError, StreamSummary};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// One event of a saga. The saga, the version and the index name it for ever.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedEvent {
    /// Where a reader goes on that has this event.
    pub cursor: EventCursor,
    /// The saga's id.
    pub id: String,
    /// Name of the definition; `None`: the read model does not have the saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// The saga's business key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The row of the saga's journal.
    pub version: u32,
    /// Which event of the row, from 0.
    pub index: u16,
    /// When it was decided, in RFC 3339, UTC; `None`: the row is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What happened, for example `stepStarted`; `gone`: the journal no longer has the row; `unreadable`: this build
    /// cannot read it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the step that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The event as it is stored.
    pub data: Value,
    /// Bytes of the data, if it was left out because a topic does not take a record of its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_omitted: Option<usize>,
    /// The definition of the saga, which says what in the data is sensitive; `None`: it cannot be read.
    #[serde(skip)]
    pub definition: Option<Arc<SagaDefinition>>,
}

impl FeedEvent {
    /// Puts masks for what is sensitive. Without the definition nobody knows what is, and the data is left out.
    pub fn mask_sensitive(&mut self) {
        match &self.definition {
            Some(definition) => definition.sensitive.mask_event(&mut self.data),
            None if self.data.is_null() || self.kind == UNREADABLE => {}
            None => self.data = json!("(hidden: the definition cannot be read, which says what is sensitive)"),
        }
    }

    /// The same without its data.
    pub(crate) fn without_data(&self) -> FeedEvent {
        let bytes = self.data.to_string().len();
        FeedEvent { data: Value::Null, data_omitted: Some(bytes), ..self.clone() }
    }
}

/// The type of a row that the journal no longer has.
const GONE: &str = "gone";
/// The type of a row that cannot be read.
const UNREADABLE: &str = "unreadable";

/// No event has this type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event has the type `{word}`: {expected}")]
pub struct UnknownEventType {
    word: String,
    expected: String,
}

/// Checks that events of the type `word` exist.
///
/// # Errors
/// When none has it; the error lists the types.
pub fn check_event_type(word: &str) -> Result<(), UnknownEventType> {
    if [GONE, UNREADABLE].contains(&word) || word == "sagaOverdue" || word == "sagaResumed" {
        return Ok(());
    }
    // serde knows the words of the enum, and reads a word before it reads what belongs to it.
    let said = match serde_json::from_value::<SagaEvent>(json!({word: {}})) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    match said.split_once("unknown variant") {
        Some((_, rest)) => {
            let expected = rest.split_once("expected ").map_or_else(String::new, |(_, all)| format!("expected {all}"));
            Err(UnknownEventType { word: word.to_owned(), expected })
        }
        None => Ok(()),
    }
}

/// What the read model and the documents say about the sagas of a page.
pub(super) struct SagaNames {
    summaries: HashMap<Uuid, StreamSummary>,
    definitions: HashMap<String, Arc<SagaDefinition>>,
}

/// Reads the names for `rows`. A definition that cannot be read leaves the names of its steps out.
pub(super) async fn names_of(
    store: &dyn EventStore,
    plans: &PlanCache,
    rows: &[FeedRow],
) -> Result<SagaNames, StoreError> {
    let streams: BTreeSet<Uuid> = rows.iter().map(|row| row.stream).collect();
    let streams: Vec<Uuid> = streams.into_iter().collect();
    let summaries = store.summaries(&streams).await?;
    let mut definitions = HashMap::new();
    for hash in summaries.iter().map(|summary| &summary.document).collect::<BTreeSet<_>>() {
        match plans.definition(store, hash).await {
            Ok(definition) => drop(definitions.insert(hash.clone(), definition)),
            Err(PlanError::Store(error)) => return Err(error),
            Err(PlanError::Missing { .. } | PlanError::Unreadable { .. }) => {}
        }
    }
    let summaries = summaries.into_iter().map(|summary| (summary.stream, summary)).collect();
    Ok(SagaNames { summaries, definitions })
}

impl SagaNames {
    fn step(&self, stream: Uuid, event: &SagaEvent) -> Option<String> {
        let definition = self.definitions.get(&self.summaries.get(&stream)?.document)?;
        // What has begun keeps its position when a saga gets another definition.
        let step = definition.steps.get(evolve::step_of(event)?.at())?;
        Some(step.name.clone())
    }
}

/// The events of a row; one that says why, if it has none that can be read.
pub(super) fn events_of(row: FeedRow, names: &SagaNames) -> Vec<FeedEvent> {
    let Some(saga) = SagaId::from_uuid(row.stream) else { return Vec::new() };
    let summary = names.summaries.get(&row.stream);
    let blank = FeedEvent {
        cursor: EventCursor::after_row(row.position),
        id: saga.to_string(),
        saga: summary.map(|summary| summary.category.clone()),
        key: summary.map(|summary| summary.key.clone()),
        version: row.version,
        index: 0,
        at: row.row.as_ref().map(|row| rfc3339(Timestamp(row.recorded_at_ms))),
        kind: GONE.to_owned(),
        step: None,
        data: Value::Null,
        data_omitted: None,
        definition: summary.and_then(|summary| names.definitions.get(&summary.document)).cloned(),
    };
    let Some(stored) = row.row else { return vec![blank] };
    let at = Timestamp(stored.recorded_at_ms);
    let events = match journal::codec::decode(row.version, at, &stored.payload) {
        Ok(decision) => decision.events,
        Err(error) => {
            let data = json!({"reason": error.to_string()});
            return vec![FeedEvent { kind: UNREADABLE.to_owned(), data, ..blank }];
        }
    };
    let all = events.len();
    let one = |(event, index): (&SagaEvent, u16)| {
        let (kind, data) = word_and_data(event);
        let cursor = EventCursor::after_event(row.position, index.saturating_add(1), all);
        FeedEvent { cursor, index, kind, data, step: names.step(row.stream, event), ..blank.clone() }
    };
    events.iter().zip(0..).map(one).collect()
}

/// The stored form of an event is `{"word": {…}}`, or `"word"` where nothing belongs to it.
fn word_and_data(event: &SagaEvent) -> (String, Value) {
    match serde_json::to_value(event) {
        Ok(Value::Object(fields)) => fields.into_iter().next().unwrap_or_default(),
        Ok(Value::String(word)) => (word, Value::Null),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | Err(_) => Default::default(),
    }
}
