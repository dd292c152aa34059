//! Which records a saga has for a run, as its journal tells.

use super::{PublishRequest, PublishedMark, SelectedRecord};
use crate::journal::RecordedSaga;
use saga_core::{
    command::CommandRequest,
    event::{SagaDecision, SagaEnd, SagaEvent},
    evolve,
    state::{EventPosition, SagaStatus},
    time::{Timestamp, rfc3339},
};
use saga_event_store::StreamSummary;
use saga_wire::cloudevents::{self, JournalEventRecord, PublishedRecord};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Code of the incident of a saga whose outcome event was published before it was abandoned.
const ABANDON_TOO_LATE: &str = "abandon_too_late";

/// Which events of which sagas. Times mean the start of the saga.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishFilter {
    /// Outcome events, or events of steps.
    pub what: PublishKind,
    /// Only sagas of this definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// Only sagas with one of these statuses; empty: with any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<SagaStatus>,
    /// Only sagas that started then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only sagas that started before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only sagas with this business key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Which events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PublishKind {
    /// The outcome events that were published.
    #[default]
    Outcome,
    /// One record for each event that is about a step.
    Steps,
}

/// The records of one saga, oldest first.
pub(super) fn records(wanted: &PublishRequest, recorded: &RecordedSaga) -> Vec<SelectedRecord> {
    if !is_wanted(wanted, recorded) {
        return Vec::new();
    }
    match wanted.filter.what {
        PublishKind::Outcome => outcome(wanted, recorded).into_iter().collect(),
        PublishKind::Steps => steps(wanted, recorded),
    }
}

pub(super) fn is_wanted(wanted: &PublishRequest, recorded: &RecordedSaga) -> bool {
    let PublishFilter { what: _, saga, status, since, until, key } = &wanted.filter;
    let (state, started) = (&recorded.state, recorded.state.started_at);
    saga.as_ref().is_none_or(|saga| *saga == recorded.plan.definition.name)
        && key.as_ref().is_none_or(|key| *key == state.key)
        && (status.is_empty() || status.contains(&state.status()))
        && since.is_none_or(|since| started >= since)
        && until.is_none_or(|until| started < until)
}

/// Whether a saga whose journal cannot be read is wanted, as far as the read model says.
pub(super) fn may_be_wanted(filter: &PublishFilter, shown: &StreamSummary) -> bool {
    let PublishFilter { what: _, saga, status, since: _, until: _, key } = filter;
    saga.as_ref().is_none_or(|saga| *saga == shown.category)
        && key.as_ref().is_none_or(|key| *key == shown.key)
        && (status.is_empty() || status.iter().any(|status| status.as_str() == shown.status))
}

/// The outcome event as the engine published it: the same value, key and headers, with the header of the run.
fn outcome(wanted: &PublishRequest, recorded: &RecordedSaga) -> Option<SelectedRecord> {
    let PublishedOutcome { cause, at, request } = published(&recorded.decisions)?;
    let CommandRequest::Publish { event_type, key, body, .. } = request else { return None };
    let state = &recorded.state;
    let name = &recorded.plan.definition.name;
    let id = format!("{}:outcome", state.id);
    let mut record = cloudevents::published(
        &wanted.topic,
        &PublishedRecord {
            id: &id,
            event_type,
            key,
            body,
            saga: state.id,
            saga_name: name,
            causation: &cause.to_string(),
            traceparent: Some(&state.traceparent),
            at,
        },
    );
    cloudevents::mark_replayed(&mut record, &wanted.run);
    let mark = PublishedMark { saga: state.id.to_string(), key: state.key.clone(), event_id: id, at: rfc3339(at) };
    Some(SelectedRecord { record, mark, kind: format!("{name} {event_type}") })
}

/// An outcome event that the broker has acknowledged.
struct PublishedOutcome<'a> {
    cause: EventPosition,
    at: Timestamp,
    request: &'a CommandRequest,
}

/// The last form of the outcome event, if the saga ended because it was delivered.
fn published(decisions: &[SagaDecision]) -> Option<PublishedOutcome<'_>> {
    let mut due = None;
    for decision in decisions {
        for (event, index) in decision.events.iter().zip(0u16..) {
            if let SagaEvent::SagaEnded { end } = event {
                return due.filter(|_| is_delivered(end, decision));
            }
            if let SagaEvent::OutcomeDue { request, .. } | SagaEvent::OutcomeShortened { request } = event {
                let cause = EventPosition { version: decision.version, index };
                due = Some(PublishedOutcome { cause, at: decision.at, request });
            }
        }
    }
    None
}

/// An abandoned saga has published nothing, nor one whose event the broker will never take.
fn is_delivered(end: &SagaEnd, decision: &SagaDecision) -> bool {
    let was_refused = decision.events.iter().any(|event| {
        matches!(event, SagaEvent::IncidentOpened { step: None, failure, .. } if failure.code != ABANDON_TOO_LATE)
    });
    match end {
        SagaEnd::Completed { .. } | SagaEnd::Compensated { .. } => !was_refused,
        SagaEnd::Abandoned { .. } => false,
    }
}

fn steps(wanted: &PublishRequest, recorded: &RecordedSaga) -> Vec<SelectedRecord> {
    let numbered = recorded
        .decisions
        .iter()
        .flat_map(|decision| decision.events.iter().zip(0u16..).map(move |(event, index)| (decision, event, index)));
    numbered.filter_map(|(decision, event, index)| step(wanted, recorded, decision, event, index)).collect()
}

/// One event of a step. Its key is the saga's id, so that the events of a saga keep their order.
fn step(
    wanted: &PublishRequest,
    recorded: &RecordedSaga,
    decision: &SagaDecision,
    event: &SagaEvent,
    index: u16,
) -> Option<SelectedRecord> {
    let step = evolve::step_of(event)?;
    let (state, definition) = (&recorded.state, &recorded.plan.definition);
    let stored = serde_json::to_value(event).ok()?;
    let (word, data) = stored.as_object().and_then(|stored| stored.iter().next())?;
    let position = EventPosition { version: decision.version, index }.to_string();
    let (saga, at) = (state.id.to_string(), rfc3339(decision.at));
    let body = json!({
        "sagaId": saga, "saga": definition.name, "key": state.key, "event": position,
        "at": at, "type": word, "step": definition.step(step).name, "data": data,
    });
    let event = JournalEventRecord {
        saga: &saga,
        saga_name: Some(&definition.name),
        event: &position,
        word,
        body: &body,
        traceparent: Some(&state.traceparent),
        at: Some(&at),
    };
    let mut record = cloudevents::journal_event(&wanted.topic, &event);
    cloudevents::mark_replayed(&mut record, &wanted.run);
    let event_id = format!("{saga}:{position}");
    let mark = PublishedMark { saga, key: state.key.clone(), event_id, at };
    Some(SelectedRecord { record, mark, kind: format!("{} saga.{word}", definition.name) })
}
