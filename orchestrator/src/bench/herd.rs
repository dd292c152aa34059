//! `saga bench herd` (thundering herd): very many sagas are open before the engine starts, and all become due at once.
//!
//! The state machine and the codec make their journals, which are written into the store. Then an engine takes over all
//! shards, as after a kill -9 of another engine.

mod watch;

use super::{
    driver::trigger,
    memory::{self, ProcessMemory},
    open,
    stand::{self, BenchEngine, BenchParticipant, PARTICIPANT},
};
use crate::config::EngineConfig;
use crate::startup::LoadedDefinitions;
use anyhow::{Context as _, ensure};
use saga_core::state::SagaStatus;
use saga_engine::seeding::{self, SeedState};
use saga_event_store::EventStore;
use saga_resilience::overrides::{BreakerMode, OverrideState};
use serde::Serialize;
use std::{num::NonZeroU32, sync::Arc, time::Instant};
use tracing::info;
use watch::{HerdObserver, HerdThroughput};

/// Name of the definition of these sagas.
pub(crate) const NAME: &str = "bench-herd";
const DEFINITION: &str = include_str!("herd/herd.saga.yaml");

/// What all sagas wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HerdWaitKind {
    /// A time that is over
    Time,
    /// The open breaker of a participant; the benchmark closes it when all sagas are taken over
    Breaker,
    /// The answer to a sent command; the breaker is open as above when the command has to be sent again
    Answer,
}

impl From<HerdWaitKind> for SeedState {
    fn from(waiting_for: HerdWaitKind) -> SeedState {
        match waiting_for {
            HerdWaitKind::Time => SeedState::DueTime,
            HerdWaitKind::Breaker => SeedState::RefusedByBreaker,
            HerdWaitKind::Answer => SeedState::AwaitedAnswer,
        }
    }
}

/// The arguments of the benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HerdOptions {
    /// What all sagas wait for.
    pub waiting_for: HerdWaitKind,
    /// Number of open sagas.
    pub sagas: u32,
    /// Number of sagas that have to end.
    pub until: u32,
    /// Permits of the participant.
    pub places: NonZeroU32,
}

/// The measurements of one run of `saga bench herd`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HerdReport {
    /// What the sagas waited for.
    pub waiting_for: HerdWaitKind,
    /// Sagas that were open when the engine started.
    pub sagas: u32,
    /// Seconds to make the missing journals.
    pub made_seconds: f64,
    /// Resident memory of the process before the engine started, in MiB.
    pub memory_before_mb: f64,
    /// Seconds from the start of the engine until it had read all sagas; `None`: the run ended before.
    pub taken_over_seconds: Option<f64>,
    /// Peak memory until then, for sagas behind a breaker, in MiB.
    pub waiting_peak_mb: Option<f64>,
    /// Seconds from the start of the engine, or from the closing of the breaker, to the first commit.
    pub first_row_seconds: f64,
    /// Peak memory of the whole run, in MiB.
    pub peak_mb: f64,
    /// Number of sagas that ended during the run.
    pub ended: u32,
    /// Sagas per second from the first commit to the last end.
    pub sagas_per_second: f64,
    /// Sagas per second in the slowest five seconds in between.
    pub slowest_per_second: f64,
    /// Written rows per ended saga; rows of unfinished sagas are included.
    pub rows_per_saga: f64,
}

/// Makes the missing sagas, and lets an engine take over all of them.
///
/// # Errors
/// When the store or the participant cannot be used, or the run makes no progress.
pub(crate) async fn run(config: &EngineConfig, asked: HerdOptions) -> anyhow::Result<HerdReport> {
    let store = open(config).await?;
    let mut participant = BenchParticipant::start().await?;
    let herd = measure(&store, &participant.url, asked).await;
    participant.stop().await?;
    herd
}

async fn measure(store: &Arc<dyn EventStore>, url: &str, asked: HerdOptions) -> anyhow::Result<HerdReport> {
    let loaded = stand::load("herd.saga.yaml", DEFINITION, url, asked.places)?;
    let began = Instant::now();
    fill(store, &loaded, asked).await?;
    let made_seconds = began.elapsed().as_secs_f64();
    memory::forget_the_peak()?;
    let before = ProcessMemory::of_this_process()?;

    let watch = Arc::new(HerdObserver::of(store.identity().shards));
    let mut stand = BenchEngine::prepare(store, loaded, Arc::<HerdObserver>::clone(&watch)).await?;
    let waiting_peak_mb = match asked.waiting_for {
        HerdWaitKind::Time => {
            stand.own_all();
            None
        }
        HerdWaitKind::Breaker | HerdWaitKind::Answer => Some(let_wait(&mut stand, &watch).await?),
    };
    let pace = watch.until_ended(asked.until).await;
    let peak = ProcessMemory::of_this_process()?.peak;
    stand.stop().await;
    Ok(figures(asked, made_seconds, before, waiting_peak_mb, peak, &pace?, &watch))
}

/// Makes the missing sagas.
async fn fill(store: &Arc<dyn EventStore>, loaded: &LoadedDefinitions, asked: HerdOptions) -> anyhow::Result<()> {
    let there = open_sagas(store.as_ref()).await?;
    ensure!(there <= asked.sagas, "the store already has {there} open sagas of the benchmark");
    let missing = asked.sagas - there;
    if missing == 0 {
        return Ok(());
    }
    info!(there, missing, "making journals");
    let plan = loaded.plans.first().context("the benchmark has a definition")?;
    Ok(seeding::seed(store, plan, asked.waiting_for.into(), missing, trigger).await?)
}

async fn open_sagas(store: &dyn EventStore) -> anyhow::Result<u32> {
    let is_open = |status: &str| status.parse::<SagaStatus>().is_ok_and(|status| !status.is_terminal());
    let counts = store.counts().await?.into_iter();
    let open = counts.filter(|(saga, status, _)| saga == NAME && is_open(status)).map(|(.., count)| count);
    u32::try_from(open.sum::<i64>()).context("the number of open sagas")
}

/// Takes over all sagas behind an open breaker, then closes the breaker. Returns the peak memory until then, in MiB.
async fn let_wait(stand: &mut BenchEngine, watch: &HerdObserver) -> anyhow::Result<f64> {
    steer(stand, BreakerMode::ForcedOpen);
    stand.own_all();
    watch.until_taken_over().await?;
    let peak = ProcessMemory::of_this_process()?.peak;
    watch.begin_anew();
    steer(stand, BreakerMode::Automatic);
    Ok(peak)
}

fn steer(stand: &BenchEngine, mode: BreakerMode) {
    stand.engine.override_guards(PARTICIPANT, &OverrideState { mode, ..OverrideState::default() });
}

fn figures(
    asked: HerdOptions,
    made_seconds: f64,
    before: ProcessMemory,
    waiting_peak_mb: Option<f64>,
    peak_mb: f64,
    pace: &HerdThroughput,
    watch: &HerdObserver,
) -> HerdReport {
    HerdReport {
        waiting_for: asked.waiting_for,
        sagas: asked.sagas,
        made_seconds,
        memory_before_mb: before.now,
        taken_over_seconds: watch.taken_over_seconds(),
        waiting_peak_mb,
        first_row_seconds: pace.first_row_seconds,
        peak_mb,
        ended: pace.ended,
        sagas_per_second: pace.per_second,
        slowest_per_second: pace.slowest,
        rows_per_saga: pace.rows_per_saga,
    }
}
