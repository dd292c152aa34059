//! Outcomes: how many sagas of each definition ended in each hour, and how.

use super::{EventProjection, ProjectedEvent, ProjectionRows};
use saga_core::{
    event::{SagaEnd, SagaEvent},
    time::{Timestamp, rfc3339},
};
use serde::{Deserialize, Serialize};

const HOUR_MS: i64 = 3_600_000;

/// A row for each definition, hour (UTC) and status: `<definition>/<hour>/<status>`.
#[derive(Debug)]
pub(super) struct OutcomesByHour;

#[derive(Debug, Default, Serialize, Deserialize)]
struct OutcomeCount {
    count: u64,
}

fn key(event: &ProjectedEvent<'_>) -> Option<String> {
    let SagaEvent::SagaEnded { end } = event.event else { return None };
    let status = match end {
        SagaEnd::Completed { .. } => "completed",
        SagaEnd::Compensated { .. } => "compensated",
        SagaEnd::Abandoned { .. } => "abandoned",
    };
    let hour = rfc3339(Timestamp(event.at.0.div_euclid(HOUR_MS) * HOUR_MS));
    Some(format!("{}/{hour}/{status}", event.definition))
}

impl EventProjection for OutcomesByHour {
    fn name(&self) -> &'static str {
        "outcomes"
    }

    fn version(&self) -> u32 {
        1
    }

    fn keys(&self, event: &ProjectedEvent<'_>) -> Vec<String> {
        key(event).into_iter().collect()
    }

    fn apply(&self, event: &ProjectedEvent<'_>, rows: &mut ProjectionRows) {
        let Some(key) = key(event) else { return };
        let mut ended: OutcomeCount = rows.get(&key);
        ended.count += 1;
        rows.put(&key, &ended);
    }
}
