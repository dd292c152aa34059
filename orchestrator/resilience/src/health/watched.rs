//! One participant that is checked.

use super::question::{Question, Round};
use crate::{
    guard_events::{Changes, What},
    transport::http::Probed,
};
use saga_base::sync::{Mutex, MutexGuard};
use saga_guards::{
    Monotonic,
    health::{Checked, Config, Health, Outcome, Snapshot, State},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::AbortHandle, time::Instant};
use tracing::{info, warn};
use url::Url;

/// The first check is made within this span, at a moment by chance: instances that start together do not ask together.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Watched {
    participant: String,
    started: Instant,
    changes: Changes,
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
    pub(super) fn new(
        participant: &str,
        started: Instant,
        question: Question,
        config: Config,
        changes: Changes,
    ) -> Watched {
        let known = Known { question, config, whole: Health::new(config), endpoints: HashMap::new() };
        let (participant, known) = (participant.to_owned(), Mutex::new(known));
        Watched { participant, started, changes, known, task: Mutex::default() }
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

    /// Whether calls may go there.
    ///
    /// # Errors
    /// How long to wait until a check may have found it well.
    pub(crate) fn is_well(&self) -> Result<(), Duration> {
        let now = Monotonic::since_origin(self.started.elapsed());
        self.known().whole.refuses(now).map_or(Ok(()), Err)
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
        let endpoints = match round {
            Round::Endpoints(all) => known.take_endpoints(all, now),
            Round::Whole(_) => Vec::new(),
        };
        for found in &endpoints {
            question.set_health(&found.probed.url, found.now.is_healthy());
        }
        let before = Said::of(&known.whole);
        let checked = known.whole.checked(round.outcome(), now);
        let whole = Said::of(&known.whole);
        drop(known);
        self.count(round.outcome(), whole.is_healthy());
        self.report(checked);
        endpoints.iter().for_each(|found| self.tell(Some(&found.probed.url), found.before, found.now));
        self.tell(None, before, whole);
    }

    /// Whoever was never found unwell is believed to be well, so a first success is no news.
    fn tell(&self, endpoint: Option<&Url>, before: Said, now: Said) {
        if before != now {
            let endpoint = endpoint.map(Url::to_string);
            self.changes.publish(Some(&self.participant), What::HealthChanged { endpoint, healthy: now.is_healthy() });
        }
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
        self.known.lock()
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock()
    }
}

/// What checks say of somebody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Well,
    Unwell,
}

impl Said {
    fn of(health: &Health) -> Said {
        if health.is_healthy() { Said::Well } else { Said::Unwell }
    }

    fn is_healthy(self) -> bool {
        self == Said::Well
    }
}

/// What a round said of one endpoint.
struct Found<'r> {
    probed: &'r Probed,
    before: Said,
    now: Said,
}

impl Known {
    /// Counts the answers of endpoints, and says what their checks say by now.
    fn take_endpoints<'r>(&mut self, all: &'r [Probed], now: Monotonic) -> Vec<Found<'r>> {
        self.endpoints.retain(|url, _| all.iter().any(|probed| probed.url.as_str() == url));
        let mut found = Vec::with_capacity(all.len());
        for probed in all {
            let health = self.endpoints.entry(probed.url.to_string()).or_insert_with(|| Health::new(self.config));
            let before = Said::of(health);
            health.checked(probed.outcome, now);
            found.push(Found { probed, before, now: Said::of(health) });
        }
        found
    }
}
