//! Steps in flight: what open sagas are working on now.

use super::{
    EventProjection, ProjectedEvent, ProjectionRows,
    step_changes::{StepChange, step_change},
};
use saga_core::{event::SagaEvent, time::rfc3339};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A row for each saga with steps in flight, under its id.
#[derive(Debug)]
pub(super) struct StepsInFlight;

#[derive(Debug, Default, Serialize, Deserialize)]
struct SagaInFlight {
    saga: String,
    key: String,
    /// By `<step>/<do or undo>`.
    steps: BTreeMap<String, StepInFlight>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StepInFlight {
    since: String,
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_for: Option<String>,
}

impl EventProjection for StepsInFlight {
    fn name(&self) -> &'static str {
        "stepsInFlight"
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, event: &ProjectedEvent<'_>) -> Vec<String> {
        let wanted = step_change(event).is_some() || matches!(event.event, SagaEvent::SagaEnded { .. });
        if wanted { vec![event.saga.to_string()] } else { Vec::new() }
    }

    fn apply(&self, event: &ProjectedEvent<'_>, rows: &mut ProjectionRows) {
        let id = event.saga.to_string();
        if matches!(event.event, SagaEvent::SagaEnded { .. }) {
            return rows.remove(&id);
        }
        let Some((name, change)) = step_change(event) else { return };
        let mut saga: SagaInFlight = rows.get(&id);
        (saga.saga, saga.key) = (event.definition.to_owned(), event.key.to_owned());
        let new = || StepInFlight { since: rfc3339(event.at), attempt: 0, waits_for: None };
        match change {
            StepChange::Begun => {
                let step = saga.steps.entry(name).or_insert_with(new);
                (step.attempt, step.waits_for) = (1, None);
            }
            StepChange::Tried(attempt) => {
                let step = saga.steps.entry(name).or_insert_with(new);
                (step.attempt, step.waits_for) = (attempt, None);
            }
            StepChange::Waits(reason) => saga.steps.entry(name).or_insert_with(new).waits_for = Some(reason),
            StepChange::Ended => drop(saga.steps.remove(&name)),
        }
        if saga.steps.is_empty() { rows.remove(&id) } else { rows.put(&id, &saga) }
    }
}
