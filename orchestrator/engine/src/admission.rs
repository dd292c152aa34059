//! What a decision asks while it is made: the guards, earlier answers, what a topic takes.

use super::{
    KafkaOutput, answer_cache::AnswerCache, definition_generations::GenerationTracker, permit_table::PermitDraft,
};
use saga_core::{
    answerable::AnswerWatermark,
    command::{CommandRef, CommandRequest, GuardKind, GuardOwner},
    decide::{AdmissionRequest, AdmissionVerdict, CapabilityRequest, DecisionContext, JitterSource, PreviousAnswer},
    event::SagaDecision,
    input::SagaInput,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_resilience::{
    gate::{self, AttemptKind, CallArrival},
    registry::{self, GuardRegistry},
};
use std::{sync::Arc, time::Duration};

/// When to offer a command again that the transport cannot take now.
pub(crate) const TRANSPORT_RETRY: Duration = Duration::from_secs(5);
/// What a command has beside its body: key, headers, and what a batch adds.
const BESIDE_BODY: usize = 1024;

/// Where decisions get what they ask. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct DecisionSources {
    guards: Arc<GuardRegistry>,
    answers: Arc<AnswerCache>,
    generations: Arc<GenerationTracker>,
    kafka: Option<KafkaOutput>,
}

impl DecisionSources {
    pub(crate) fn new(
        guards: Arc<GuardRegistry>,
        generations: Arc<GenerationTracker>,
        kafka: Option<KafkaOutput>,
    ) -> DecisionSources {
        DecisionSources { guards, answers: Arc::default(), generations, kafka }
    }

    pub(crate) fn guards(&self) -> &GuardRegistry {
        &self.guards
    }

    /// Whether another engine, which has newer files, can call `participant`.
    pub(crate) fn is_elsewhere(&self, participant: &str) -> bool {
        self.generations.has_participant(participant)
    }

    /// A participant with the capability, of this engine or of another one.
    pub(crate) fn choose(&self, choosing: CapabilityRequest<'_>) -> Option<String> {
        let here = self.guards.choose(choosing);
        here.or_else(|| self.generations.with_capability(choosing.capability, choosing.over))
    }

    /// The last answer to `request`, if it is remembered.
    pub(crate) fn recall(&self, request: &CommandRequest) -> Option<PreviousAnswer> {
        self.answers.get(request)
    }

    /// Remembers the answers in a decision that is committed; `state` is what the decision led to.
    pub(crate) fn learn(&self, plan: &SagaPlan, state: &SagaState, decision: &SagaDecision) {
        self.answers.committed(plan, state, decision);
    }

    /// How many bytes the body of a command may have; `None`: no limit is known. Of a topic that takes very little half
    /// is left, for its commands are small.
    fn room(&self, participant: &str) -> Option<usize> {
        let limit = self.kafka.as_ref()?.producer.limit(&self.guards.commands_of(participant)?)?;
        Some(limit.saturating_sub(BESIDE_BODY).max(limit / 2))
    }
}

/// Asks the guards while a decision is made. The permits of the calls that it starts are in its saga's table.
pub(super) struct AdmissionControl<'a> {
    sources: &'a DecisionSources,
    now: Timestamp,
    answerable: &'a AnswerWatermark,
    /// The commands that are ahead of the wait queue: its guard called them out of it, or an operator sent them on.
    /// `None`: the commands queue like any other.
    queue_bypass: Option<QueueBypass>,
    permits: PermitDraft<'a>,
}

/// Which commands are ahead of all other commands in the wait queue.
#[derive(Clone, Copy, Debug)]
enum QueueBypass {
    One(CommandRef),
    All,
}

impl<'a> AdmissionControl<'a> {
    pub(super) fn new(
        sources: &'a DecisionSources,
        now: Timestamp,
        answerable: &'a AnswerWatermark,
        permits: PermitDraft<'a>,
    ) -> AdmissionControl<'a> {
        AdmissionControl { sources, now, answerable, queue_bypass: None, permits }
    }

    /// The decision is about `input`.
    pub(super) fn about(self, input: &SagaInput) -> AdmissionControl<'a> {
        let queue_bypass = match input {
            SagaInput::Released { command } => Some(QueueBypass::One(*command)),
            SagaInput::Operator(_) | SagaInput::Mended { .. } => Some(QueueBypass::All),
            SagaInput::Answered { .. }
            | SagaInput::Delivered { .. }
            | SagaInput::KeyTaken { .. }
            | SagaInput::TimeReached => None,
        };
        AdmissionControl { queue_bypass, ..self }
    }

    /// Calls `decide` with a context whose admissions are kept here.
    pub(super) fn with_context<T>(&mut self, decide: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
        let (sources, now, queue_bypass, permits) = (self.sources, self.now, self.queue_bypass, &mut self.permits);
        let guarded = sources.guards();
        let admit = |asking: &AdmissionRequest<'_>| match (asking.whose, who(asking, queue_bypass)) {
            (GuardOwner::Participant(participant), who) => guarded.admit(participant, who),
            (GuardOwner::Topic(topic), who) => guarded.admit_publication(topic, who.arrival),
        };
        let is_elsewhere = |asking: &AdmissionRequest<'_>| match asking.whose {
            GuardOwner::Participant(participant) => sources.is_elsewhere(participant),
            GuardOwner::Topic(_) => false,
        };
        let mut ask = |asking: AdmissionRequest<'_>| match admit(&asking) {
            registry::GuardAdmission::Admitted(permit) => {
                let admitted = if permit.is_probe() { AdmissionVerdict::Probe } else { AdmissionVerdict::Admitted };
                permits.hold(asking.command, asking.attempt, permit);
                admitted
            }
            // An engine with newer files can call it: the saga waits until it is there, or the file is.
            registry::GuardAdmission::NotConfigured if is_elsewhere(&asking) => {
                AdmissionVerdict::Refused { guard: GuardKind::Transport, not_before: now.plus(TRANSPORT_RETRY) }
            }
            registry::GuardAdmission::NotConfigured => AdmissionVerdict::Gone,
            registry::GuardAdmission::Refused { guard, not_before } => {
                AdmissionVerdict::Refused { guard, not_before: now.plus(not_before) }
            }
        };
        decide(&mut DecisionContext {
            now,
            answerable: self.answerable,
            random: JitterSource::Seed(fastrand::u64(..)),
            admission: &mut ask,
            room: &|participant| sources.room(participant),
            choose: &mut |choosing| sources.choose(choosing),
            recall: &mut |request| sources.recall(request),
        })
    }

    /// Keeps the permits of the decision that was made.
    pub(super) fn keep_permits(self) {
        self.permits.keep();
    }
}

fn who(asking: &AdmissionRequest<'_>, queue_bypass: Option<QueueBypass>) -> gate::PermitRequest {
    let is_woken = match queue_bypass {
        Some(QueueBypass::One(command)) => command == asking.command,
        Some(QueueBypass::All) => true,
        None => false,
    };
    let arrival = match (is_woken, asking.has_probed) {
        (true, _) => CallArrival::Notified,
        (false, true) => CallArrival::AfterFailedProbe,
        (false, false) => CallArrival::New,
    };
    let lane = gate::lane(asking.command.direction);
    let attempt = if asking.attempt > 1 { AttemptKind::Retry } else { AttemptKind::First };
    gate::PermitRequest { lane, attempt, arrival }
}
