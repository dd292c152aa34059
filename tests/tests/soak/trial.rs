//! Engines, load, faults.

use super::{faults::Fault, figures::Figures};
use anyhow::{Context, Result, ensure};
use saga_tests::{
    control::Action,
    engine::Engine,
    eventually::eventually,
    network_path::{NetworkPath, Passage},
    oracle::count_by_status,
    pace::Pace,
    traffic::{self, ends_well_in_the_store},
    world::World,
};
use serde_json::json;
use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// Orders a second: sagas are under way at every moment, and two cores have time for faults.
const RATE: u32 = 20;
/// How long it is calm before the next one.
const CALM: Duration = Duration::from_secs(3);
/// From the end of a fault until a saga ends again. A broker that was killed recovers its log first.
const BACK: Duration = Duration::from_secs(90);

pub(crate) struct Trial {
    world: Arc<World>,
    path: NetworkPath,
    engines: Vec<Engine>,
    /// How long a fault lasts.
    broken: Duration,
    placed: Arc<AtomicUsize>,
    begun: Instant,
    figures: Figures,
}

/// Orders that are being placed.
struct Load {
    stop: Arc<AtomicBool>,
    placing: JoinHandle<()>,
}

impl Trial {
    /// Two engines that are ready; `None`: a server is missing, or cannot be stopped, which has been reported.
    pub(crate) async fn begin(broken: Duration) -> Result<Option<Trial>> {
        let Some(mut world) = World::new(traffic::inventory(), traffic::payments()).await? else { return Ok(None) };
        if !world.kafka.can_be_stopped() || !world.postgres.can_be_stopped() {
            saga_tests::servers::report_not_run("the servers cannot be stopped: no control programs are set");
            return Ok(None);
        }
        let url = world.database.url().to_owned();
        let (server, through) = detour(&url)?;
        let path = NetworkPath::to(&server).await?;
        world.installation = world.installation.set("store", json!(through(&path)));
        world.participants(&json!({"timeout": "3s"}), &json!({"timeout": "3s"}))?;
        world.define("order", &few_attempts())?;
        let engines = vec![world.start().await?, world.start().await?];
        let placed = Arc::default();
        let trial = Trial {
            world: Arc::new(world),
            path,
            engines,
            broken,
            placed,
            begun: Instant::now(),
            figures: Figures::default(),
        };
        Ok(Some(trial))
    }

    /// These faults one after the other, under load; then everything is awaited and judged.
    pub(crate) async fn chapter(&mut self, faults: &[Fault]) -> Result<()> {
        let load = self.load();
        let mut result = Ok(());
        for fault in faults {
            result = self.suffer(*fault).await.with_context(|| format!("after: {}", fault.name()));
            if result.is_err() {
                break;
            }
        }
        load.stop.store(true, Ordering::Relaxed);
        load.placing.await?;
        self.figures.placed = self.placed.load(Ordering::Relaxed);
        result?;
        self.judge().await
    }

    /// Prints the figures, on a stream that is shown while a test passes as well.
    pub(crate) fn report(&mut self, title: &str) {
        self.figures.length = self.begun.elapsed();
        let ledgers = self.world.ledgers();
        self.figures.calls = ledgers.iter().map(|ledger| ledger.calls().len()).sum();
        self.figures.effects = ledgers.iter().map(|ledger| ledger.effects().len()).sum();
        drop(writeln!(std::io::stderr(), "{title}{}", self.figures));
    }

    async fn judge(&mut self) -> Result<()> {
        let last_fault = Instant::now();
        ends_well_in_the_store(&self.world, &self.engines[0], self.figures.placed).await?;
        self.figures.settled = self.figures.settled.max(last_fault.elapsed());
        self.figures.by_status = count_by_status(&self.world).await?;
        self.figures.judged += 1;
        self.figures.dead_letters = self.world.kafka.count(self.world.installation.dlq()).await?;
        ensure!(self.figures.dead_letters == 0, "nothing here is poison");
        Ok(())
    }

    /// Places orders until it is told to stop. An order that the broker does not acknowledge is placed again: it is the same order.
    fn load(&self) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, world, placed) = (Arc::clone(&stop), Arc::clone(&self.world), Arc::clone(&self.placed));
        let placing = tokio::spawn(async move {
            let mut pace = Pace::new(RATE, Duration::MAX / 4);
            while pace.turn().await.is_some() && !stopped.load(Ordering::Relaxed) {
                let number = placed.load(Ordering::Relaxed);
                while traffic::place(&world, number, number + 1).await.is_err() {}
                placed.store(number + 1, Ordering::Relaxed);
            }
        });
        Load { stop, placing }
    }

    async fn suffer(&mut self, fault: Fault) -> Result<()> {
        self.sagas_end("before").await?;
        self.strike(fault).await?;
        let whole_again = Instant::now();
        self.sagas_end("again").await?;
        self.figures.back.entry(fault).or_default().push(whole_again.elapsed());
        lasting(CALM).await;
        Ok(())
    }

    /// Returns when more sagas have ended than when it was called.
    async fn sagas_end(&self, when: &str) -> Result<()> {
        let before = self.ended().await?;
        let look = || async { Ok((self.ended().await? > before).then_some(())) };
        eventually(&format!("sagas end {when}"), BACK, look).await.with_context(|| self.logs())
    }

    async fn ended(&self) -> Result<usize> {
        let counts = count_by_status(&self.world).await?;
        Ok(["completed", "compensated"].iter().filter_map(|status| counts.get(*status)).sum())
    }

    fn logs(&self) -> String {
        let logs: Vec<String> = self.engines.iter().map(Engine::log_tail).collect();
        logs.join("\n--- the other engine\n")
    }

    /// Breaks it, waits, and makes it whole.
    async fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillEngine => {
                self.engines.remove(0).kill().await?;
                self.engines.push(Engine::spawn(&self.world.installation)?);
            }
            Fault::KillAllEngines => {
                for engine in std::mem::take(&mut self.engines) {
                    engine.kill().await?;
                }
                lasting(self.broken).await;
                for _ in 0..2 {
                    self.engines.push(Engine::spawn(&self.world.installation)?);
                }
            }
            Fault::PauseEngine => {
                self.engines[0].pause().await?;
                lasting(self.broken).await;
                self.engines[0].unpause().await?;
            }
            Fault::CutDatabase => self.break_path(Passage::Closed).await,
            Fault::SilentDatabase => self.break_path(Passage::Silent).await,
            Fault::ForgetConnections => self.path.forget(),
            Fault::SilentAnswers => self.break_path(Passage::SilentBack).await,
            Fault::KillDatabase => {
                self.world.postgres.perform(Action::Kill).await?;
                lasting(self.broken).await;
                self.world.postgres.perform(Action::Start).await?;
            }
            Fault::PauseDatabase => {
                self.world.postgres.perform(Action::Pause).await?;
                lasting(self.broken).await;
                self.world.postgres.perform(Action::Unpause).await?;
            }
            Fault::KillBroker => {
                self.world.kafka.perform(Action::Kill).await?;
                self.world.kafka.perform(Action::Start).await?;
            }
            Fault::PauseBroker => {
                self.world.kafka.perform(Action::Pause).await?;
                lasting(self.broken).await;
                self.world.kafka.perform(Action::Unpause).await?;
            }
        }
        Ok(())
    }

    async fn break_path(&self, passage: Passage) {
        self.path.set(passage);
        lasting(self.broken).await;
        self.path.set(Passage::Open);
    }
}

/// The length of a fault is part of what is tried, and full of work for everybody else.
async fn lasting(length: Duration) {
    let mut pace = Pace::new(1, length + Duration::from_secs(1));
    while pace.turn().await.is_some() {}
}

/// Three attempts, one of which flaky orders need: what is tried is that an outage of the engines' surroundings costs none.
fn few_attempts() -> String {
    let many = "retry: {attempts: 100,";
    assert!(traffic::DEFINITION.contains(many), "the traffic's retry is written otherwise");
    traffic::DEFINITION.replace(many, "retry: {attempts: 3,")
}

/// Where `url` leads to, and how it is written when it leads through a path.
fn detour(url: &str) -> Result<(String, impl Fn(&NetworkPath) -> String)> {
    let (before, rest) = url.split_once('@').context("the database has a role")?;
    let (server, after) = rest.split_once('/').context("the database has a name")?;
    let (before, after) = (before.to_owned(), after.to_owned());
    Ok((server.to_owned(), move |path: &NetworkPath| format!("{before}@{}/{after}", path.address())))
}
