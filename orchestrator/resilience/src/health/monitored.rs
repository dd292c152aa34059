//! One participant that is checked.

use super::probe::{HealthCheckRound, HealthProbe};
use crate::{
    guard_events::{GuardEventBus, GuardEventKind},
    transport::http::EndpointProbeResult,
};
use saga_base::sync::{MutexGuard, UnpoisonedMutex};
use saga_guards::{
    MonotonicTime,
    health::{HealthCheckOutcome, HealthSnapshot, HealthState, HealthTracker, HealthTrackerConfig, HealthTransition},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::AbortHandle, time::Instant};
use tracing::{info, warn};
use url::Url;

/// The first check is made within this span, at a moment by chance: instances that start together do not ask together.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct MonitoredParticipant {
    participant: String,
    started: Instant,
    changes: GuardEventBus,
    known: UnpoisonedMutex<MonitoredHealth>,
    task: UnpoisonedMutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct MonitoredHealth {
    question: HealthProbe,
    config: HealthTrackerConfig,
    whole: HealthTracker,
    /// By base URL; those that are not listed any more are forgotten with the next round.
    endpoints: HashMap<String, HealthTracker>,
}

impl MonitoredParticipant {
    pub(super) fn new(
        participant: &str,
        started: Instant,
        question: HealthProbe,
        config: HealthTrackerConfig,
        changes: GuardEventBus,
    ) -> MonitoredParticipant {
        let known = MonitoredHealth { question, config, whole: HealthTracker::new(config), endpoints: HashMap::new() };
        let (participant, known) = (participant.to_owned(), UnpoisonedMutex::new(known));
        MonitoredParticipant { participant, started, changes, known, task: UnpoisonedMutex::default() }
    }

    /// The next round asks so.
    pub(super) fn change(&self, question: HealthProbe, config: HealthTrackerConfig) {
        let mut known = self.known();
        known.whole.configure(config);
        known.endpoints.values_mut().for_each(|health| health.configure(config));
        (known.question, known.config) = (question, config);
    }

    /// Begins the checks. Checks that run already begin again, because their interval was that of other settings.
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
    pub(crate) fn check_health(&self) -> Result<(), Duration> {
        let now = MonotonicTime::since_origin(self.started.elapsed());
        self.known().whole.refuses(now).map_or(Ok(()), Err)
    }

    pub(super) fn snapshot(&self, now: MonotonicTime) -> HealthSnapshot {
        self.known().whole.snapshot(now)
    }

    pub(super) fn endpoints(&self, now: MonotonicTime) -> Vec<(String, HealthSnapshot)> {
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

    fn asked(&self) -> (HealthProbe, HealthTrackerConfig) {
        let known = self.known();
        (known.question.clone(), known.config)
    }

    pub(super) fn take(&self, question: &HealthProbe, round: &HealthCheckRound) {
        let now = MonotonicTime::since_origin(self.started.elapsed());
        let mut known = self.known();
        let endpoints = match round {
            HealthCheckRound::Endpoints(all) => known.take_endpoints(all, now),
            HealthCheckRound::Whole(_) => Vec::new(),
        };
        for found in &endpoints {
            question.set_health(&found.probed.url, found.now.is_healthy());
        }
        let before = HealthVerdict::of(&known.whole);
        let checked = known.whole.checked(round.outcome(), now);
        let whole = HealthVerdict::of(&known.whole);
        drop(known);
        self.count(round.outcome(), whole.is_healthy());
        self.report(checked);
        endpoints.iter().for_each(|found| self.tell(Some(&found.probed.url), found.before, found.now));
        self.tell(None, before, whole);
    }

    /// A participant that was never found unhealthy is taken for healthy, so a first success is no news.
    fn tell(&self, endpoint: Option<&Url>, before: HealthVerdict, now: HealthVerdict) {
        if before != now {
            let endpoint = endpoint.map(Url::to_string);
            self.changes.publish(
                Some(&self.participant),
                GuardEventKind::HealthChanged { endpoint, healthy: now.is_healthy() },
            );
        }
    }

    fn count(&self, outcome: HealthCheckOutcome, healthy: bool) {
        let participant = self.participant.clone();
        let outcome = match outcome {
            HealthCheckOutcome::Passed { .. } => "passed",
            HealthCheckOutcome::Failed => "failed",
        };
        metrics::counter!("saga_health_checks_total", "participant" => participant.clone(), "outcome" => outcome)
            .increment(1);
        metrics::gauge!("saga_participant_healthy", "participant" => participant).set(f64::from(u8::from(healthy)));
    }

    fn report(&self, checked: HealthTransition) {
        let participant = self.participant.as_str();
        match checked {
            HealthTransition::Kept | HealthTransition::Became(HealthState::Unknown) => {}
            HealthTransition::Became(HealthState::Healthy) => {
                info!(participant, "health checks find the participant healthy");
            }
            HealthTransition::Became(HealthState::Unhealthy) => {
                warn!(participant, "health checks find the participant unhealthy; its commands wait");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, MonitoredHealth> {
        self.known.lock()
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock()
    }
}

/// What checks say of a participant or an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HealthVerdict {
    Well,
    Unwell,
}

impl HealthVerdict {
    fn of(health: &HealthTracker) -> HealthVerdict {
        if health.is_healthy() { HealthVerdict::Well } else { HealthVerdict::Unwell }
    }

    fn is_healthy(self) -> bool {
        self == HealthVerdict::Well
    }
}

/// What a round said of one endpoint.
struct EndpointHealthChange<'r> {
    probed: &'r EndpointProbeResult,
    before: HealthVerdict,
    now: HealthVerdict,
}

impl MonitoredHealth {
    /// Counts the answers of endpoints, and says what their checks say by now.
    fn take_endpoints<'r>(
        &mut self,
        all: &'r [EndpointProbeResult],
        now: MonotonicTime,
    ) -> Vec<EndpointHealthChange<'r>> {
        self.endpoints.retain(|url, _| all.iter().any(|probed| probed.url.as_str() == url));
        let mut found = Vec::with_capacity(all.len());
        for probed in all {
            let health =
                self.endpoints.entry(probed.url.to_string()).or_insert_with(|| HealthTracker::new(self.config));
            let before = HealthVerdict::of(health);
            health.checked(probed.outcome, now);
            found.push(EndpointHealthChange { probed, before, now: HealthVerdict::of(health) });
        }
        found
    }
}
