//! `saga bench herd`: very many sagas were open before the engine started, and all of them want something at once.
//!
//! Their journals are made by the state machine and the codec, and written into the store. Then an engine takes all
//! shards, as after a kill -9 of the one before.

mod watch;

use super::{
    driver::trigger,
    memory::{self, ProcessMemory},
    open,
    stand::{self, BenchEngine, BenchParticipant, PARTICIPANT},
};
use crate::startup::LoadedDefinitions;
use anyhow::{Context as _, ensure};
use saga_core::state::SagaStatus;
use saga_engine::seeding::{self, SeedState};
use saga_event_store::EventStore;
use saga_resilience::overrides::{OverrideMode, OverrideState};
use serde::Serialize;
use std::{num::NonZeroU32, sync::Arc, time::Instant};
use tracing::info;
use watch::{HerdObserver, HerdThroughput};

/// Name of the herd's definition.
pub const NAME: &str = "bench-herd";
const DEFINITION: &str = include_str!("herd/herd.saga.yaml");

/// What all sagas of a herd wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum HerdWaitKind {
    /// A time, which has come
    Time,
    /// The breaker of a participant, which somebody has opened; it is closed when all have been taken over
    Breaker,
    /// The answer to a command that was sent; the breaker is open as above when the command is to be sent again
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

/// A herd.
#[derive(Clone, Copy, Debug)]
pub struct HerdOptions {
    /// What it waits for.
    pub waiting_for: HerdWaitKind,
    /// How many sagas.
    pub sagas: u32,
    /// How many of them have to end.
    pub until: u32,
    /// Calls that the participant takes at once.
    pub places: NonZeroU32,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HerdReport {
    /// What the sagas waited for.
    pub waiting_for: HerdWaitKind,
    /// How many were open when the engine started.
    pub sagas: u32,
    /// How long their journals took to make; those that were there before were not made.
    pub made_seconds: f64,
    /// Resident memory of the process before the engine started, in MiB.
    pub memory_before_mb: f64,
    /// From the start of the engine until it had looked at all of them; `None`: that many had not to be waited for.
    pub taken_over_seconds: Option<f64>,
    /// The most memory until then, of a herd behind a breaker.
    pub waiting_peak_mb: Option<f64>,
    /// From the start of the engine, or the closing of the breaker, to the first commit.
    pub first_row_seconds: f64,
    /// The most memory of the whole run.
    pub peak_mb: f64,
    /// How many ended.
    pub ended: u32,
    /// From the first commit to the last end.
    pub sagas_per_second: f64,
    /// The slowest of the spans of five seconds in between.
    pub slowest_per_second: f64,
    /// Rows that were written for each that ended, and for those that are on their way.
    pub rows_per_saga: f64,
}

/// Makes a herd, or fills up the one that is there, and lets an engine take it over.
///
/// # Errors
/// When the store or the participant cannot be used, or nothing goes on.
pub async fn run(store: &str, shards: u16, asked: HerdOptions) -> anyhow::Result<HerdReport> {
    let store = open(store, shards).await?;
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

/// Makes as many sagas as are missing.
async fn fill(store: &Arc<dyn EventStore>, loaded: &LoadedDefinitions, asked: HerdOptions) -> anyhow::Result<()> {
    let there = open_sagas(store.as_ref()).await?;
    ensure!(there <= asked.sagas, "the store holds {there} open sagas of the benchmark already");
    let missing = asked.sagas - there;
    if missing == 0 {
        return Ok(());
    }
    info!(there, missing, "journals are made");
    let plan = loaded.plans.first().context("the benchmark has a definition")?;
    Ok(seeding::seed(store, plan, asked.waiting_for.into(), missing, trigger).await?)
}

async fn open_sagas(store: &dyn EventStore) -> anyhow::Result<u32> {
    let is_open = |status: &str| status.parse::<SagaStatus>().is_ok_and(|status| !status.is_terminal());
    let counts = store.counts().await?.into_iter();
    let open = counts.filter(|(saga, status, _)| saga == NAME && is_open(status)).map(|(.., count)| count);
    u32::try_from(open.sum::<i64>()).context("how many sagas are open")
}

/// Takes all over behind an open breaker, and closes it then. Answers the most memory until then, in MiB.
async fn let_wait(stand: &mut BenchEngine, watch: &HerdObserver) -> anyhow::Result<f64> {
    steer(stand, OverrideMode::ForcedOpen);
    stand.own_all();
    watch.until_taken_over().await?;
    let peak = ProcessMemory::of_this_process()?.peak;
    watch.begin_anew();
    steer(stand, OverrideMode::Automatic);
    Ok(peak)
}

fn steer(stand: &BenchEngine, mode: OverrideMode) {
    stand.engine.parts.guarded.apply(PARTICIPANT, &OverrideState { mode, ..OverrideState::default() });
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
