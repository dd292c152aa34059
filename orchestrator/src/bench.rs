//! `saga bench`: four-step sagas with a no-op HTTP participant in a separate process, on the configured store. `saga
//! bench herd`: very many sagas that were open before the engine started.
//!
//! Triggers come from this process and not from Kafka. Everything else is as in `saga serve`: guards, group commit,
//! fencing, read model.

pub(crate) mod herd;
pub(crate) mod participant;

mod cpu;
mod driver;
mod memory;
pub(crate) mod stand;

use crate::config::EngineConfig;
use anyhow::{Context, bail};
use cpu::CpuTime;
use driver::LoadDriver;
use saga_event_store::{DatabaseActivity, EventStore, StoreAccess};
use serde::Serialize;
use stand::{BenchEngine, BenchParticipant};
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

/// The saga that is measured: four steps, each with an undo, no outcome event.
const DEFINITION: &str = include_str!("bench/bench.saga.yaml");

/// Permits of the participant: the maximum of sagas in flight in a round.
const PLACES: NonZeroU32 = NonZeroU32::new(4096).expect("it is not 0");

/// The measurements of one round.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BenchRound {
    /// Number of sagas that the round keeps in flight.
    pub in_flight: u32,
    /// Number of sagas that the round started.
    pub sagas: u32,
    /// Number of sagas that completed in the round.
    pub completed: u32,
    /// Mean over the whole round.
    pub sagas_per_second: f64,
    /// Median time from the start message to the commit of the end, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
    /// Transactions of the database per saga, of all its clients.
    pub commits_per_saga: f64,
    /// Rows of the journal per saga.
    pub rows_per_saga: f64,
    /// Bytes of write-ahead log of the database per saga, of all its clients.
    pub wal_bytes_per_saga: f64,
    /// User and system time of this process per 1,000 sagas.
    pub engine_cpu_seconds_per_1000: f64,
    /// The same for the process of the participant.
    pub participant_cpu_seconds_per_1000: f64,
    /// Calls that the participant counted, by step.
    pub calls: BTreeMap<String, u64>,
}

impl BenchRound {
    /// Whether every saga completed with each of its four steps called once.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        let each_once = participant::STEPS.iter().all(|step| self.calls.get(*step) == Some(&u64::from(self.sagas)));
        let nothing_else = self.calls.values().sum::<u64>() == 4 * u64::from(self.sagas);
        self.completed == self.sagas && each_once && nothing_else
    }
}

/// Runs one round for each number of `in_flight`.
///
/// # Errors
/// When the store or the participant cannot be used, or a round makes no progress.
pub(crate) async fn run(config: &EngineConfig, sagas: u32, in_flight: &[u32]) -> anyhow::Result<Vec<BenchRound>> {
    let store = open(config).await?;
    let mut rounds = Vec::new();
    for count in in_flight {
        rounds.push(round(&store, sagas, *count).await.with_context(|| format!("the round with {count} in flight"))?);
    }
    Ok(rounds)
}

async fn open(config: &EngineConfig) -> anyhow::Result<Arc<dyn EventStore>> {
    let store = config
        .open_store(StoreAccess::Write { shards: config.shards })
        .await
        .context("the event store (key `store`)")?;
    refuse_a_store_in_use(store.as_ref()).await?;
    Ok(store)
}

/// A benchmark claims all shards: on a store with other sagas it would fence their engine.
async fn refuse_a_store_in_use(store: &dyn EventStore) -> anyhow::Result<()> {
    let is_other = |saga: &String| saga != "bench" && saga != herd::NAME;
    let others: Vec<String> = store.counts().await?.into_iter().map(|(saga, ..)| saga).filter(is_other).collect();
    if let Some(saga) = others.first() {
        bail!("the store has sagas of `{saga}`: a benchmark needs its own database; name one with --store");
    }
    Ok(())
}

async fn round(store: &Arc<dyn EventStore>, sagas: u32, in_flight: u32) -> anyhow::Result<BenchRound> {
    let mut participant = BenchParticipant::start().await?;
    let driver = Arc::new(LoadDriver::new(in_flight));
    let bench = stand::load("bench.saga.yaml", DEFINITION, &participant.url, PLACES)?;
    let stand = BenchEngine::start(store, bench, Arc::<LoadDriver>::clone(&driver)).await?;
    let before = (store.activity().await?, CpuTime::of_this_process()?, CpuTime::of(participant.id())?);
    let run = driver.run(&stand.engine, &stand.plan, sagas).await;
    let after = (store.activity().await?, CpuTime::of_this_process()?, CpuTime::of(participant.id())?);
    stand.stop().await;
    let calls = participant.calls().await?;
    participant.stop().await?;
    Ok(figures(in_flight, sagas, &run?, before, after, calls))
}

type ResourceReading = (DatabaseActivity, CpuTime, CpuTime);

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(
    in_flight: u32,
    sagas: u32,
    run: &driver::LoadResult,
    before: ResourceReading,
    after: ResourceReading,
    calls: BTreeMap<String, u64>,
) -> BenchRound {
    let each = f64::from(sagas);
    BenchRound {
        in_flight,
        sagas,
        completed: run.completed,
        sagas_per_second: each / run.elapsed.as_secs_f64(),
        p50_ms: run.percentile_ms(0.50),
        p99_ms: run.percentile_ms(0.99),
        commits_per_saga: (after.0.commits - before.0.commits) as f64 / each,
        rows_per_saga: run.rows as f64 / each,
        wal_bytes_per_saga: (after.0.wal_bytes - before.0.wal_bytes) as f64 / each,
        engine_cpu_seconds_per_1000: (after.1.seconds - before.1.seconds) / each * 1000.0,
        participant_cpu_seconds_per_1000: (after.2.seconds - before.2.seconds) / each * 1000.0,
        calls,
    }
}
