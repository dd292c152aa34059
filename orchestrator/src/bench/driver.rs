//! Keeps a number of sagas in flight and times each from its start to its committed end.

use anyhow::bail;
use saga_core::{
    event::{SagaDecision, TriggerRecord},
    id::SagaId,
    input::SagaStart,
    state::{SagaPlan, SagaState, SagaStatus},
    time::Timestamp,
};
use saga_engine::{SagaEngine, observer::CommitObserver};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// A round in which no saga ends for this time is stuck.
const STUCK: Duration = Duration::from_secs(30);

/// Starts sagas and waits for their ends.
pub(super) struct LoadDriver {
    places: Semaphore,
    in_flight: u32,
    rows: AtomicU64,
    completed: AtomicU32,
    ended: AtomicU32,
    /// Written once per saga by the shard's task, held for one push.
    latencies: Mutex<Vec<Duration>>,
    started: Mutex<BTreeMap<String, Instant>>,
}

/// Counts and times of a round.
pub(super) struct LoadResult {
    pub(super) completed: u32,
    pub(super) rows: u64,
    pub(super) elapsed: Duration,
    latencies: Vec<Duration>,
}

impl LoadResult {
    pub(super) fn percentile_ms(&self, share: f64) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the length"
        )]
        let index = ((self.latencies.len() as f64 * share) as usize).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

impl LoadDriver {
    pub(super) fn new(in_flight: u32) -> LoadDriver {
        LoadDriver {
            places: Semaphore::new(usize::try_from(in_flight).unwrap_or(usize::MAX)),
            in_flight,
            rows: AtomicU64::new(0),
            completed: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            latencies: Mutex::default(),
            started: Mutex::default(),
        }
    }

    pub(super) async fn run(
        &self,
        engine: &SagaEngine,
        plan: &Arc<SagaPlan>,
        sagas: u32,
    ) -> anyhow::Result<LoadResult> {
        let run_id = format!("{:016x}", fastrand::u64(..));
        let begun = Instant::now();
        for number in 0..sagas {
            self.place().await?;
            self.start(engine, plan, format!("{run_id}-{number}")).await;
        }
        for _ in 0..self.in_flight {
            self.place().await?;
        }
        let elapsed = begun.elapsed();
        let mut latencies = std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort_unstable();
        Ok(LoadResult {
            completed: self.completed.load(Ordering::SeqCst),
            rows: self.rows.load(Ordering::SeqCst),
            elapsed,
            latencies,
        })
    }

    async fn place(&self) -> anyhow::Result<()> {
        match tokio::time::timeout(STUCK, self.places.acquire()).await {
            Ok(Ok(place)) => place.forget(),
            Ok(Err(_)) | Err(_) => {
                let ended = self.ended.load(Ordering::SeqCst);
                bail!("no saga ended for {} s; {ended} sagas had ended before", STUCK.as_secs());
            }
        }
        Ok(())
    }

    async fn start(&self, engine: &SagaEngine, plan: &Arc<SagaPlan>, key: String) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), Instant::now());
        let trigger = trigger(&key);
        engine.start_saga(plan, SagaStart { key, trigger, traceparent: None }).await;
    }
}

/// A payload of the usual size of an order.
const NOTE: &str = "a payload of about two hundred bytes, as an order has it: a name, a street, a city";

/// The event of an order.
pub(super) fn trigger(key: &str) -> TriggerRecord {
    TriggerRecord {
        topic: "bench".into(),
        partition: 0,
        offset: 0,
        key: None,
        timestamp: Timestamp(0),
        headers: BTreeMap::new(),
        event: json!({"id": key, "amountCents": 4711, "note": NOTE}),
    }
}

impl CommitObserver for LoadDriver {
    fn committed(&self, _saga: SagaId, _plan: &SagaPlan, state: &SagaState, _decision: &SagaDecision) {
        self.rows.fetch_add(1, Ordering::Relaxed);
        let status = state.status();
        if !status.is_terminal() {
            return;
        }
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner).remove(&state.key);
        if let Some(started) = started {
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(started.elapsed());
        }
        if status == SagaStatus::Completed {
            self.completed.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.places.add_permits(1);
    }
}
