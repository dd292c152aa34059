//! Waiting: how many sagas wait, by definition and reason.

use super::{
    EventProjection, ProjectedEvent, ProjectionRows,
    step_changes::{StepChange, step_change},
};
use saga_core::event::{ParkReason, SagaEvent};
use std::collections::BTreeMap;

/// `count/<definition>` has a number for each reason; `open/<saga>` has the reasons of one saga. A reason is a guard
/// and its participant (`breaker:payments`), `time`, or `parked:<why>`.
#[derive(Debug)]
pub(super) struct WaitingByReason;

/// What waits, and for what: `<step>/<do or undo>`, or `saga` for the whole saga.
type WaitingParts = BTreeMap<String, String>;
/// How many parts of sagas wait, by reason.
type WaitingCounts = BTreeMap<String, i64>;

/// The place of the whole saga among the parts.
const WHOLE: &str = "saga";

/// What an event does to the reasons of its saga.
enum WaitingChange {
    Begins(String, String),
    Ends(String),
    EndsAll,
}

fn change_of(event: &ProjectedEvent<'_>) -> Option<WaitingChange> {
    if let Some((step, change)) = step_change(event) {
        return Some(match change {
            StepChange::Waits(reason) => WaitingChange::Begins(step, reason),
            StepChange::Begun | StepChange::Tried(_) | StepChange::Ended => WaitingChange::Ends(step),
        });
    }
    if let SagaEvent::SagaParked { reason } = event.event {
        return Some(WaitingChange::Begins(WHOLE.to_owned(), parked(reason)));
    }
    let goes_on = matches!(
        event.event,
        SagaEvent::SagaResumed | SagaEvent::OperatorActed { .. } | SagaEvent::CompensationStarted { .. }
    );
    let ended = matches!(event.event, SagaEvent::SagaEnded { .. });
    ended.then_some(WaitingChange::EndsAll).or_else(|| goes_on.then(|| WaitingChange::Ends(WHOLE.to_owned())))
}

fn parked(reason: &ParkReason) -> String {
    let why = match reason {
        ParkReason::StepFailed { .. } => "stepFailed",
        ParkReason::PivotUnknown { .. } => "pivotUnknown",
        ParkReason::UndoFailed { .. } => "undoFailed",
        ParkReason::Output { .. } => "output",
        ParkReason::Limit { .. } => "limit",
    };
    format!("parked:{why}")
}

fn open_key(event: &ProjectedEvent<'_>) -> String {
    format!("open/{}", event.saga)
}

fn count_key(event: &ProjectedEvent<'_>) -> String {
    format!("count/{}", event.definition)
}

impl EventProjection for WaitingByReason {
    fn name(&self) -> &'static str {
        "waiting"
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, event: &ProjectedEvent<'_>) -> Vec<String> {
        if change_of(event).is_some() { vec![open_key(event), count_key(event)] } else { Vec::new() }
    }

    fn apply(&self, event: &ProjectedEvent<'_>, rows: &mut ProjectionRows) {
        let Some(change) = change_of(event) else { return };
        let (open, count) = (open_key(event), count_key(event));
        let before: WaitingParts = rows.get(&open);
        let mut after = before.clone();
        match change {
            WaitingChange::Begins(part, reason) => drop(after.insert(part, reason)),
            WaitingChange::Ends(part) => drop(after.remove(&part)),
            WaitingChange::EndsAll => after.clear(),
        }
        if after == before {
            return;
        }
        let mut counts: WaitingCounts = rows.get(&count);
        before.values().for_each(|reason| *counts.entry(reason.clone()).or_default() -= 1);
        after.values().for_each(|reason| *counts.entry(reason.clone()).or_default() += 1);
        counts.retain(|_, waiting| *waiting != 0);
        match counts.is_empty() {
            true => rows.remove(&count),
            false => rows.put(&count, &counts),
        }
        match after.is_empty() {
            true => rows.remove(&open),
            false => rows.put(&open, &after),
        }
    }
}
