//! Watches how the engine works off the open sagas.

use super::super::memory::ProcessMemory;
use anyhow::{Context, bail};
use saga_core::{
    event::SagaDecision,
    id::SagaId,
    state::{SagaPlan, SagaState},
};
use saga_engine::observer::CommitObserver;
use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tracing::info;

/// Time between two looks at the counters.
const LOOK: Duration = Duration::from_millis(500);
/// Length of the span for the slowest rate.
const SPAN: Duration = Duration::from_secs(5);
/// Without a commit or a takeover for this time, the run is stuck.
const STUCK: Duration = Duration::from_secs(120);

/// Counts rows, ends and takeovers from the commits.
#[derive(Debug)]
pub(super) struct HerdObserver {
    started: Instant,
    /// Rows count from this time on.
    since: Mutex<CountingStart>,
    rows: AtomicU64,
    ended: AtomicU32,
    taken_over: AtomicU64,
    /// Shards whose owner has not read all sagas.
    shards: AtomicU32,
    /// When the last owner had, in milliseconds from the start.
    all_taken_over_ms: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct CountingStart {
    begun: Instant,
    first_row: Option<Instant>,
}

/// How fast the engine worked off the sagas.
#[derive(Clone, Copy, Debug)]
pub(super) struct HerdThroughput {
    pub(super) first_row_seconds: f64,
    pub(super) ended: u32,
    pub(super) per_second: f64,
    pub(super) slowest: f64,
    pub(super) rows_per_saga: f64,
}

/// Numbers of ended sagas with their times.
#[derive(Clone, Copy, Debug)]
struct ProgressSample {
    at: Instant,
    ended: u32,
}

impl HerdObserver {
    pub(super) fn of(shards: u16) -> HerdObserver {
        let started = Instant::now();
        HerdObserver {
            started,
            since: Mutex::new(CountingStart { begun: started, first_row: None }),
            rows: AtomicU64::new(0),
            ended: AtomicU32::new(0),
            taken_over: AtomicU64::new(0),
            shards: AtomicU32::new(u32::from(shards)),
            all_taken_over_ms: AtomicU64::new(0),
        }
    }

    /// Commits until now do not count.
    pub(super) fn begin_anew(&self) {
        *self.since() = CountingStart { begun: Instant::now(), first_row: None };
        self.rows.store(0, Ordering::SeqCst);
        self.ended.store(0, Ordering::SeqCst);
    }

    fn since(&self) -> std::sync::MutexGuard<'_, CountingStart> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the owner of every shard has read all sagas.
    pub(super) async fn until_taken_over(&self) -> anyhow::Result<()> {
        self.watch(
            "taken over",
            || u64::from(self.shards.load(Ordering::SeqCst)),
            || self.taken_over_seconds().is_some(),
        )
        .await
    }

    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    pub(super) fn taken_over_seconds(&self) -> Option<f64> {
        let is_done = self.shards.load(Ordering::SeqCst) == 0;
        is_done.then(|| self.all_taken_over_ms.load(Ordering::SeqCst) as f64 / 1000.0)
    }

    /// Waits until this many sagas have ended.
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) async fn until_ended(&self, wanted: u32) -> anyhow::Result<HerdThroughput> {
        let mut slowest = SlowestSpan::default();
        self.watch(
            "worked off",
            || self.rows.load(Ordering::SeqCst),
            || {
                let ended = self.ended.load(Ordering::SeqCst);
                slowest.look(ProgressSample { at: Instant::now(), ended });
                ended >= wanted
            },
        )
        .await?;
        let CountingStart { begun, first_row } = *self.since();
        let first_row = first_row.context("a saga ended, so a row was written")?;
        let (ended, rows) = (self.ended.load(Ordering::SeqCst), self.rows.load(Ordering::SeqCst));
        let per_second = f64::from(ended) / first_row.elapsed().as_secs_f64();
        Ok(HerdThroughput {
            first_row_seconds: first_row.duration_since(begun).as_secs_f64(),
            ended,
            per_second,
            slowest: slowest.per_second.unwrap_or(per_second),
            rows_per_saga: rows as f64 / f64::from(ended),
        })
    }

    /// Looks at the counters until `is_done`, and gives up when `progress` does not change.
    async fn watch(
        &self,
        what: &str,
        progress: impl Fn() -> u64,
        mut is_done: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        let (mut last, mut moved) = (progress(), Instant::now());
        let mut told = Instant::now();
        while !is_done() {
            tokio::time::sleep(LOOK).await;
            let now = progress();
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if told.elapsed() >= SPAN {
                told = Instant::now();
                self.tell(what)?;
            }
            if moved.elapsed() > STUCK {
                bail!("no progress for {} s; {} sagas had ended", STUCK.as_secs(), self.ended.load(Ordering::SeqCst));
            }
        }
        Ok(())
    }

    fn tell(&self, what: &str) -> anyhow::Result<()> {
        let memory = ProcessMemory::of_this_process()?;
        let (rows, ended) = (self.rows.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst));
        let taken_over = self.taken_over.load(Ordering::SeqCst);
        let (seconds, mb, peak_mb) = (self.started.elapsed().as_secs(), memory.now.round(), memory.peak.round());
        info!(seconds, rows, ended, taken_over, mb, peak_mb, "sagas {what}");
        Ok(())
    }
}

impl CommitObserver for HerdObserver {
    fn committed(&self, _saga: SagaId, _plan: &SagaPlan, state: &SagaState, _decision: &SagaDecision) {
        if self.rows.fetch_add(1, Ordering::Relaxed) == 0 {
            self.since().first_row.get_or_insert_with(Instant::now);
        }
        if state.status().is_terminal() {
            self.ended.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn taken_over(&self, sagas: usize) {
        self.taken_over.fetch_add(sagas as u64, Ordering::SeqCst);
        let since_start = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.all_taken_over_ms.fetch_max(since_start, Ordering::SeqCst);
        self.shards.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The slowest span since the first end.
#[derive(Debug, Default)]
struct SlowestSpan {
    looks: VecDeque<ProgressSample>,
    per_second: Option<f64>,
}

impl SlowestSpan {
    fn look(&mut self, look: ProgressSample) {
        if look.ended == 0 {
            return;
        }
        self.looks.push_back(look);
        while let Some(first) = self.looks.front()
            && look.at.duration_since(first.at) >= SPAN
        {
            let span = look.at.duration_since(first.at).as_secs_f64();
            let per_second = f64::from(look.ended - first.ended) / span;
            self.per_second = Some(self.per_second.map_or(per_second, |slowest| slowest.min(per_second)));
            self.looks.pop_front();
        }
    }
}
