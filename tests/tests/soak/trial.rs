//! Engines, load, faults.

use super::{
    faults::Fault,
    figures::{Figures, Recovery},
};
use anyhow::{Context, Result, bail};
use saga_tests::{
    engine::{Engine, EngineInstallation},
    network_path::NetworkPath,
    oracle::count_by_status,
    pace::EndPace,
    traffic, unique,
    world::TestWorld,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// Orders a second: sagas are under way at every moment, and two cores have time for faults.
pub(crate) const RATE: u32 = 20;
/// How long it is calm before the next one, once all that it held up has ended.
const CALM: Duration = Duration::from_secs(1);
/// From the end of a fault until a saga ends again, and from then until all have ended that had been placed. A broker
/// that was killed recovers its log first.
const BACK: Duration = Duration::from_secs(90);
/// Looks at how many have ended, in a second: enough for the figures, and little beside the load.
const LOOKS: u32 = 5;

pub(crate) struct Trial {
    pub(crate) world: Arc<TestWorld>,
    pub(crate) path: NetworkPath,
    pub(crate) engines: Vec<Engine>,
    /// The topic of outcome events.
    pub(crate) outcomes: String,
    /// What was rolled out after the first version. Engines run on their folders.
    pub(crate) versions: Vec<EngineInstallation>,
    /// Sagas beside those of orders.
    pub(crate) others: usize,
    /// Keys of the sagas on which operators acted.
    pub(crate) acted: BTreeSet<String>,
    /// Ends that were told, by the id of their events.
    pub(crate) told: BTreeMap<String, String>,
    /// How long a fault lasts.
    pub(crate) broken: Duration,
    pub(crate) figures: Figures,
    placed: Arc<AtomicUsize>,
    begun: Instant,
}

/// Orders that are being placed.
struct Load {
    stop: Arc<AtomicBool>,
    placing: JoinHandle<()>,
}

impl Trial {
    /// Two engines that are ready; `None`: a server is missing, or cannot be stopped, which has been reported.
    pub(crate) async fn begin(broken: Duration) -> Result<Option<Trial>> {
        let Some(mut world) = TestWorld::new(traffic::inventory(), traffic::payments()).await? else { return Ok(None) };
        if !world.kafka.can_be_stopped() || !world.postgres.can_be_stopped() {
            saga_tests::servers::report_not_run("the servers cannot be stopped: no control programs are set");
            return Ok(None);
        }
        let url = world.database.url().to_owned();
        let (server, through) = detour(&url)?;
        let path = NetworkPath::to(&server).await?;
        world.installation = world.installation.set("store", json!(through(&path)));
        traffic::participants(&world)?;
        let outcomes = unique("outcomes");
        world.kafka.create_topic(&outcomes, 1, &[]).await?;
        world.define("order", &definition(&outcomes))?;
        let engines = vec![world.start().await?, world.start().await?];
        Ok(Some(Trial {
            world: Arc::new(world),
            path,
            engines,
            outcomes,
            versions: Vec::new(),
            others: 0,
            acted: BTreeSet::new(),
            told: BTreeMap::new(),
            broken,
            figures: Figures::default(),
            placed: Arc::default(),
            begun: Instant::now(),
        }))
    }

    /// What engines run that are started now.
    pub(crate) fn version(&self) -> &EngineInstallation {
        self.versions.last().unwrap_or(&self.world.installation)
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

    /// Whether faults are so short that nobody may notice.
    pub(crate) fn is_brief(&self) -> bool {
        self.broken < Duration::from_secs(10)
    }

    /// Places orders until it is told to stop. An order that the broker does not acknowledge is placed again: it is the
    /// same order.
    fn load(&self) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, world, placed) = (Arc::clone(&stop), Arc::clone(&self.world), Arc::clone(&self.placed));
        let placing = tokio::spawn(async move {
            let mut pace = EndPace::new(RATE, Duration::MAX / 4);
            while pace.turn().await.is_some() && !stopped.load(Ordering::Relaxed) {
                let number = placed.load(Ordering::Relaxed);
                while traffic::place(&world, number, number + 1).await.is_err() {}
                placed.store(number + 1, Ordering::Relaxed);
            }
        });
        Load { stop, placing }
    }

    async fn suffer(&mut self, fault: Fault) -> Result<()> {
        self.one_ends("before").await?;
        self.strike(fault).await?;
        let whole_again = Instant::now();
        let placed = self.placed.load(Ordering::Relaxed);
        self.one_ends("again").await?;
        let again = whole_again.elapsed();
        let ended = || async { Ok(traffic::ended_orders(&self.world, placed).await? == placed) };
        self.comes_true("all end that were placed", ended).await?;
        let recovery = Recovery { again, all: whole_again.elapsed() };
        self.figures.recoveries.entry(fault).or_default().push(recovery);
        lasting(CALM).await;
        Ok(())
    }

    /// Returns when more sagas have ended than when it was called.
    async fn one_ends(&self, when: &str) -> Result<()> {
        let before = self.ended().await?;
        let ended = || async { Ok(self.ended().await? > before) };
        self.comes_true(&format!("a saga ends {when}"), ended).await
    }

    async fn ended(&self) -> Result<usize> {
        Ok(traffic::ended(&count_by_status(&self.world).await?))
    }

    /// Looks in the database; one that does not answer is looked at again.
    async fn comes_true<F: Future<Output = Result<bool>>>(
        &self,
        what: &str,
        mut look: impl FnMut() -> F,
    ) -> Result<()> {
        let (mut pace, mut last) = (EndPace::new(LOOKS, BACK), None);
        while pace.turn().await.is_some() {
            match look().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
        }
        bail!("not within {BACK:?}: {what}; the last error of a look: {last:?}\n{}", self.logs())
    }

    fn logs(&self) -> String {
        let logs: Vec<String> = self.engines.iter().map(Engine::log_tail).collect();
        logs.join("\n--- the other engine\n")
    }
}

/// The length of a fault is part of what is tried, and full of work for everybody else.
pub(crate) async fn lasting(length: Duration) {
    let mut pace = EndPace::new(1, length + Duration::from_secs(1));
    while pace.turn().await.is_some() {}
}

/// Three attempts, one of which flaky orders need: what is tried is that an outage of the engines' surroundings costs
/// none. Ends are told.
fn definition(outcomes: &str) -> String {
    let many = "retry: {attempts: 100,";
    assert!(traffic::DEFINITION.contains(many), "the traffic's retry is written otherwise");
    let few = traffic::DEFINITION.replace(many, "retry: {attempts: 3,");
    let told = ["onCompleted", "onCompensated"].map(|end| format!("{end}: {{publish: {outcomes}, type: {end}}}\n"));
    format!("{few}{}", told.concat())
}

/// Where `url` leads to, and how it is written when it leads through a path.
fn detour(url: &str) -> Result<(String, impl Fn(&NetworkPath) -> String)> {
    let (before, rest) = url.split_once('@').context("the database has a role")?;
    let (server, after) = rest.split_once('/').context("the database has a name")?;
    let (before, after) = (before.to_owned(), after.to_owned());
    Ok((server.to_owned(), move |path: &NetworkPath| format!("{before}@{}/{after}", path.address())))
}
