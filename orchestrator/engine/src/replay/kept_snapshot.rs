//! The snapshot of a long journal, compared with the rows that it stands for.

use crate::journal::snapshots::{self, DecodedSnapshot, PlanName, SnapshotUnused};
use saga_core::{
    event::SagaDecision,
    evolve,
    state::{SagaPlan, SagaState},
};
use saga_event_store::StreamSnapshot;
use serde_json::{Value, json};

/// Where a snapshot differs from the rows: the place, what the rows fold to, what the snapshot has.
pub(super) type SnapshotDifference = (String, Value, Value);

/// A snapshot, and whether the journal has the row of which it is.
pub(super) struct KeptSnapshot {
    pub(super) snapshot: StreamSnapshot,
    pub(super) of_row: bool,
}

impl KeptSnapshot {
    /// What the snapshot says otherwise than the rows. A snapshot of another format says nothing to this build.
    pub(super) fn differences(&self, plan: &SagaPlan, decisions: &[SagaDecision]) -> Vec<SnapshotDifference> {
        match snapshots::decoded(&self.snapshot) {
            Err(SnapshotUnused::Format(_)) => Vec::new(),
            Err(unread) => vec![("state".to_owned(), json!("a state"), json!(unread.to_string()))],
            Ok(_) if !self.of_row => {
                vec![(
                    "row".to_owned(),
                    json!("the row of this version"),
                    json!("another row, or one that is not there"),
                )]
            }
            Ok(decoded) => against_rows(&decoded, plan, decisions),
        }
    }
}

fn against_rows(found: &DecodedSnapshot, plan: &SagaPlan, decisions: &[SagaDecision]) -> Vec<SnapshotDifference> {
    let version = usize::try_from(found.state.version).unwrap_or(usize::MAX).min(decisions.len());
    let (before, after) = decisions.split_at(version);
    let later = after.iter().filter(|decision| evolve::changes_definition(decision)).count();
    let mut then = Some(plan);
    for _ in 0..later {
        then = then.and_then(|plan| plan.before.as_deref());
    }
    let Some(then) = then else { return Vec::new() };
    let plans: Vec<PlanName> = then.chain().into_iter().map(PlanName::of).collect();
    if plans != found.plans {
        return vec![("definition".to_owned(), json!(plans), json!(found.plans))];
    }
    match evolve::fold(then, found.state.id, before) {
        Ok(folded) => members_that_differ(&folded, &found.state.clone().inherited()),
        Err(error) => vec![("state".to_owned(), json!(error.to_string()), json!("a state"))],
    }
}

fn members_that_differ(folded: &SagaState, kept: &SagaState) -> Vec<SnapshotDifference> {
    if folded == kept {
        return Vec::new();
    }
    let members = |state: &SagaState| match serde_json::to_value(state) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (folded, kept) = (members(folded), members(kept));
    let differs = |(name, expected): (String, Value)| {
        let found = kept.get(&name).cloned().unwrap_or_default();
        (found != expected).then_some((name, expected, found))
    };
    folded.into_iter().filter_map(differs).collect()
}
