//! A decision as the event store takes it.

use crate::journal;
use saga_core::{
    direct_start::DirectStart,
    event::{SagaDecision, SagaEvent},
    id::ShardId,
    incident::IncidentKind,
    state::{BlockingGuard, SagaPlan, SagaPosition, SagaState, SagaStatus},
    words,
};
use saga_event_store::{MAX_WHO_BYTES, NewStreamKey, ShardEpoch, StreamAct, StreamAppend, SummaryUpdate, WaitTarget};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes of a code in the read model: its index takes no more than a third of a page.
const CODE_BYTES: usize = 128;

/// What brings a change of the read model when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadModelState {
    pub(super) status: SagaStatus,
    pub(super) held_by: Vec<BlockingGuard>,
    pub(super) incidents: Vec<IncidentKind>,
    pub(super) stands: SagaPosition,
}

impl ReadModelState {
    pub(super) fn of(plan: &SagaPlan, state: &SagaState) -> ReadModelState {
        ReadModelState {
            status: state.status(),
            held_by: state.held_by(plan),
            incidents: state.incident_kinds(),
            stands: state.stands(),
        }
    }
}

/// The writer of a row: the owner of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShardWriter {
    pub(crate) shard: ShardId,
    pub(crate) epoch: ShardEpoch,
}

/// The row of `decision`, which led to `state`, with its change of the read model.
///
/// # Errors
/// When it could not be read back.
pub(crate) fn showing(
    by: ShardWriter,
    plan: &SagaPlan,
    state: &SagaState,
    decision: &SagaDecision,
) -> Result<StreamAppend, journal::codec::RowEncodeError> {
    let summary = summary(plan, state, &ReadModelState::of(plan, state));
    Ok(StreamAppend { summary: Some(summary), ..unshown(by, plan, state, decision)? })
}

/// The same of a decision that changes nothing of the read model.
///
/// # Errors
/// As [`showing`].
pub(super) fn unshown(
    by: ShardWriter,
    plan: &SagaPlan,
    state: &SagaState,
    decision: &SagaDecision,
) -> Result<StreamAppend, journal::codec::RowEncodeError> {
    let payload = journal::codec::encode(decision)?;
    Ok(StreamAppend {
        append_id: Uuid::from_u128(fastrand::u128(..)),
        shard: by.shard.0,
        epoch: by.epoch,
        stream: state.id.uuid(),
        version: decision.version,
        recorded_at_ms: decision.at.0,
        outline: journal::codec::outline(decision, &payload),
        payload,
        category: plan.definition.name.clone(),
        key: state.key.clone(),
        new_key: (decision.version == 1).then(|| new_key(plan, state)),
        summary: None,
        act: act(plan, decision),
    })
}

/// The key that keeps a saga from starting twice: the business key, or of a rerun the saga that is run again.
pub(super) fn new_key(plan: &SagaPlan, state: &SagaState) -> NewStreamKey {
    match &state.forked_from {
        None => {
            let payload_hash = payload_hash(&state.trigger.event);
            NewStreamKey::new(plan.definition.name.as_str(), state.key.as_str(), payload_hash)
        }
        Some(origin) => journal::reruns::key(&plan.definition.name, origin.saga, &origin.act),
    }
}

/// Bytes of the texts of an act: what the API takes, and room for what was recorded without it.
const ACT_BYTES: usize = MAX_WHO_BYTES;

/// The act of an operator that made the row, as the audit shows it; `None`: no operator made it. `plan` is what the
/// saga runs by after it.
pub(crate) fn act(plan: &SagaPlan, decision: &SagaDecision) -> Option<StreamAct> {
    decision.events.iter().find_map(|event| {
        if let SagaEvent::SagaStarted { forked_from: Some(origin), .. } = event {
            let from = origin.from.as_ref().map(|step| format!(" from {step}")).unwrap_or_default();
            let action = format!("rerun of {}{from}{}", origin.saga, if origin.forced { ", forced" } else { "" });
            return Some(acted_as(&origin.act, &origin.who, &origin.reason, action));
        }
        if let SagaEvent::SagaStarted { trigger, .. } = event {
            let start = DirectStart::of(trigger)?;
            return Some(acted_as(&start.id, &start.who, &start.reason, "start".to_owned()));
        }
        let SagaEvent::OperatorActed { id, who, reason, action, command } = event else { return None };
        let acted = words::acted(plan, *action, *command);
        Some(acted_as(id, who, reason, format!("{acted}{}", by_definition(decision))))
    })
}

/// The act in these words.
pub(crate) fn acted_as(id: &str, who: &str, reason: &str, action: String) -> StreamAct {
    let text = |text: &str| {
        let text = text.replace('\0', "\u{fffd}");
        text[..text.floor_char_boundary(ACT_BYTES)].to_owned()
    };
    // A journal of an earlier build, or of another program, may lack the name.
    let who = if who.is_empty() { "?" } else { who };
    StreamAct { id: text(id), who: text(who), reason: text(reason), action, ..StreamAct::default() }
}

/// The text that the saga runs by from this row on: `, to the definition 53ac…`
fn by_definition(decision: &SagaDecision) -> String {
    match decision.events.first() {
        Some(SagaEvent::DefinitionChanged { definition, .. }) => format!(" to the definition {definition}"),
        Some(_) | None => String::new(),
    }
}

/// A code as it is found again: what a participant calls its failures is short, or is cut.
pub(super) fn word(code: &str) -> String {
    shown_text(code, CODE_BYTES)
}

/// The beginning of a text as every store takes it: Postgres refuses NUL.
pub(super) fn shown_text(text: &str, most_bytes: usize) -> String {
    text[..text.floor_char_boundary(most_bytes)].replace('\0', "\u{fffd}")
}

/// Of the decoded payload with its keys sorted: the same event produced twice is the same, however it and its numbers
/// were written.
pub(super) fn payload_hash(event: &serde_json::Value) -> [u8; 32] {
    Sha256::digest(saga_core::json::canonical(event)).into()
}

pub(super) fn summary(plan: &SagaPlan, state: &SagaState, shows: &ReadModelState) -> SummaryUpdate {
    // What is on its way has a reason that is over with the next row.
    let reason = if shows.status == SagaStatus::Running { None } else { state.focus(plan).1 };
    SummaryUpdate {
        document: plan.definition.hash.clone(),
        status: shows.status.as_str().to_owned(),
        open: !shows.status.is_terminal(),
        step: shows.stands.step.map(|step| plan.definition.step(step).name.clone()),
        reason: reason.map(|reason| reason.replace('\0', "\u{fffd}")),
        started_at_ms: state.started_at.0,
        // Names have none of the characters that are refused.
        waits_on: shows
            .held_by
            .iter()
            .filter_map(|held| WaitTarget::new(held.guard.as_str(), held.whose.as_str()).ok())
            .collect(),
        flags: shows.incidents.iter().map(|kind| kind.as_str().to_owned()).collect(),
        code: shows.stands.code.as_deref().map(word),
    }
}
