//! How long the operations of this process take: figures of the last minutes, and the operations that took too long.
//!
//! One monitor per process, like the recorder of metrics. A [`OperationMeter`] is made once and used often: it takes no
//! lock and allocates nothing, unless an operation is slow.

mod latency_window;

use crate::clock::EngineClock;
use latency_window::{LatencyCounts, LatencyWindow};
use saga_core::time::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Slow operations that are kept: enough to see a pattern.
const KEPT: usize = 100;

/// The time that figures are about.
pub const WINDOW: Duration = Duration::from_secs(300);

/// From this duration on an operation is slow, unless the configuration says otherwise.
pub const SLOW: Duration = Duration::from_secs(1);

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
static MONITOR: LazyLock<OperationMonitor> = LazyLock::new(OperationMonitor::default);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationKind {
    /// A transaction of the journal, retries included.
    Commit,
    /// A call to a participant, from leaving the guards to the answer.
    Call,
    /// A read of a saga's journal.
    Read,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [OperationKind; 3] = [OperationKind::Commit, OperationKind::Call, OperationKind::Read];

    /// Its word in metrics and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OperationKind::Commit => "commit",
            OperationKind::Call => "call",
            OperationKind::Read => "read",
        }
    }
}

/// An operation that took as long as the threshold, or longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowOperation {
    /// When it ended.
    pub at: Timestamp,
    /// What it was.
    pub kind: OperationKind,
    /// With whom: the participant, or the event store.
    pub subject: Arc<str>,
    /// How long it took.
    pub took: Duration,
}

/// The durations of one kind of operation with one subject, over the last five minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationFigures {
    /// What was measured.
    pub kind: OperationKind,
    /// With whom.
    pub subject: Arc<str>,
    /// How many there were.
    pub count: u64,
    /// The arithmetic mean.
    pub mean: Duration,
    /// 50, 95 and 99 of 100 took this long or shorter; each at most 13 % too long.
    pub percentiles: [Duration; 3],
}

/// Measures one kind of operation with one subject.
#[derive(Clone, Debug)]
pub struct OperationMeter(Option<(Arc<MeteredOperation>, &'static OperationMonitor)>);

type MeterKey = (OperationKind, Arc<str>);

#[derive(Debug)]
struct MeteredOperation {
    kind: OperationKind,
    subject: Arc<str>,
    window: LatencyWindow,
}

#[derive(Debug)]
struct OperationMonitor {
    // No lock of `sync`: the monitor outlives a simulated schedule, and no one waits while it is held.
    meters: RwLock<BTreeMap<MeterKey, Arc<MeteredOperation>>>,
    slow: RwLock<VecDeque<SlowOperation>>,
    slow_counts: [AtomicU64; OperationKind::ALL.len()],
    threshold_us: AtomicU64,
}

impl Default for OperationMonitor {
    fn default() -> OperationMonitor {
        OperationMonitor {
            meters: RwLock::default(),
            slow: RwLock::default(),
            slow_counts: Default::default(),
            threshold_us: AtomicU64::new(micros(SLOW)),
        }
    }
}

impl OperationMeter {
    /// The meter of `kind` with `subject`; the same two give the same figures.
    #[must_use]
    pub fn of(kind: OperationKind, subject: &str) -> OperationMeter {
        let subject: Arc<str> = Arc::from(subject);
        let make = || Arc::new(MeteredOperation { kind, subject: Arc::clone(&subject), window: LatencyWindow::new() });
        let meter = Arc::clone(write(&MONITOR.meters).entry((kind, Arc::clone(&subject))).or_insert_with(make));
        OperationMeter(Some((meter, &MONITOR)))
    }

    /// A meter that measures nothing.
    #[must_use]
    pub const fn nothing() -> OperationMeter {
        OperationMeter(None)
    }

    /// An operation has ended after `took`.
    pub fn record(&self, took: Duration) {
        let Some((meter, monitor)) = &self.0 else { return };
        meter.window.record(minute(), micros(took));
        if micros(took) >= monitor.threshold_us.load(Ordering::Relaxed) {
            monitor.keep(meter, took);
        }
    }
}

impl OperationMonitor {
    fn keep(&self, meter: &MeteredOperation, took: Duration) {
        self.slow_counts[meter.kind as usize].fetch_add(1, Ordering::Relaxed);
        let at = EngineClock::Wall.now();
        let slow = SlowOperation { at, kind: meter.kind, subject: Arc::clone(&meter.subject), took };
        let mut kept = write(&self.slow);
        kept.truncate(KEPT - 1);
        kept.push_front(slow);
    }
}

/// From now on an operation is slow that takes `threshold` or longer.
pub fn slow_from(threshold: Duration) {
    MONITOR.threshold_us.store(micros(threshold), Ordering::Relaxed);
}

/// The duration from which on an operation is slow.
#[must_use]
pub fn threshold() -> Duration {
    Duration::from_micros(MONITOR.threshold_us.load(Ordering::Relaxed))
}

/// The last 100 slow operations, the newest first.
#[must_use]
pub fn slow() -> Vec<SlowOperation> {
    read(&MONITOR.slow).iter().cloned().collect()
}

/// How many operations of `kind` were slow since the start.
#[must_use]
pub fn slow_count(kind: OperationKind) -> u64 {
    MONITOR.slow_counts[kind as usize].load(Ordering::Relaxed)
}

/// The figures of the last five minutes, of whatever was measured in them.
#[must_use]
pub fn figures() -> Vec<OperationFigures> {
    let meters: Vec<_> = read(&MONITOR.meters).values().cloned().collect();
    meters.iter().filter_map(|meter| figures_of(meter, &meter.window.counts(minute()))).collect()
}

fn figures_of(meter: &MeteredOperation, counts: &LatencyCounts) -> Option<OperationFigures> {
    let mean = Duration::from_micros(counts.total_us.checked_div(counts.count)?);
    let percentiles = [50, 95, 99].map(|percent| Duration::from_micros(counts.percentile(percent)));
    Some(OperationFigures {
        kind: meter.kind,
        subject: Arc::clone(&meter.subject),
        count: counts.count,
        mean,
        percentiles,
    })
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Minutes since the process began to measure.
fn minute() -> u64 {
    BEGAN.elapsed().as_secs() / 60
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_slow_operations_are_of_who_was_measured() {
        let meter = OperationMeter::of(OperationKind::Call, "measured");
        (1..=99).for_each(|ms| meter.record(Duration::from_millis(ms)));
        meter.record(Duration::from_secs(2));
        let figures = figures().into_iter().find(|one| &*one.subject == "measured").expect("it was measured");
        assert_eq!((figures.count, figures.mean), (100, Duration::from_micros(69_500)));
        let [p50, p95, p99] = figures.percentiles.map(|it| it.as_millis());
        assert!((50..=57).contains(&p50) && (95..=108).contains(&p95) && (99..=112).contains(&p99), "{figures:?}");
        let slow: Vec<_> = slow().into_iter().filter(|one| &*one.subject == "measured").collect();
        assert_eq!(slow.iter().map(|one| one.took).collect::<Vec<_>>(), [Duration::from_secs(2)]);
        assert!(slow_count(OperationKind::Call) >= 1);
    }
}
