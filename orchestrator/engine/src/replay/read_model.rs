//! The row of the read model that a journal folds to, and what a found row says otherwise.

use crate::{
    journal::erasing::erases,
    row::{self, ReadModelState},
};
use saga_core::{
    event::SagaDecision,
    evolve,
    state::{SagaPlan, SagaState},
    time::{Timestamp, rfc3339},
};
use saga_event_store::{StreamRepair, StreamSummary, SummaryUpdate};
use serde_json::{Value, json};

/// Decisions that are looked back at for the one that changed the read model last. Each costs a fold of all before it.
const LOOKED_BACK: usize = 100;

/// What a row is to say, in the form in which it is written. `plan` and `state` are those at the end of `decisions`.
pub(super) fn folded(plan: &SagaPlan, state: &SagaState, decisions: &[SagaDecision]) -> StreamRepair {
    let shows = ReadModelState::of(plan, state);
    let erased = decisions.iter().find(|decision| erases(decision));
    StreamRepair {
        shard: state.id.shard().0,
        stream: state.id.uuid(),
        version: state.version,
        category: plan.definition.name.clone(),
        key: state.key.clone(),
        summary: row::summary(plan, state, &shows),
        updated_at_ms: 0,
        erased_at_ms: erased.map(|decision| decision.at.0),
    }
}

/// When the read model changed last, as far as the decisions say it.
pub(super) fn changed_at(plan: &SagaPlan, state: &SagaState, decisions: &[SagaDecision]) -> Timestamp {
    let shows = ReadModelState::of(plan, state);
    let is_same_before = |last: usize| {
        let changes = evolve::changes_definition(&decisions[last]) || erases(&decisions[last]);
        let before = || evolve::fold(plan, state.id, &decisions[..last]).ok();
        !changes && before().is_some_and(|before| ReadModelState::of(plan, &before) == shows)
    };
    let end = decisions.len().saturating_sub(1);
    let changed = (end.saturating_sub(LOOKED_BACK)..=end).rev().find(|last| *last == 0 || !is_same_before(*last));
    decisions.get(changed.unwrap_or(end)).map_or(state.started_at, |decision| decision.at)
}

/// A field of the row: its name, what the journal says, and what was found.
pub(super) type RowDifference = (&'static str, Value, Value);

/// What the found row says otherwise: all that is written whenever the read model changes. The reason and the time of
/// the change are older where nothing else has changed since, so they are not compared.
pub(super) fn differences(expected: &StreamRepair, found: &StreamSummary) -> Vec<RowDifference> {
    let (expected, found) = (fields(expected), found_fields(found));
    let both = expected.into_iter().zip(found);
    both.filter(|((_, expected), found)| expected != found)
        .map(|((place, expected), found)| (place, expected, found))
        .collect()
}

/// What is compared, by name.
pub(super) fn fields(row: &StreamRepair) -> [(&'static str, Value); 10] {
    let SummaryUpdate { document, status, step, started_at_ms, waits_on, flags, code, open: _, reason: _ } =
        &row.summary;
    let waits_on: Vec<String> = waits_on.iter().map(ToString::to_string).collect();
    [
        ("saga", json!(row.category)),
        ("key", json!(row.key)),
        ("definition", json!(document)),
        ("status", json!(status)),
        ("step", json!(step)),
        ("startedAt", json!(rfc3339(Timestamp(*started_at_ms)))),
        ("waitsOn", json!(waits_on)),
        ("incidents", json!(flags)),
        ("code", json!(code)),
        ("erasedAt", json!(row.erased_at_ms.map(|at| rfc3339(Timestamp(at))))),
    ]
}

fn found_fields(found: &StreamSummary) -> [Value; 10] {
    let found = found.clone();
    let row = StreamRepair {
        shard: 0,
        stream: found.stream,
        version: 0,
        category: found.category,
        key: found.key,
        summary: SummaryUpdate {
            document: found.document,
            status: found.status,
            open: false,
            step: found.step,
            reason: found.reason,
            started_at_ms: found.started_at_ms,
            waits_on: found.waits_on,
            flags: found.flags,
            code: found.code,
        },
        updated_at_ms: found.updated_at_ms,
        erased_at_ms: found.erased_at_ms,
    };
    fields(&row).map(|(_, value)| value)
}
