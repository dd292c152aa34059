//! For `/metrics`: sagas of the whole installation by status, and the shards and store connections of this engine.

use crate::api::census::SagaCounts;
use metrics::gauge;
use saga_core::{incident::IncidentKind, state::SagaStatus, time::Timestamp};
use saga_event_store::{SessionUsage, StreamStatusCount};

/// Every engine counts the sagas of all engines.
pub(super) fn measure(counted: &SagaCounts, now: Timestamp) {
    for saga in &counted.sagas {
        for status in SagaStatus::OPEN {
            let of = |one: &&StreamStatusCount| one.category == *saga && one.status == status.as_str();
            show(saga, status, counted.standing.iter().find(of), now);
        }
    }
    let held_ms = counted.feed_held_since_ms.map_or(0, |since| (now.0 - since).max(0));
    gauge!("saga_feed_held_seconds").set(float(held_ms) / 1000.0);
    for kind in IncidentKind::ALL {
        for (open, course) in [(true, "open"), (false, "ended")] {
            let of = counted.flagged.iter().find(|one| one.flag == kind.as_str() && one.open == open);
            gauge!("saga_with_incidents", "kind" => kind.as_str(), "course" => course)
                .set(float(of.map_or(0, |one| one.streams)));
        }
    }
}

fn show(saga: &str, status: SagaStatus, standing: Option<&StreamStatusCount>, now: Timestamp) {
    let set = |metric: &'static str, value: f64| {
        gauge!(metric, "saga" => saga.to_owned(), "status" => status.as_str()).set(value);
    };
    let seconds = |since: Option<i64>| since.map_or(0.0, |since| float((now.0 - since).max(0)) / 1000.0);
    set("saga_open", float(standing.map_or(0, |one| one.streams)));
    set("saga_open_oldest_seconds", seconds(standing.map(|one| one.oldest_started_ms)));
    set("saga_open_unchanged_seconds", seconds(standing.map(|one| one.oldest_changed_ms)));
}

pub(super) fn measure_sessions(sessions: SessionUsage) {
    gauge!("saga_store_connections").set(count(sessions.most));
    gauge!("saga_store_connections_in_use").set(count(sessions.in_use));
}

pub(super) fn measure_shards(shards: u16) {
    gauge!("saga_shards").set(f64::from(shards));
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn float(number: i64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn count(number: u64) -> f64 {
    number as f64
}
