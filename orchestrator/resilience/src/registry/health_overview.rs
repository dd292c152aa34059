//! All participants at one moment: as snapshots for the API, and as events when their lifecycles change.

use super::{GuardRegistry, GuardedParticipant, ParticipantRoute};
use crate::transport::http::EndpointStateView;
use crate::{
    gate::{CallGate, GateView},
    guard_events::GuardEventKind,
    lifecycle::{
        self, ConfigPresence, HealthCheckProgress, LifecyclePhase, ObservedParticipant, ParticipantObservation,
        lifecycles,
    },
    snapshot::{EndpointSnapshot, ParticipantSnapshot},
};
use saga_core::definition::participants::{CriticalPath, DependencyNode};
use saga_guards::{breaker, health};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// Between two looks at what time alone changes. Nothing waits for it: a second late is early enough for people.
const LOOK: Duration = Duration::from_secs(1);

/// What is seen of one participant at one moment.
struct ParticipantHealth {
    name: String,
    listed: ConfigPresence,
    view: GateView,
    endpoints: Vec<EndpointStateView>,
    health: Option<health::HealthSnapshot>,
    depends_on: Arc<[String]>,
}

impl GuardRegistry {
    /// All participants at this moment, by name, without their single health checks. One that was removed is among them
    /// until its last call is back.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ParticipantSnapshot> {
        let looks = self.participant_health();
        let mut lives = lifecycles_of(&looks);
        looks.iter().map(|look| look.shown(lives.remove(&look.name))).collect()
    }

    /// The participant called `name` at this moment, with its last health checks and those of its endpoints.
    #[must_use]
    pub fn snapshot_of(&self, name: &str) -> Option<ParticipantSnapshot> {
        let looks = self.participant_health();
        let lifecycle = lifecycles_of(&looks).remove(name);
        let look = looks.iter().find(|look| look.name == name)?;
        let of_endpoints: HashMap<_, _> = self.checks.endpoint_health(name).into_iter().collect();
        let mut shown = look.shown(lifecycle);
        shown.health = look.health.as_ref().map(Into::into);
        for endpoint in &mut shown.endpoints {
            endpoint.health = of_endpoints.get(&endpoint.state.url).map(Into::into);
        }
        Some(shown)
    }

    /// The chain of participants that need each other whose attempts take longest; `None`: no participant needs
    /// another.
    #[must_use]
    pub fn critical_path(&self) -> Option<CriticalPath> {
        let participants = self.participants.load();
        let needs = participants
            .iter()
            .map(|(name, it)| (name.as_str(), DependencyNode { timeout: it.timeout, depends_on: &it.depends_on }));
        CriticalPath::of(&needs.collect())
    }

    /// Publishes what time alone changes, and each new phase of a lifecycle. Never ends.
    pub(super) async fn publish_lifecycle_changes(&self) {
        let mut known = lifecycles_of(&self.participant_health());
        loop {
            tokio::time::sleep(LOOK).await;
            self.publish_elapsed_changes();
            let lives = lifecycles_of(&self.participant_health());
            for (name, phase) in lives.iter().filter(|(name, phase)| known.get(*name) != Some(phase)) {
                self.changes.publish(Some(name), GuardEventKind::Lifecycle { phase: *phase });
            }
            known = lives;
        }
    }

    pub(super) fn publish_elapsed_changes(&self) {
        for participant in self.participants.load().values() {
            participant.gate.apply_elapsed_time();
            if let ParticipantRoute::Http { participant, .. } = &participant.route {
                participant.publish_returned_endpoints();
            }
        }
    }

    /// In the order of their names.
    fn participant_health(&self) -> Vec<ParticipantHealth> {
        let participants = self.participants.load();
        let mut looks: Vec<ParticipantHealth> = participants.iter().map(|(name, it)| self.look_at(name, it)).collect();
        let removed = self.retired_gates.lock();
        let stopping = removed.iter().filter(|gate| !participants.contains_key(gate.name()) && gate.is_in_use());
        looks.extend(stopping.map(ParticipantHealth::at_removed));
        drop(removed);
        looks.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        // One that was removed twice while its calls were out is one to people.
        looks.dedup_by(|one, other| one.name == other.name);
        looks
    }

    fn look_at(&self, name: &str, participant: &GuardedParticipant) -> ParticipantHealth {
        ParticipantHealth {
            name: name.to_owned(),
            listed: ConfigPresence::Yes,
            view: participant.gate.view(),
            endpoints: match &participant.route {
                ParticipantRoute::Http { participant, .. } => participant.endpoints(),
                ParticipantRoute::Kafka { .. } => Vec::new(),
            },
            health: self.checks.participant_health(name),
            depends_on: Arc::clone(&participant.depends_on),
        }
    }
}

impl ParticipantHealth {
    fn at_removed(gate: &Arc<CallGate>) -> ParticipantHealth {
        ParticipantHealth {
            name: gate.name().to_owned(),
            listed: ConfigPresence::Removed,
            view: gate.view(),
            endpoints: Vec::new(),
            health: None,
            depends_on: Arc::default(),
        }
    }

    fn observed(&self) -> ObservedParticipant<'_> {
        let seen = ParticipantObservation {
            listed: self.listed,
            gate: passage(&self.view.breaker),
            checks: self.health.as_ref().map(HealthCheckProgress::of),
            calls_begun: self.view.calls_begun,
            calls_out: self.view.permits,
            endpoints_ejected: self.endpoints.iter().filter(|it| it.ejected_for_ms.is_some() || !it.healthy).count(),
            share: self.view.share,
        };
        ObservedParticipant { name: &self.name, seen, depends_on: &self.depends_on }
    }

    fn shown(&self, lifecycle: Option<LifecyclePhase>) -> ParticipantSnapshot {
        let mut shown = ParticipantSnapshot::of(&self.name, &self.view);
        shown.lifecycle = lifecycle.unwrap_or(shown.lifecycle);
        shown.depends_on = self.depends_on.to_vec();
        shown.health = self.health.as_ref().map(crate::health::HealthView::without_history);
        shown.endpoints =
            self.endpoints.iter().map(|state| EndpointSnapshot { state: state.clone(), health: None }).collect();
        shown
    }
}

fn lifecycles_of(looks: &[ParticipantHealth]) -> BTreeMap<String, LifecyclePhase> {
    let observed: Vec<ObservedParticipant<'_>> = looks.iter().map(ParticipantHealth::observed).collect();
    lifecycles(&observed).into_iter().map(|(name, lifecycle)| (name.to_owned(), lifecycle)).collect()
}

/// A pause that the participant asked for, and a ramp, end by themselves and say that it answers.
fn passage(breaker: &breaker::BreakerSnapshot) -> lifecycle::BreakerTraffic {
    match breaker.state {
        breaker::BreakerState::Open | breaker::BreakerState::ForcedOpen => lifecycle::BreakerTraffic::Refusing,
        breaker::BreakerState::HalfOpen => lifecycle::BreakerTraffic::Trying,
        breaker::BreakerState::Closed if breaker.ramp.is_some() || breaker.asked_for.is_some() => {
            lifecycle::BreakerTraffic::Trying
        }
        breaker::BreakerState::Closed | breaker::BreakerState::ForcedClosed | breaker::BreakerState::MetricsOnly => {
            lifecycle::BreakerTraffic::Passing
        }
    }
}
