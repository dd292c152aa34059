//! The counters and histograms of one participant's calls, which move where things happen.

use metrics::{Counter, Histogram, counter, histogram};
use saga_base::operations::{OperationKind, OperationMeter};
use saga_core::command::GuardKind;
use std::time::Duration;

/// One participant's handles. Using them allocates nothing and takes no lock. Made after recording has started: before,
/// they lead nowhere.
#[derive(Debug)]
pub(crate) struct GuardMetrics {
    successful: Histogram,
    failed: Histogram,
    ignored: Histogram,
    not_permitted: Counter,
    /// In the order of [`GuardKind::ALL`].
    waits: [Histogram; GuardKind::ALL.len()],
    /// For the figures of the last minutes, and the calls that took too long.
    operation: OperationMeter,
}

impl GuardMetrics {
    /// Handles that record nothing.
    #[must_use]
    pub(crate) fn without_metrics() -> GuardMetrics {
        GuardMetrics {
            successful: Histogram::noop(),
            failed: Histogram::noop(),
            ignored: Histogram::noop(),
            not_permitted: Counter::noop(),
            waits: GuardKind::ALL.map(|_| Histogram::noop()),
            operation: OperationMeter::nothing(),
        }
    }

    /// Of the participant called `name`.
    #[must_use]
    pub(crate) fn of(name: &str) -> GuardMetrics {
        let calls = |kind: &'static str| histogram!("resilience4j_circuitbreaker_calls_seconds", "name" => name.to_owned(), "kind" => kind);
        let not_permitted = counter!("resilience4j_circuitbreaker_not_permitted_calls_total", "name" => name.to_owned(),
            "kind" => "not_permitted");
        let waits = GuardKind::ALL.map(
            |guard| histogram!("saga_guard_wait_seconds", "participant" => name.to_owned(), "guard" => guard.as_str()),
        );
        GuardMetrics {
            successful: calls("successful"),
            failed: calls("failed"),
            ignored: calls("ignored"),
            not_permitted,
            waits,
            operation: OperationMeter::of(OperationKind::Call, name),
        }
    }

    /// A call that left has ended, `took` after it was let go.
    pub(crate) fn called(&self, kind: CallResultKind, took: Duration) {
        let calls = match kind {
            CallResultKind::Successful => &self.successful,
            CallResultKind::Failed => &self.failed,
            CallResultKind::Ignored => &self.ignored,
        };
        calls.record(took.as_secs_f64());
        self.operation.record(took);
    }

    /// The breaker let a call not through.
    pub(crate) fn not_permitted(&self) {
        self.not_permitted.increment(1);
    }

    /// A command was let go that `guard` had held for `waited`, in memory or on record.
    pub(crate) fn waited(&self, guard: GuardKind, waited: Duration) {
        let handles = GuardKind::ALL.iter().zip(&self.waits);
        handles.filter(|(other, _)| **other == guard).for_each(|(_, histogram)| histogram.record(waited.as_secs_f64()));
    }
}

/// How a call that left ended, for its breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallResultKind {
    /// The participant answered, be it to say no.
    Successful,
    /// It did not, or with an error of its own.
    Failed,
    /// It says nothing about the participant.
    Ignored,
}
