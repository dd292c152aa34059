//! Effects, performed in one place, after the commit of their cause.

use super::{
    KafkaOutput, Parts,
    answers::AnswerCache,
    definition_generations::GenerationTracker,
    departure::SendTimeGuard,
    message::{MessageContent, MessageReceipt, ShardMessage},
    router::MessageSource,
    sending,
};
use saga_core::{
    answerable::AnswerWatermark,
    command::{CommandAnswer, CommandFailure, CommandRef, CommandRequest, GuardKind, GuardOwner},
    decide::{AdmissionRequest, AdmissionVerdict, CapabilityRequest, DecisionContext},
    id::{CommandId, SagaId},
    input::{OutcomeDelivery, PublicationRef, SagaInput},
    react::{CallEffect, PublishEffect},
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_kafka::producer::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome};
use saga_resilience::{
    gate::{self, AttemptKind, CallArrival, GuardRefusal},
    permit::{BulkheadSlotCell, CallPermit, PendingCall},
    registry::{self, GuardRegistry},
    transport::{DispatchKind, ParticipantCall},
};
use saga_wire::{
    OutgoingRecord,
    cloudevents::{self, CommandRecord, PublishedRecord},
    reply::CommandReply,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::warn;

/// When to offer a command again that the transport cannot take now.
pub(super) const TRANSPORT_RETRY: Duration = Duration::from_secs(5);
/// What a command has beside its body: key, headers, and what a batch adds.
const BESIDE_BODY: usize = 1024;
/// Before a record that the broker did not acknowledge in time is handed to it again.
const SEND_AGAIN: Duration = Duration::from_secs(1);
/// Between two lines about that.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Asks the guards while a decision is made, and keeps the permits for the calls that it starts.
pub(super) struct AdmissionControl<'a> {
    guarded: &'a GuardRegistry,
    answers: &'a AnswerCache,
    published: &'a GenerationTracker,
    kafka: Option<&'a KafkaOutput>,
    now: Timestamp,
    answerable: &'a AnswerWatermark,
    /// Who was called out of its line, or is told by a person to go on: nobody is before it.
    woken: Option<QueueBypass>,
    permits: Vec<AttemptPermit>,
}

/// A permit, and the attempt that it is for.
#[derive(Debug)]
pub(super) struct AttemptPermit {
    pub(super) command: CommandRef,
    pub(super) attempt: u32,
    pub(super) permit: CallPermit,
}

/// Which commands have nobody before them in line.
#[derive(Clone, Copy, Debug)]
enum QueueBypass {
    One(CommandRef),
    All,
}

impl<'a> AdmissionControl<'a> {
    pub(super) fn new(parts: &'a Parts, now: Timestamp, answerable: &'a AnswerWatermark) -> AdmissionControl<'a> {
        AdmissionControl {
            guarded: &parts.guarded,
            answers: &parts.answers,
            published: &parts.published,
            kafka: parts.kafka.as_ref(),
            now,
            answerable,
            woken: None,
            permits: Vec::new(),
        }
    }

    /// The decision is about `input`.
    pub(super) fn about(self, input: &SagaInput) -> AdmissionControl<'a> {
        let woken = match input {
            SagaInput::Released { command } => Some(QueueBypass::One(*command)),
            SagaInput::Operator(_) | SagaInput::Mended { .. } => Some(QueueBypass::All),
            SagaInput::Answered { .. }
            | SagaInput::Delivered { .. }
            | SagaInput::KeyTaken { .. }
            | SagaInput::TimeReached => None,
        };
        AdmissionControl { woken, ..self }
    }

    /// Calls `decide` with a context whose admissions are kept here.
    pub(super) fn during<T>(&mut self, decide: impl FnOnce(&mut DecisionContext<'_>) -> T) -> T {
        let published = self.published;
        let (guarded, now, woken, permits) = (self.guarded, self.now, self.woken, &mut self.permits);
        let admit = |asking: &AdmissionRequest<'_>| match (asking.whose, who(asking, woken)) {
            (GuardOwner::Participant(participant), who) => guarded.admit(participant, who),
            (GuardOwner::Topic(topic), who) => guarded.admit_publication(topic, who.coming),
        };
        let is_elsewhere = |asking: &AdmissionRequest<'_>| match asking.whose {
            GuardOwner::Participant(participant) => published.has_participant(participant),
            GuardOwner::Topic(_) => false,
        };
        let mut ask = |asking: AdmissionRequest<'_>| match admit(&asking) {
            registry::GuardAdmission::Admitted(permit) => {
                let admitted = if permit.is_probe() { AdmissionVerdict::Probe } else { AdmissionVerdict::Admitted };
                permits.push(AttemptPermit { command: asking.command, attempt: asking.attempt, permit });
                admitted
            }
            // An engine with newer files can call it: the saga waits until it is there, or the file is.
            registry::GuardAdmission::Gone if is_elsewhere(&asking) => {
                AdmissionVerdict::Refused { guard: GuardKind::Transport, not_before: now.plus(TRANSPORT_RETRY) }
            }
            registry::GuardAdmission::Gone => AdmissionVerdict::Gone,
            registry::GuardAdmission::Refused { guard, not_before } => {
                AdmissionVerdict::Refused { guard, not_before: now.plus(not_before) }
            }
        };
        let (answers, answerable) = (self.answers, self.answerable);
        let mut recall = |request: &CommandRequest| answers.recall(request);
        let mut choose = |choosing: CapabilityRequest<'_>| {
            guarded.choose(choosing).or_else(|| published.with_capability(choosing.capability, choosing.over))
        };
        let random = fastrand::u64(..);
        let kafka = self.kafka;
        let room = |participant: &str| room(guarded, kafka?, participant);
        decide(&mut DecisionContext {
            now,
            answerable,
            random,
            admission: &mut ask,
            room: &room,
            choose: &mut choose,
            recall: &mut recall,
        })
    }

    pub(super) fn into_permits(self) -> Vec<AttemptPermit> {
        self.permits
    }
}

/// How large the body of a command may be. Of a topic that takes very little half is left, for its commands are small.
fn room(guarded: &GuardRegistry, kafka: &KafkaOutput, participant: &str) -> Option<usize> {
    let limit = kafka.producer.limit(&guarded.commands_of(participant)?)?;
    Some(limit.saturating_sub(BESIDE_BODY).max(limit / 2))
}

fn who(asking: &AdmissionRequest<'_>, woken: Option<QueueBypass>) -> gate::PermitRequest {
    let is_woken = match woken {
        Some(QueueBypass::One(command)) => command == asking.command,
        Some(QueueBypass::All) => true,
        None => false,
    };
    let coming = match (is_woken, asking.has_probed) {
        (true, _) => CallArrival::Woken,
        (false, true) => CallArrival::AfterProbe,
        (false, false) => CallArrival::Anew,
    };
    let lane = gate::lane(asking.command.direction);
    let attempt = if asking.attempt > 1 { AttemptKind::Further } else { AttemptKind::First };
    gate::PermitRequest { lane, attempt, coming }
}

/// Lets a call leave; its answer comes back as a message to the saga's shard. A Kafka call's permit is handed back: it is held until the
/// reply or the attempt's end.
pub(super) fn call(
    parts: &Arc<Parts>,
    plan: &SagaPlan,
    state: &SagaState,
    effect: CallEffect,
    mut permit: CallPermit,
    dispatch: DispatchKind,
    leaving: Option<SendTimeGuard>,
) -> Option<CallPermit> {
    if let CommandRequest::Kafka { .. } = &*effect.request {
        send_command(parts, plan, state, &effect, permit.departure(), leaving);
        return Some(permit);
    }
    let (id, attempt) = (effect.id.clone(), effect.attempt);
    let call = ParticipantCall::new(effect, &plan.definition.name, Some(&state.traceparent));
    let call = match dispatch {
        DispatchKind::First => call,
        DispatchKind::Repeated => call.repeated(),
    };
    let parts_of_call = Arc::clone(parts);
    parts.calls.spawn(async move {
        let answer = parts_of_call.guarded.call(permit, call).await;
        answered(&parts_of_call, id, attempt, answer).await;
    });
    None
}

/// The command's record. A reply is awaited by the attempt's deadline; only a record that certainly or possibly did not arrive says so.
fn send_command(
    parts: &Arc<Parts>,
    plan: &SagaPlan,
    state: &SagaState,
    effect: &CallEffect,
    (departure, seat): (PendingCall, BulkheadSlotCell),
    leaving: Option<SendTimeGuard>,
) {
    let (id, attempt) = (effect.id.clone(), effect.attempt);
    let record = command_record(parts, plan, state, effect);
    let parts_of_call = Arc::clone(parts);
    parts.calls.spawn(async move {
        let answer = match departure.pass().await {
            Ok(place) => {
                // Taken at most once per permit, and a permit is for one call.
                drop(seat.set(place));
                drop(seat);
                deliver(&parts_of_call, record.as_ref()).await.err()
            }
            Err(GuardRefusal { guard, not_before }) => Some(CommandAnswer::NotSent { guard, retry_after: not_before }),
        };
        drop(leaving);
        let Some(answer) = answer else { return };
        answered(&parts_of_call, id, attempt, answer).await;
    });
}

fn command_record(parts: &Parts, plan: &SagaPlan, state: &SagaState, effect: &CallEffect) -> Option<OutgoingRecord> {
    let CommandRequest::Kafka { participant, command, body } = &*effect.request else { return None };
    let kafka = parts.kafka.as_ref()?;
    let topic = parts.guarded.kafka_topic(participant)?;
    Some(cloudevents::command(
        &topic,
        &CommandRecord {
            id: &effect.id,
            command,
            body,
            saga_name: &plan.definition.name,
            attempt: effect.attempt,
            reply_topic: &kafka.replies,
            causation: &effect.cause.to_string(),
            traceparent: Some(&state.traceparent),
            at: effect.at,
        },
    ))
}

/// What the broker refuses is an answer to the attempt, which says no more than is known: what certainly did not reach it waits. What it does
/// not acknowledge in time is handed to it again, under the same ids: that our broker is away is nothing that the participant did, and the
/// attempt's time does not run before it has left.
async fn deliver(parts: &Parts, record: Option<&OutgoingRecord>) -> Result<(), CommandAnswer> {
    let (Some(record), Some(kafka)) = (record, parts.kafka.as_ref()) else {
        return Err(CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: TRANSPORT_RETRY });
    };
    loop {
        match sending::once(&kafka.producer, parts.guarded.topics(), record).await {
            ProduceOutcome::Delivered { .. } => return Ok(()),
            ProduceOutcome::Undelivered(undelivered) if is_unknown(undelivered.kind) => {
                sent_again(&record.topic, &undelivered);
                tokio::time::sleep(SEND_AGAIN).await;
            }
            ProduceOutcome::Undelivered(undelivered) => return Err(undelivered.answer()),
        }
    }
}

/// Whether the record may have been written, and nothing more is known of it.
fn is_unknown(kind: DeliveryFailureKind) -> bool {
    match kind {
        DeliveryFailureKind::TimedOut | DeliveryFailureKind::Unknown => true,
        DeliveryFailureKind::TooLarge
        | DeliveryFailureKind::Invalid
        | DeliveryFailureKind::Refused
        | DeliveryFailureKind::UnknownTopic
        | DeliveryFailureKind::Unauthorized
        | DeliveryFailureKind::QueueFull
        | DeliveryFailureKind::NotSent => false,
    }
}

/// Thousands of commands may wait for one broker: people are told now and then.
fn sent_again(topic: &str, undelivered: &DeliveryFailure) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    metrics::counter!("saga_kafka_sent_again_total", "topic" => topic.to_owned()).increment(1);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
        *told = Some(Instant::now());
        warn!(topic, %undelivered, "the broker has not acknowledged a record: it is sent again, and no attempt is counted");
    }
}

/// Publishes what a saga publishes, and says how that went. `permit` is given back then.
pub(super) fn publish(
    parts: &Arc<Parts>,
    saga: SagaId,
    plan: &SagaPlan,
    state: &SagaState,
    effect: &PublishEffect,
    permit: Option<CallPermit>,
    leaving: Option<SendTimeGuard>,
) {
    let (publication, attempt) = (effect.publication, effect.attempt);
    let record = published_record(saga, plan, state, effect);
    let parts_of_call = Arc::clone(parts);
    parts.calls.spawn(async move {
        let _permit = permit;
        let input = match publication {
            PublicationRef::Step(command) => {
                let delivered = deliver(&parts_of_call, record.as_ref()).await;
                let answer =
                    delivered.map_or_else(|answer| answer, |()| CommandAnswer::Succeeded { result: Value::Null });
                SagaInput::Answered { command, attempt: Some(attempt), answer }
            }
            PublicationRef::Outcome => {
                let delivery = deliver_outcome(&parts_of_call, record.as_ref()).await;
                SagaInput::Delivered { delivery }
            }
        };
        drop(leaving);
        parts_of_call.router.route(saga.shard(), ShardMessage::of(saga, input), MessageSource::Call).await;
    });
}

fn published_record(
    saga: SagaId,
    plan: &SagaPlan,
    state: &SagaState,
    effect: &PublishEffect,
) -> Option<OutgoingRecord> {
    let CommandRequest::Publish { topic, event_type, key, body } = &*effect.request else { return None };
    Some(cloudevents::published(
        &Arc::from(topic.as_str()),
        &PublishedRecord {
            id: &effect.event_id,
            event_type,
            key,
            body,
            saga,
            saga_name: &plan.definition.name,
            causation: &effect.cause.to_string(),
            traceparent: Some(&state.traceparent),
            at: effect.at,
        },
    ))
}

async fn deliver_outcome(parts: &Parts, record: Option<&OutgoingRecord>) -> OutcomeDelivery {
    let (Some(record), Some(kafka)) = (record, parts.kafka.as_ref()) else {
        let failure = CommandFailure::new("no_kafka", "this engine runs without Kafka");
        return OutcomeDelivery::Impossible { failure };
    };
    sending::once(&kafka.producer, parts.guarded.topics(), record).await.publication()
}

async fn answered(parts: &Parts, command: CommandId, attempt: u32, answer: CommandAnswer) {
    let shard = command.saga.shard();
    let body = MessageContent::Reply(Box::new(CommandReply { command, attempt: Some(attempt), answer }));
    parts
        .router
        .route(shard, ShardMessage { body, record: None, receipt: MessageReceipt::None }, MessageSource::Call)
        .await;
}
