//! A record that came under the key of a saga with another payload: an order that no saga performs.

use super::{DecisionContext, DecisionOutcome, IgnoreReason, draft::DecisionDraft};
use crate::{
    command::CommandFailure,
    incident::{IncidentKind, KEY_TAKEN, key_taken_message},
    state::{SagaPlan, SagaState},
};

/// Records of this kind that are put on record, of each saga: enough to see what the producer does. A producer that
/// sends ten thousand must not cause ten thousand rows; all are counted.
pub const KEY_TAKEN_KEPT: usize = 8;

/// Also after the saga's end, where it changes nothing else. A record that is read again is on record once.
pub(super) fn key_taken(
    plan: &SagaPlan,
    state: &mut SagaState,
    context: &mut DecisionContext<'_>,
    record: &str,
    payload: &str,
) -> DecisionOutcome {
    if state.erased.is_some() {
        return DecisionOutcome::Ignored(IgnoreReason::Terminal);
    }
    let what = key_taken_message(record, payload);
    let kind = |incident: &&crate::state::SagaIncident| {
        IncidentKind::of(incident.direction, &incident.failure) == IncidentKind::KeyTaken
    };
    let kept: Vec<&str> = state.incidents.iter().filter(kind).map(|it| it.failure.message.as_str()).collect();
    let is_full = kept.len() >= KEY_TAKEN_KEPT;
    if is_full || kept.iter().any(|message| message.starts_with(&what)) {
        return DecisionOutcome::Ignored(IgnoreReason::KeyTaken { is_full });
    }
    let is_last = kept.len() + 1 == KEY_TAKEN_KEPT;
    let what = if is_last {
        format!("{what}; the engine counts further ones, and the journal does not record them")
    } else {
        what
    };
    let mut draft = DecisionDraft::new(plan, state, context);
    draft.incident(None, CommandFailure::new(KEY_TAKEN, what));
    draft.finish().map_or(DecisionOutcome::Ignored(IgnoreReason::KeyTaken { is_full }), DecisionOutcome::Decided)
}
