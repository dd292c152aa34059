//! One participant that is checked.

use super::question::{Question, Round};
use crate::participants::http::Probed;
use saga_guards::{
    Monotonic,
    health::{Checked, Config, Health, Outcome, Snapshot, State},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, task::AbortHandle, time::Instant};
use tracing::{info, warn};

/// The first check is made within this span, at a moment by chance: instances that start together do not ask together.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Watched {
    participant: String,
    started: Instant,
    known: Mutex<Known>,
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Known {
    question: Question,
    config: Config,
    whole: Health,
    /// By base URL; those that are not listed any more are forgotten with the next round.
    endpoints: HashMap<String, Health>,
}

impl Watched {
    pub(super) fn new(participant: &str, started: Instant, question: Question, config: Config) -> Watched {
        let known = Known { question, config, whole: Health::new(config), endpoints: HashMap::new() };
        Watched { participant: participant.to_owned(), started, known: Mutex::new(known), task: Mutex::default() }
    }

    /// The next round asks so.
    pub(super) fn change(&self, question: Question, config: Config) {
        let mut known = self.known();
        known.whole.configure(config);
        known.endpoints.values_mut().for_each(|health| health.configure(config));
        (known.question, known.config) = (question, config);
    }

    /// Begins to ask; whoever asks already begins anew, because its rest was that of other settings.
    pub(super) fn run(self: &Arc<Self>, runtime: &Handle) {
        let task = runtime.spawn(Arc::clone(self).ask_for_ever()).abort_handle();
        if let Some(before) = self.task().replace(task) {
            before.abort();
        }
    }

    pub(super) fn stop(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    pub(super) fn refuses(&self, now: Monotonic) -> Option<Duration> {
        self.known().whole.refuses(now)
    }

    pub(super) fn snapshot(&self, now: Monotonic) -> Snapshot {
        self.known().whole.snapshot(now)
    }

    pub(super) fn endpoints(&self, now: Monotonic) -> Vec<(String, Snapshot)> {
        let known = self.known();
        let mut all: Vec<_> = known.endpoints.iter().map(|(url, it)| (url.clone(), it.snapshot(now))).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// One round after the other, so none overlaps another.
    async fn ask_for_ever(self: Arc<Self>) {
        let interval = self.known().config.interval;
        tokio::time::sleep(interval.min(FIRST_WITHIN).mul_f64(fastrand::f64())).await;
        loop {
            let (question, config) = self.asked();
            let round = question.ask(config.timeout).await;
            self.take(&question, &round);
            tokio::time::sleep(config.interval).await;
        }
    }

    fn asked(&self) -> (Question, Config) {
        let known = self.known();
        (known.question.clone(), known.config)
    }

    pub(super) fn take(&self, question: &Question, round: &Round) {
        let now = Monotonic::since_origin(self.started.elapsed());
        let mut known = self.known();
        if let Round::Endpoints(all) = round {
            for (probed, healthy) in known.take_endpoints(all, now) {
                question.set_health(&probed.url, healthy);
            }
        }
        let checked = known.whole.checked(round.outcome(), now);
        let healthy = known.whole.is_healthy();
        drop(known);
        self.count(round.outcome(), healthy);
        self.report(checked);
    }

    fn count(&self, outcome: Outcome, healthy: bool) {
        let participant = self.participant.clone();
        let outcome = match outcome {
            Outcome::Passed { .. } => "passed",
            Outcome::Failed => "failed",
        };
        metrics::counter!("saga_health_checks_total", "participant" => participant.clone(), "outcome" => outcome)
            .increment(1);
        metrics::gauge!("saga_participant_healthy", "participant" => participant).set(f64::from(u8::from(healthy)));
    }

    fn report(&self, checked: Checked) {
        let participant = self.participant.as_str();
        match checked {
            Checked::Kept | Checked::Became(State::Unknown) => {}
            Checked::Became(State::Healthy) => info!(participant, "health checks find the participant well"),
            Checked::Became(State::Unhealthy) => {
                warn!(participant, "health checks find the participant unwell; its commands wait");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Counts the answers of endpoints, and says what their checks say by now.
    fn take_endpoints<'r>(&mut self, all: &'r [Probed], now: Monotonic) -> Vec<(&'r Probed, bool)> {
        self.endpoints.retain(|url, _| all.iter().any(|probed| probed.url.as_str() == url));
        let mut healthy = Vec::with_capacity(all.len());
        for probed in all {
            let health = self.endpoints.entry(probed.url.to_string()).or_insert_with(|| Health::new(self.config));
            health.checked(probed.outcome, now);
            healthy.push((probed, health.is_healthy()));
        }
        healthy
    }
}
