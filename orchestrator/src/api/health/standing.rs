//! For `/metrics`: sagas of the whole installation by status, and the shards and store connections of this engine.

use crate::api::census::SagaCounts;
use metrics::{counter, gauge};
use saga_base::operations::{self, OperationKind};
use saga_core::{incident::IncidentKind, state::SagaStatus, time::Timestamp};
use saga_engine::catalog::DefinitionCatalog;
use saga_event_store::{SessionUsage, StreamStatusCount};
use std::collections::BTreeMap;

/// The label of sagas whose definition these files do not have.
const OTHER: &str = "other";

/// Every engine counts the sagas of all engines.
pub(super) fn measure(counted: &SagaCounts, known: &DefinitionCatalog, now: Timestamp) {
    for ((saga, status), standing) in by_label(counted, known) {
        show(saga, status, standing.as_ref(), now);
    }
    gauge!("saga_dead_letters_open").set(float(counted.letters.open));
    let oldest_ms = counted.letters.oldest_open_ms.map_or(0, |since| (now.0 - since).max(0));
    gauge!("saga_dead_letters_oldest_open_seconds").set(float(oldest_ms) / 1000.0);
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

type StandingByLabel<'a> = BTreeMap<(&'a str, SagaStatus), Option<StreamStatusCount>>;

/// A name that comes from the store becomes no label: what these files do not have is summed up.
fn by_label<'a>(counted: &'a SagaCounts, known: &DefinitionCatalog) -> StandingByLabel<'a> {
    let label = |saga: &'a str| known.named(saga).map_or(OTHER, |_| saga);
    let pairs = |saga: &'a String| SagaStatus::OPEN.map(|status| ((label(saga), status), None));
    let mut labelled: StandingByLabel<'a> = counted.sagas.iter().flat_map(pairs).collect();
    for one in &counted.standing {
        let status = SagaStatus::OPEN.into_iter().find(|status| status.as_str() == one.status);
        let Some(sum) = status.and_then(|status| labelled.get_mut(&(label(&one.category), status))) else { continue };
        *sum = Some(sum.take().map_or_else(|| one.clone(), |before| added(before, one)));
    }
    labelled
}

fn added(sum: StreamStatusCount, one: &StreamStatusCount) -> StreamStatusCount {
    StreamStatusCount {
        streams: sum.streams + one.streams,
        oldest_started_ms: sum.oldest_started_ms.min(one.oldest_started_ms),
        oldest_changed_ms: sum.oldest_changed_ms.min(one.oldest_changed_ms),
        ..sum
    }
}

pub(super) fn measure_slow_operations() {
    for operation in OperationKind::ALL {
        counter!("saga_slow_operations_total", "operation" => operation.as_str())
            .absolute(operations::slow_count(operation));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(category: &str, streams: i64, started: i64) -> StreamStatusCount {
        let (category, status) = (category.to_owned(), SagaStatus::Parked.as_str().to_owned());
        StreamStatusCount { category, status, streams, oldest_started_ms: started, oldest_changed_ms: 9 }
    }

    #[test]
    fn definitions_that_only_the_store_knows_are_one_label() {
        let sagas = ["gone".to_owned(), "older".to_owned()].into();
        let standing = vec![standing("gone", 2, 7), standing("older", 3, 5)];
        let counted = SagaCounts { sagas, standing, ..SagaCounts::default() };
        let labelled = by_label(&counted, &DefinitionCatalog::default());
        assert!(labelled.keys().all(|(saga, _)| *saga == OTHER), "{labelled:?}");
        let parked = labelled[&(OTHER, SagaStatus::Parked)].as_ref().expect("some are parked");
        assert_eq!((parked.streams, parked.oldest_started_ms), (5, 5));
        assert_eq!(labelled[&(OTHER, SagaStatus::Running)], None);
    }
}
