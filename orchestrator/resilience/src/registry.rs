//! All participants with their gates, by name. The engine asks here for a permit while it decides, enqueues what a
//! guard refused, and performs HTTP calls.
//!
//! A refusal is no attempt: the command waits in the gate's wait queue until it is notified. A call that does not wait
//! allocates nothing here, and each stage reads the clock once.

pub mod blocking_guard;
pub mod guarded_call;
pub mod health_overview;
mod publication_queues;
mod selection;
#[cfg(test)]
mod tests;
mod wait_scheduler;

use crate::{
    call_signal::CallSignal,
    gate::{CallGate, GuardRefusal, PermitRequest, SagaWaiter, WaitQueueHandle, WaitRequest},
    guard_events::GuardEventBus,
    health::{HealthMonitor, HealthProbe, MonitoredParticipant},
    outbound::OutboundAddresses,
    overrides,
    permit::CallPermit,
    settings::{GateSettings, ManualOverride, ParticipantSettings, ParticipantSettingsError, TransportSettings},
    topic_availability::TopicTracker,
    transport::{
        ParticipantCall,
        http::{self, EndpointUpdate, HttpParticipantClient, HttpSettings},
    },
};
use arc_swap::ArcSwap;
use publication_queues::PublicationQueues;
use saga_base::sync::UnpoisonedMutex;
use saga_core::{
    command::{CommandAnswer, GuardKind, GuardOwner},
    decide::CapabilityRequest,
    definition::participants::{self, ParticipantCatalog},
    react::WaitEffect,
    spans::CommandDestination,
};
use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;
use tracing::warn;

/// When a command to a participant that is configured for another transport is offered again.
const TRANSPORT_MISMATCH_RETRY: Duration = Duration::from_secs(5);

/// Names of unknown participants that are remembered so that each is logged once; further names are not remembered.
const MAX_UNKNOWN: usize = 1_000;

/// Looked up for every call; names are few, short and ours, so the hash is one that is fast for such.
type ParticipantsByName = HashMap<String, GuardedParticipant, foldhash::fast::FixedState>;

/// All participants and their guards.
#[derive(Debug)]
pub struct GuardRegistry {
    participants: ArcSwap<ParticipantsByName>,
    /// Where commands wait for participants that are not configured: they are notified at once, and find out.
    unconfigured: Arc<CallGate>,
    /// Gates of removed participants, while commands wait or calls are in flight.
    retired_gates: UnpoisonedMutex<Vec<Arc<CallGate>>>,
    unknown: UnpoisonedMutex<BTreeSet<String>>,
    /// Which topics take records.
    topics: Arc<TopicTracker>,
    /// Outcome events that wait to be published, by topic.
    publishing: PublicationQueues,
    checks: HealthMonitor,
    changes: GuardEventBus,
    wakeup: Arc<Notify>,
    /// Where connections may go.
    outbound: OutboundAddresses,
}

/// The answer of the guards to a call that is about to be decided on.
#[derive(Debug)]
pub enum GuardAdmission {
    /// The call may be made after the commit of the decision.
    Admitted(CallPermit),
    /// The call may not be made; its command waits.
    Refused {
        /// The guard that refuses.
        guard: GuardKind,
        /// When to ask again, from now.
        not_before: Duration,
    },
    /// No participant of that name is configured.
    NotConfigured,
}

#[derive(Clone, Debug)]
struct GuardedParticipant {
    gate: Arc<CallGate>,
    /// Its health checks, kept at hand: their book has one lock for all participants.
    watched: Option<Arc<MonitoredParticipant>>,
    capabilities: Arc<BTreeSet<String>>,
    timeout: Duration,
    depends_on: Arc<[String]>,
    route: ParticipantRoute,
}

/// How a participant is reached.
#[derive(Clone, Debug)]
enum ParticipantRoute {
    Http { participant: Arc<HttpParticipantClient>, settings: Arc<HttpSettings> },
    Kafka { commands: Arc<str> },
}

impl GuardRegistry {
    /// Guards for these participants, all healthy. Connects to none of them.
    ///
    /// # Errors
    /// When one cannot be called with its settings, or two have one name.
    pub fn new(settings: &[ParticipantSettings]) -> Result<GuardRegistry, ParticipantSettingsError> {
        GuardRegistry::within(settings, OutboundAddresses::default())
    }

    /// The same, connecting where `outbound` allows it.
    ///
    /// # Errors
    /// As [`GuardRegistry::new`].
    pub fn within(
        settings: &[ParticipantSettings],
        outbound: OutboundAddresses,
    ) -> Result<GuardRegistry, ParticipantSettingsError> {
        let (wakeup, changes) = (Arc::new(Notify::new()), GuardEventBus::default());
        let anybody = GateSettings::of_limit(NonZeroU32::MAX);
        let guarded = GuardRegistry {
            participants: ArcSwap::default(),
            unconfigured: Arc::new(CallGate::without_metrics(anybody, Arc::clone(&wakeup), changes.clone())),
            retired_gates: UnpoisonedMutex::default(),
            unknown: UnpoisonedMutex::default(),
            topics: Arc::new(TopicTracker::new(Arc::clone(&wakeup))),
            publishing: PublicationQueues::new(Arc::clone(&wakeup), changes.clone()),
            checks: HealthMonitor::new(changes.clone()),
            changes,
            wakeup,
            outbound,
        };
        guarded.configure(settings)?;
        Ok(guarded)
    }

    /// Guards for what participants.yaml says.
    ///
    /// # Errors
    /// As [`GuardRegistry::new`].
    pub fn from_participants(participants: &ParticipantCatalog) -> Result<GuardRegistry, ParticipantSettingsError> {
        GuardRegistry::new(&settings_of(participants))
    }

    /// Works by `settings` from now on, wholly or, on an error, not at all. Breakers keep their state, and queues their
    /// commands; calls in flight end as they began. A command that waits for a removed participant finds out at once.
    ///
    /// # Errors
    /// As [`GuardRegistry::new`].
    pub fn configure(&self, settings: &[ParticipantSettings]) -> Result<(), ParticipantSettingsError> {
        let before = self.participants.load_full();
        let mut next = ParticipantsByName::default();
        let (mut watched, mut relistings) = (Vec::new(), Vec::new());
        for each in settings {
            let (participant, relisting) = self.participant(each, before.get(&each.name))?;
            relistings.extend(relisting);
            watched.push((&each.name, self.question(&each.name, each.health.as_ref(), &participant.route)?));
            if next.insert(each.name.clone(), participant).is_some() {
                return Err(ParticipantSettingsError::Duplicate(each.name.clone()));
            }
        }
        // From here on nothing can fail.
        relistings.into_iter().for_each(EndpointUpdate::apply);
        for (name, question) in watched {
            let watched = self.checks.watch(name, question);
            next.entry(name.clone()).and_modify(|participant| participant.watched = watched);
        }
        self.checks.forget_all_but(&|name| next.contains_key(name));
        let next = Arc::new(next);
        self.participants.store(Arc::clone(&next));
        for each in settings {
            next.get(&each.name).into_iter().for_each(|participant| participant.gate.configure(each.gate));
        }
        self.retire_gates(before.iter().filter(|(name, _)| !next.contains_key(*name)).map(|(_, gone)| &gone.gate));
        Ok(())
    }

    fn participant(
        &self,
        settings: &ParticipantSettings,
        before: Option<&GuardedParticipant>,
    ) -> Result<(GuardedParticipant, Option<EndpointUpdate>), ParticipantSettingsError> {
        let gate = before.map(|known| Arc::clone(&known.gate));
        let gate = gate.unwrap_or_else(|| {
            Arc::new(CallGate::new(&settings.name, settings.gate, Arc::clone(&self.wakeup), self.changes.clone()))
        });
        let (route, relisting) = self.route(&settings.transport, before.map(|known| &known.route))?;
        let capabilities = Arc::new(settings.capabilities.clone());
        let depends_on = settings.depends_on.as_slice().into();
        let timeout = settings.timeout;
        Ok((GuardedParticipant { gate, watched: None, capabilities, timeout, depends_on, route }, relisting))
    }

    fn route(
        &self,
        transport: &TransportSettings,
        before: Option<&ParticipantRoute>,
    ) -> Result<(ParticipantRoute, Option<EndpointUpdate>), http::HttpSettingsError> {
        let http = match transport {
            TransportSettings::Kafka { commands } => {
                return Ok((ParticipantRoute::Kafka { commands: commands.as_str().into() }, None));
            }
            TransportSettings::Http(http) => http,
        };
        let (participant, relisting) = match before {
            // The same connections go on.
            Some(same @ ParticipantRoute::Http { settings, .. }) if **settings == *http => {
                return Ok((same.clone(), None));
            }
            Some(ParticipantRoute::Http { participant, .. }) => {
                let (next, relisting) = participant.reconfigured(http, &self.outbound, self.changes.clone())?;
                (next, Some(relisting))
            }
            Some(ParticipantRoute::Kafka { .. }) | None => {
                (HttpParticipantClient::with_events(http, &self.outbound, self.changes.clone())?, None)
            }
        };
        Ok((ParticipantRoute::Http { participant: Arc::new(participant), settings: Arc::new(http.clone()) }, relisting))
    }

    /// What a participant is asked by its health check, and how often.
    fn question(
        &self,
        name: &str,
        asked: Option<&participants::HealthCheckConfig>,
        route: &ParticipantRoute,
    ) -> Result<Option<(HealthProbe, saga_guards::health::HealthTrackerConfig)>, ParticipantSettingsError> {
        let Some(asked) = asked else { return Ok(None) };
        let prober = match route {
            ParticipantRoute::Http { participant, .. } => Some(participant.prober()),
            ParticipantRoute::Kafka { .. } => None,
        };
        let question = HealthProbe::of(&asked.check, prober, self.outbound.of_participant(name))
            .map_err(|source| http::HttpSettingsError::Client { participant: name.to_owned(), source })?;
        Ok(question.map(|question| (question, asked.config)))
    }

    fn retire_gates<'a>(&self, gates: impl Iterator<Item = &'a Arc<CallGate>>) {
        let mut removed = self.retired_gates.lock();
        removed.retain(CallGate::is_referenced);
        for gate in gates {
            gate.configure(GateSettings::of_limit(NonZeroU32::MAX));
            gate.release_waiters();
            gate.apply(ManualOverride {
                mode: saga_guards::breaker::BreakerMode::ForcedClosed,
                ..ManualOverride::default()
            });
            removed.push(Arc::clone(gate));
        }
    }

    /// What participants say of themselves when they are asked.
    #[must_use]
    pub fn health_checks(&self) -> &HealthMonitor {
        &self.checks
    }

    /// The topic of a participant's commands; `None`: it has none.
    pub fn commands_of(&self, participant: &str) -> Option<Arc<str>> {
        match &self.participants.load().get(participant)?.route {
            ParticipantRoute::Http { .. } => None,
            ParticipantRoute::Kafka { commands } => Some(Arc::clone(commands)),
        }
    }

    /// Whether a call to `participant` may leave.
    pub fn admit(&self, participant: &str, asking: PermitRequest) -> GuardAdmission {
        let participants = self.participants.load();
        let Some(found) = participants.get(participant) else {
            self.warn_once(participant);
            return GuardAdmission::NotConfigured;
        };
        let admitted = CallPermit::request(&found.gate, asking, found.check_health());
        // The topic is asked last: a caller that may send the one record that finds out has to send it.
        let admitted = admitted.and_then(|permit| self.check_topic(&found.route).map(|()| permit));
        match admitted {
            Ok(permit) => GuardAdmission::Admitted(permit),
            Err(GuardRefusal { guard, not_before }) => GuardAdmission::Refused { guard, not_before },
        }
    }

    /// Which topics take records. Each writer of a topic reports what became of its records.
    #[must_use]
    pub fn topics(&self) -> &Arc<TopicTracker> {
        &self.topics
    }

    fn check_topic(&self, route: &ParticipantRoute) -> Result<(), GuardRefusal> {
        match route {
            ParticipantRoute::Http { .. } => Ok(()),
            ParticipantRoute::Kafka { commands } => {
                self.topics.try_acquire(commands).map_err(publication_queues::refused)
            }
        }
    }

    /// Enqueues a command at `participant` until it is notified.
    pub(crate) fn enqueue(&self, participant: &str, since: WaitRequest, waiter: SagaWaiter) -> WaitQueueHandle {
        let participants = self.participants.load();
        participants.get(participant).map_or(&self.unconfigured, |found| &found.gate).enqueue(since, waiter)
    }

    /// Enqueues the command at all participants that may take it: the first with capacity notifies it.
    pub fn enqueue_all(&self, wait: &WaitEffect, since: WaitRequest, waiter: &SagaWaiter) -> Vec<WaitQueueHandle> {
        let participant = match &wait.whose {
            GuardOwner::Participant(participant) => participant,
            GuardOwner::Topic(topic) => return vec![self.enqueue_publication(topic, since, waiter.clone())],
        };
        let own = self.enqueue(participant, since, waiter.clone());
        let Some(anyone) = &wait.anyone else { return vec![own] };
        let choosing = CapabilityRequest { capability: &anyone.capability, over: anyone.over };
        let participants = self.participants.load();
        let others = participants.iter().filter(|(name, it)| *name != participant && it.can(choosing));
        [own].into_iter().chain(others.map(|(_, other)| other.gate.enqueue(since, waiter.clone()))).collect()
    }

    /// A command that had been given up succeeded after all.
    pub fn late_success(&self, participant: &str) {
        self.participants.load().get(participant).into_iter().for_each(|found| found.gate.late_success());
    }

    /// Performs `call` over HTTP when the rate limit and the bulkhead let it, and tells the guards how it went.
    /// Dropping the future gives everything back.
    pub async fn call(&self, mut permit: CallPermit, call: ParticipantCall) -> CommandAnswer {
        let Some(participant) = call.request.participant().and_then(|name| self.http(name)) else {
            return refused(GuardRefusal { guard: GuardKind::Transport, not_before: TRANSPORT_MISMATCH_RETRY });
        };
        if let Err(by) = permit.acquire().await {
            return refused(by);
        }
        let answer = participant.call(&call).await;
        permit.record_failure(call.saga, &answer);
        permit.settle(CallSignal::from_answer(&answer));
        answer
    }

    fn http(&self, name: &str) -> Option<Arc<HttpParticipantClient>> {
        match &self.participants.load().get(name)?.route {
            ParticipantRoute::Http { participant, .. } => Some(Arc::clone(participant)),
            ParticipantRoute::Kafka { .. } => None,
        }
    }

    /// The topic that takes `participant`'s commands; `None` if it is not configured or called over HTTP.
    #[must_use]
    pub fn kafka_topic(&self, participant: &str) -> Option<Arc<str>> {
        match &self.participants.load().get(participant)?.route {
            ParticipantRoute::Kafka { commands } => Some(Arc::clone(commands)),
            ParticipantRoute::Http { .. } => None,
        }
    }

    /// Where `participant`'s commands go; `None` if it is not configured, or has several servers.
    #[must_use]
    pub fn destination(&self, participant: &str) -> Option<CommandDestination> {
        match &self.participants.load().get(participant)?.route {
            ParticipantRoute::Kafka { commands } => Some(CommandDestination::Topic(Arc::clone(commands))),
            ParticipantRoute::Http { settings, .. } => {
                let [endpoint] = settings.endpoints.as_slice() else { return None };
                let url = url::Url::parse(&endpoint.url).ok()?;
                let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
                Some(CommandDestination::Server { host, port })
            }
        }
    }

    /// Puts what people decided about `participant` into effect, over what participants.yaml says; the same again
    /// changes nothing. Of a participant that is not configured nothing is changed.
    pub fn apply(&self, participant: &str, given: &overrides::OverrideState) {
        self.apply_override(participant, ManualOverride::from(given));
    }

    fn apply_override(&self, participant: &str, steering: ManualOverride) {
        if let Some(found) = self.participants.load().get(participant) {
            found.gate.apply(steering);
        }
    }

    /// Where changes of guards are published.
    #[must_use]
    pub fn changes(&self) -> &GuardEventBus {
        &self.changes
    }

    /// The names of all participants that are configured, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.participants.load().keys().cloned().collect();
        names.sort_unstable();
        names
    }

    fn warn_once(&self, participant: &str) {
        let mut unknown = self.unknown.lock();
        if unknown.len() < MAX_UNKNOWN && !unknown.contains(participant) {
            unknown.insert(participant.to_owned());
            warn!(
                participant,
                "a participant is not configured here: sagas that need it wait while another engine has it, \
                 else they park"
            );
        }
    }
}

impl GuardedParticipant {
    /// Whether health checks find it healthy; without checks it is.
    fn check_health(&self) -> Result<(), Duration> {
        self.watched.as_ref().map_or(Ok(()), |watched| watched.check_health())
    }
}

/// The settings of all participants of a file.
#[must_use]
pub fn settings_of(participants: &ParticipantCatalog) -> Vec<ParticipantSettings> {
    participants.iter().map(|(name, it)| ParticipantSettings::of(name, it)).collect()
}

fn refused(by: GuardRefusal) -> CommandAnswer {
    CommandAnswer::NotSent { guard: by.guard, retry_after: by.not_before }
}
