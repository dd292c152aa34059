//! Counts the sagas of a run: the open ones, and how the others ended.

use saga_core::state::SagaStatus;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// A saga before it has an id: name of the definition, and business key.
pub(super) type DevSagaKey = (String, String);

/// Durations that are kept for the median: more would not change it.
const KEPT: usize = 100_000;

/// Counts every saga once, by its last status. Keeps names of open and parked sagas only.
#[derive(Debug, Default)]
pub(super) struct SagaTally {
    /// Orders without a saga yet, with the time of the order.
    ordered: HashMap<DevSagaKey, Instant>,
    /// Sagas that have neither ended nor are parked, with the time of the order; `None`: it was in an earlier run.
    open: HashMap<DevSagaKey, Option<Instant>>,
    parked: HashSet<DevSagaKey>,
    completed: u32,
    compensated: u32,
    abandoned: u32,
    durations: Vec<Duration>,
    last_settled: Option<Instant>,
}

/// A tally in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TallySummary {
    pub(super) completed: u32,
    pub(super) compensated: u32,
    pub(super) parked: u32,
    pub(super) abandoned: u32,
    /// Neither ended nor parked.
    pub(super) unaccounted: Vec<DevSagaKey>,
    /// From an order to the end of its saga, or to its being parked.
    pub(super) median: Option<Duration>,
    /// When the last saga ended or was parked.
    pub(super) last_settled: Option<Instant>,
}

impl SagaTally {
    /// An earlier run left these open.
    pub(super) fn of_earlier_runs(open: impl IntoIterator<Item = DevSagaKey>) -> SagaTally {
        SagaTally { open: open.into_iter().map(|name| (name, None)).collect(), ..SagaTally::default() }
    }

    /// Counts an order that is about to be produced.
    pub(super) fn ordered(&mut self, name: DevSagaKey, now: Instant) {
        self.ordered.insert(name, now);
    }

    /// A decision of the saga was committed, and this is its status now.
    pub(super) fn committed(&mut self, name: DevSagaKey, status: SagaStatus, now: Instant) {
        let ordered = self.ordered.remove(&name);
        match status {
            SagaStatus::Running | SagaStatus::Waiting | SagaStatus::Compensating => {
                self.parked.remove(&name);
                self.open.entry(name).or_insert(ordered.or(Some(now)));
            }
            SagaStatus::Parked => {
                self.settle(&name, ordered, now);
                self.parked.insert(name);
            }
            SagaStatus::Completed => {
                self.settle(&name, ordered, now);
                self.completed += 1;
            }
            SagaStatus::Compensated => {
                self.settle(&name, ordered, now);
                self.compensated += 1;
            }
            SagaStatus::Abandoned => {
                self.settle(&name, ordered, now);
                self.abandoned += 1;
            }
        }
    }

    /// Orders whose saga has not begun.
    pub(super) fn not_begun(&self) -> usize {
        self.ordered.len()
    }

    /// Orders and sagas that are neither ended nor parked.
    pub(super) fn unaccounted(&self) -> usize {
        self.ordered.len() + self.open.len()
    }

    pub(super) fn summary(&self) -> TallySummary {
        let mut unaccounted: Vec<DevSagaKey> = self.ordered.keys().chain(self.open.keys()).cloned().collect();
        unaccounted.sort_unstable();
        let mut durations = self.durations.clone();
        durations.sort_unstable();
        TallySummary {
            completed: self.completed,
            compensated: self.compensated,
            parked: u32::try_from(self.parked.len()).unwrap_or(u32::MAX),
            abandoned: self.abandoned,
            unaccounted,
            median: durations.get(durations.len() / 2).copied(),
            last_settled: self.last_settled,
        }
    }

    fn settle(&mut self, name: &DevSagaKey, ordered: Option<Instant>, now: Instant) {
        let begun = ordered.or(self.open.remove(name).flatten());
        self.parked.remove(name);
        self.last_settled = Some(now);
        if let Some(begun) = begun.filter(|_| self.durations.len() < KEPT) {
            self.durations.push(now.duration_since(begun));
        }
    }
}

impl TallySummary {
    /// Sagas that ended or were parked.
    pub(super) fn settled(&self) -> u32 {
        self.completed + self.compensated + self.parked + self.abandoned
    }

    pub(super) fn is_whole(&self) -> bool {
        self.unaccounted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> DevSagaKey {
        ("order-fulfillment".into(), key.into())
    }

    #[test]
    fn an_order_is_accounted_for_when_its_saga_ended_or_is_parked() {
        let (mut tally, now) = (SagaTally::default(), Instant::now());
        for key in ["a", "b", "c"] {
            tally.ordered(name(key), now);
        }
        assert_eq!((tally.not_begun(), tally.unaccounted()), (3, 3));
        for key in ["a", "b"] {
            tally.committed(name(key), SagaStatus::Running, now);
        }
        tally.committed(name("a"), SagaStatus::Completed, now);
        tally.committed(name("b"), SagaStatus::Parked, now);
        assert_eq!(tally.summary().unaccounted, [name("c")]);
        tally.committed(name("c"), SagaStatus::Compensated, now);
        let summary = tally.summary();
        assert!(summary.is_whole());
        assert_eq!((summary.completed, summary.compensated, summary.parked, summary.settled()), (1, 1, 1, 3));
    }

    #[test]
    fn a_saga_that_goes_on_after_it_was_parked_counts_by_its_end() {
        let (mut tally, now) = (SagaTally::default(), Instant::now());
        for status in [SagaStatus::Running, SagaStatus::Parked, SagaStatus::Running] {
            tally.committed(name("a"), status, now);
        }
        assert_eq!((tally.unaccounted(), tally.summary().parked), (1, 0));
        tally.committed(name("a"), SagaStatus::Completed, now);
        assert_eq!(tally.summary().settled(), 1);
    }

    #[test]
    fn what_an_earlier_run_left_open_is_waited_for() {
        let mut tally = SagaTally::of_earlier_runs([name("old")]);
        assert_eq!(tally.unaccounted(), 1);
        tally.committed(name("old"), SagaStatus::Completed, Instant::now());
        assert_eq!((tally.unaccounted(), tally.summary().median), (0, None));
    }
}
