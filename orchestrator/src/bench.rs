//! `saga bench`: four-step sagas against a no-op HTTP participant in a process of its own, with the store that is configured.
//!
//! Triggers enter in process. Everything else is as in `saga serve`: guards, group commit, fencing, read model.

pub mod participant;

mod cpu;
mod driver;

use crate::{
    engine::{Engine, Settings, catalog::Catalog, clock::Clock, observer::Observer, ownership::Ownership},
    guarded::Guarded,
    startup::{Files, load_files},
};
use anyhow::{Context, bail};
use cpu::CpuTime;
use driver::Driver;
use saga_core::{definition::Source, id::Shard};
use saga_event_store::{Access, Activity, EventStore};
use serde::Serialize;
use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The saga that is measured: four steps, each with an undo, no outcome event.
const DEFINITION: &str = include_str!("bench/bench.saga.yaml");

/// What one round measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// How many ran at once.
    pub in_flight: u32,
    /// How many were started.
    pub sagas: u32,
    /// How many completed.
    pub completed: u32,
    /// Over the whole round.
    pub sagas_per_second: f64,
    /// From the start being handed to the engine to the end being committed.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// Transactions of the database; of all its clients.
    pub commits_per_saga: f64,
    /// Rows of the journal.
    pub rows_per_saga: f64,
    /// Write-ahead log of the database; of all its clients.
    pub wal_bytes_per_saga: f64,
    /// User and system time of this process.
    pub engine_cpu_seconds_per_1000: f64,
    /// The same of the participant.
    pub participant_cpu_seconds_per_1000: f64,
    /// Calls that the participant counted, by step.
    pub calls: BTreeMap<String, u64>,
}

impl Round {
    /// Whether every saga completed with each of its four steps called once.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let each_once = participant::STEPS.iter().all(|step| self.calls.get(*step) == Some(&u64::from(self.sagas)));
        let nothing_else = self.calls.values().sum::<u64>() == 4 * u64::from(self.sagas);
        self.completed == self.sagas && each_once && nothing_else
    }
}

/// Runs one round for each number of `in_flight`.
///
/// # Errors
/// When the store or the participant cannot be used, or a round makes no progress.
pub async fn run(store: &str, shards: u16, sagas: u32, in_flight: &[u32]) -> anyhow::Result<Vec<Round>> {
    let store =
        saga_event_store::open(store, Access::Write { shards }).await.context("the event store (key `store`)")?;
    refuse_a_store_in_use(store.as_ref()).await?;
    let mut rounds = Vec::new();
    for count in in_flight {
        rounds.push(round(&store, sagas, *count).await.with_context(|| format!("the round with {count} in flight"))?);
    }
    Ok(rounds)
}

/// A benchmark claims all shards: on a store with other sagas it would fence their engine.
async fn refuse_a_store_in_use(store: &dyn EventStore) -> anyhow::Result<()> {
    let others: Vec<String> =
        store.counts().await?.into_iter().map(|(saga, ..)| saga).filter(|saga| saga != "bench").collect();
    if let Some(saga) = others.first() {
        bail!("the store holds sagas of `{saga}`: a benchmark needs a database of its own, name one with --store");
    }
    Ok(())
}

async fn round(store: &Arc<dyn EventStore>, sagas: u32, in_flight: u32) -> anyhow::Result<Round> {
    let mut participant = Participant::start().await?;
    let driver = Arc::new(Driver::new(in_flight));
    let (engine, mut ownership, plan) = start(store, &participant.url, Arc::clone(&driver)).await?;
    let before = (store.activity().await?, CpuTime::of_this_process()?, CpuTime::of(participant.id())?);
    let run = driver.run(&engine.parts, &plan, sagas).await;
    let after = (store.activity().await?, CpuTime::of_this_process()?, CpuTime::of(participant.id())?);
    ownership.release_all().await;
    engine.finish(Duration::from_secs(5)).await;
    let calls = participant.calls().await?;
    participant.stop().await?;
    Ok(figures(in_flight, sagas, &run?, before, after, calls))
}

type Reading = (Activity, CpuTime, CpuTime);

#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn figures(
    in_flight: u32,
    sagas: u32,
    run: &driver::Run,
    before: Reading,
    after: Reading,
    calls: BTreeMap<String, u64>,
) -> Round {
    let each = f64::from(sagas);
    Round {
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

async fn start(
    store: &Arc<dyn EventStore>,
    url: &str,
    driver: Arc<Driver>,
) -> anyhow::Result<(Engine, Ownership, Arc<saga_core::state::Plan>)> {
    let participants = format!("participants:\n  noop:\n    http: {{url: \"{url}\"}}\n    bulkhead: 4096\n");
    let files = Files {
        sagas: vec![Source::new("bench.saga.yaml", DEFINITION)],
        participants: Some(Source::new("participants.yaml", participants)),
        ..Files::default()
    };
    let loaded = load_files(&files, &|_| None)?;
    let plan = loaded.plans.first().cloned().context("the benchmark has a definition")?;
    let shards = store.identity().shards;
    let settings = Settings {
        store: Arc::clone(store),
        guarded: Arc::new(Guarded::from_participants(&loaded.participants)?),
        participants: Arc::new(loaded.participants.clone()),
        participants_file: None,
        catalog: Catalog::new(loaded.plans),
        shards,
        instance: format!("bench/{}", std::process::id()),
        kafka: None,
        clock: Clock::Wall,
        most_skew: std::time::Duration::from_secs(60),
        observer: Observer::new(driver),
    };
    let prepared = Engine::prepare(&settings).await?;
    let engine = Engine::start(settings, prepared);
    let mut ownership = Ownership::new(Arc::clone(&engine.parts));
    (0..shards).map(Shard).for_each(|shard| ownership.acquire(shard));
    Ok((engine, ownership, plan))
}

/// The no-op participant, a child process.
struct Participant {
    child: Child,
    url: String,
}

impl Participant {
    async fn start() -> anyhow::Result<Participant> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .arg("bench-participant")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the participant")?;
        let stdout = child.stdout.take().context("the participant has a standard output")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).await?;
        Ok(Participant { child, url: format!("http://{}", address.trim()) })
    }

    fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    async fn calls(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        crate::participants::install_tls();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client.get(format!("{}/calls", self.url)).send().await?.bytes().await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
