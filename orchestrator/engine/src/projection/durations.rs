//! Durations of steps: a histogram for each definition, step and direction.

use super::{
    EventProjection, ProjectedEvent, ProjectionRows,
    step_changes::{StepChange, step_change},
};
use saga_core::event::SagaEvent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Upper bounds of the buckets, in milliseconds.
const BOUNDS_MS: [i64; 14] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000, 3_600_000];

/// `total/<definition>/<step>/<do or undo>` has a histogram; `open/<saga>` has when the steps of an open saga began.
#[derive(Debug)]
pub(super) struct StepDurations;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StepHistogram {
    count: u64,
    sum_ms: i64,
    max_ms: i64,
    /// Steps that took at most so many milliseconds and longer than the bound before; `more`: longer than all bounds.
    buckets: BTreeMap<String, u64>,
}

impl StepHistogram {
    fn add(&mut self, took_ms: i64) {
        let bound = BOUNDS_MS.iter().find(|bound| took_ms <= **bound);
        let bucket = bound.map_or_else(|| "more".to_owned(), ToString::to_string);
        *self.buckets.entry(bucket).or_default() += 1;
        (self.count, self.sum_ms, self.max_ms) = (self.count + 1, self.sum_ms + took_ms, self.max_ms.max(took_ms));
    }
}

fn open_key(event: &ProjectedEvent<'_>) -> String {
    format!("open/{}", event.saga)
}

fn total_key(event: &ProjectedEvent<'_>, step: &str) -> String {
    format!("total/{}/{step}", event.definition)
}

impl EventProjection for StepDurations {
    fn name(&self) -> &'static str {
        "stepDurations"
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, event: &ProjectedEvent<'_>) -> Vec<String> {
        match step_change(event) {
            Some((step, StepChange::Ended)) => vec![open_key(event), total_key(event, &step)],
            Some((_, StepChange::Begun | StepChange::Tried(_) | StepChange::Waits(_))) => vec![open_key(event)],
            None if matches!(event.event, SagaEvent::SagaEnded { .. }) => vec![open_key(event)],
            None => Vec::new(),
        }
    }

    fn apply(&self, event: &ProjectedEvent<'_>, rows: &mut ProjectionRows) {
        let open = open_key(event);
        if matches!(event.event, SagaEvent::SagaEnded { .. }) {
            return rows.remove(&open);
        }
        let Some((step, change)) = step_change(event) else { return };
        let mut began: BTreeMap<String, i64> = rows.get(&open);
        match change {
            StepChange::Begun | StepChange::Tried(_) | StepChange::Waits(_) => {
                began.entry(step).or_insert(event.at.0);
            }
            StepChange::Ended => {
                let Some(began_ms) = began.remove(&step) else { return };
                let mut total: StepHistogram = rows.get(&total_key(event, &step));
                total.add((event.at.0 - began_ms).max(0));
                rows.put(&total_key(event, &step), &total);
            }
        }
        if began.is_empty() { rows.remove(&open) } else { rows.put(&open, &began) }
    }
}
