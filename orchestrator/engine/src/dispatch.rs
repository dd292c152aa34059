//! Effects, performed in one place, after the commit of their cause.

use super::{
    KafkaSide, Parts,
    answers::Answers,
    departure::Leaving,
    message::{Body, Message, Receipt},
    published::Published,
    router::Source,
    sending,
};
use saga_core::{
    answerable::Answerable,
    command::{Answer, CommandRef, Failure, Guard, Request, Whose},
    decide::{Admission, Asking, Choosing, Context},
    id::{CommandId, SagaId},
    input::{Delivery, Input, Publication},
    react::{CallEffect, PublishEffect},
    state::{Plan, State},
    time::Timestamp,
};
use saga_kafka::producer::{Outcome, Undelivered, UndeliveredKind};
use saga_resilience::{
    gate::{self, Attempt, Coming, Refused},
    permit::{Departure, Permit, Seat},
    registry::{self, Guarded},
    transport::{Call, Dispatch},
};
use saga_wire::{
    Outgoing,
    cloudevents::{self, CommandRecord, PublishedRecord},
    reply::Reply,
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
pub(super) struct Admissions<'a> {
    guarded: &'a Guarded,
    answers: &'a Answers,
    published: &'a Published,
    kafka: Option<&'a KafkaSide>,
    now: Timestamp,
    answerable: &'a Answerable,
    /// Who was called out of its line, or is told by a person to go on: nobody is before it.
    woken: Option<Woken>,
    permits: Vec<Permitted>,
}

/// A permit, and the attempt that it is for.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) command: CommandRef,
    pub(super) attempt: u32,
    pub(super) permit: Permit,
}

/// Which commands have nobody before them in line.
#[derive(Clone, Copy, Debug)]
enum Woken {
    One(CommandRef),
    All,
}

impl<'a> Admissions<'a> {
    pub(super) fn new(parts: &'a Parts, now: Timestamp, answerable: &'a Answerable) -> Admissions<'a> {
        Admissions {
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
    pub(super) fn about(self, input: &Input) -> Admissions<'a> {
        let woken = match input {
            Input::Released { command } => Some(Woken::One(*command)),
            Input::Operator(_) | Input::Mended { .. } => Some(Woken::All),
            Input::Answered { .. } | Input::Delivered { .. } | Input::KeyTaken { .. } | Input::TimeReached => None,
        };
        Admissions { woken, ..self }
    }

    /// Calls `decide` with a context whose admissions are kept here.
    pub(super) fn during<T>(&mut self, decide: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let published = self.published;
        let (guarded, now, woken, permits) = (self.guarded, self.now, self.woken, &mut self.permits);
        let admit = |asking: &Asking<'_>| match (asking.whose, who(asking, woken)) {
            (Whose::Participant(participant), who) => guarded.admit(participant, who),
            (Whose::Topic(topic), who) => guarded.admit_publication(topic, who.coming),
        };
        let is_elsewhere = |asking: &Asking<'_>| match asking.whose {
            Whose::Participant(participant) => published.has_participant(participant),
            Whose::Topic(_) => false,
        };
        let mut ask = |asking: Asking<'_>| match admit(&asking) {
            registry::Admission::Admitted(permit) => {
                let admitted = if permit.is_probe() { Admission::Probe } else { Admission::Admitted };
                permits.push(Permitted { command: asking.command, attempt: asking.attempt, permit });
                admitted
            }
            // An engine with newer files can call it: the saga waits until it is there, or the file is.
            registry::Admission::Gone if is_elsewhere(&asking) => {
                Admission::Refused { guard: Guard::Transport, not_before: now.plus(TRANSPORT_RETRY) }
            }
            registry::Admission::Gone => Admission::Gone,
            registry::Admission::Refused { guard, not_before } => {
                Admission::Refused { guard, not_before: now.plus(not_before) }
            }
        };
        let (answers, answerable) = (self.answers, self.answerable);
        let mut recall = |request: &Request| answers.recall(request);
        let mut choose = |choosing: Choosing<'_>| {
            guarded.choose(choosing).or_else(|| published.with_capability(choosing.capability, choosing.over))
        };
        let random = fastrand::u64(..);
        let kafka = self.kafka;
        let room = |participant: &str| room(guarded, kafka?, participant);
        decide(&mut Context {
            now,
            answerable,
            random,
            admission: &mut ask,
            room: &room,
            choose: &mut choose,
            recall: &mut recall,
        })
    }

    pub(super) fn into_permits(self) -> Vec<Permitted> {
        self.permits
    }
}

/// How large the body of a command may be. Of a topic that takes very little half is left, for its commands are small.
fn room(guarded: &Guarded, kafka: &KafkaSide, participant: &str) -> Option<usize> {
    let limit = kafka.producer.limit(&guarded.commands_of(participant)?)?;
    Some(limit.saturating_sub(BESIDE_BODY).max(limit / 2))
}

fn who(asking: &Asking<'_>, woken: Option<Woken>) -> gate::Asking {
    let is_woken = match woken {
        Some(Woken::One(command)) => command == asking.command,
        Some(Woken::All) => true,
        None => false,
    };
    let coming = match (is_woken, asking.has_probed) {
        (true, _) => Coming::Woken,
        (false, true) => Coming::AfterProbe,
        (false, false) => Coming::Anew,
    };
    let lane = gate::lane(asking.command.direction);
    let attempt = if asking.attempt > 1 { Attempt::Further } else { Attempt::First };
    gate::Asking { lane, attempt, coming }
}

/// Lets a call leave; its answer comes back as a message to the saga's shard. A Kafka call's permit is handed back: it is held until the
/// reply or the attempt's end.
pub(super) fn call(
    parts: &Arc<Parts>,
    plan: &Plan,
    state: &State,
    effect: CallEffect,
    mut permit: Permit,
    dispatch: Dispatch,
    leaving: Option<Leaving>,
) -> Option<Permit> {
    if let Request::Kafka { .. } = &*effect.request {
        send_command(parts, plan, state, &effect, permit.departure(), leaving);
        return Some(permit);
    }
    let (id, attempt) = (effect.id.clone(), effect.attempt);
    let call = Call::new(effect, &plan.definition.name, Some(&state.traceparent));
    let call = match dispatch {
        Dispatch::First => call,
        Dispatch::Repeated => call.repeated(),
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
    plan: &Plan,
    state: &State,
    effect: &CallEffect,
    (departure, seat): (Departure, Seat),
    leaving: Option<Leaving>,
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
            Err(Refused { guard, not_before }) => Some(Answer::NotSent { guard, retry_after: not_before }),
        };
        drop(leaving);
        let Some(answer) = answer else { return };
        answered(&parts_of_call, id, attempt, answer).await;
    });
}

fn command_record(parts: &Parts, plan: &Plan, state: &State, effect: &CallEffect) -> Option<Outgoing> {
    let Request::Kafka { participant, command, body } = &*effect.request else { return None };
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
async fn deliver(parts: &Parts, record: Option<&Outgoing>) -> Result<(), Answer> {
    let (Some(record), Some(kafka)) = (record, parts.kafka.as_ref()) else {
        return Err(Answer::NotSent { guard: Guard::Transport, retry_after: TRANSPORT_RETRY });
    };
    loop {
        match sending::once(&kafka.producer, parts.guarded.topics(), record).await {
            Outcome::Delivered { .. } => return Ok(()),
            Outcome::Undelivered(undelivered) if is_unknown(undelivered.kind) => {
                sent_again(&record.topic, &undelivered);
                tokio::time::sleep(SEND_AGAIN).await;
            }
            Outcome::Undelivered(undelivered) => return Err(undelivered.answer()),
        }
    }
}

/// Whether the record may have been written, and nothing more is known of it.
fn is_unknown(kind: UndeliveredKind) -> bool {
    match kind {
        UndeliveredKind::TimedOut | UndeliveredKind::Unknown => true,
        UndeliveredKind::TooLarge
        | UndeliveredKind::Invalid
        | UndeliveredKind::Refused
        | UndeliveredKind::UnknownTopic
        | UndeliveredKind::Unauthorized
        | UndeliveredKind::QueueFull
        | UndeliveredKind::NotSent => false,
    }
}

/// Thousands of commands may wait for one broker: people are told now and then.
fn sent_again(topic: &str, undelivered: &Undelivered) {
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
    plan: &Plan,
    state: &State,
    effect: &PublishEffect,
    permit: Option<Permit>,
    leaving: Option<Leaving>,
) {
    let (publication, attempt) = (effect.publication, effect.attempt);
    let record = published_record(saga, plan, state, effect);
    let parts_of_call = Arc::clone(parts);
    parts.calls.spawn(async move {
        let _permit = permit;
        let input = match publication {
            Publication::Step(command) => {
                let delivered = deliver(&parts_of_call, record.as_ref()).await;
                let answer = delivered.map_or_else(|answer| answer, |()| Answer::Succeeded { result: Value::Null });
                Input::Answered { command, attempt: Some(attempt), answer }
            }
            Publication::Outcome => {
                let delivery = deliver_outcome(&parts_of_call, record.as_ref()).await;
                Input::Delivered { delivery }
            }
        };
        drop(leaving);
        parts_of_call.router.route(saga.shard(), Message::of(saga, input), Source::Call).await;
    });
}

fn published_record(saga: SagaId, plan: &Plan, state: &State, effect: &PublishEffect) -> Option<Outgoing> {
    let Request::Publish { topic, event_type, key, body } = &*effect.request else { return None };
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

async fn deliver_outcome(parts: &Parts, record: Option<&Outgoing>) -> Delivery {
    let (Some(record), Some(kafka)) = (record, parts.kafka.as_ref()) else {
        let failure = Failure::new("no_kafka", "this engine runs without Kafka");
        return Delivery::Impossible { failure };
    };
    sending::once(&kafka.producer, parts.guarded.topics(), record).await.publication()
}

async fn answered(parts: &Parts, command: CommandId, attempt: u32, answer: Answer) {
    let shard = command.saga.shard();
    let body = Body::Reply(Box::new(Reply { command, attempt: Some(attempt), answer }));
    parts.router.route(shard, Message { body, record: None, receipt: Receipt::None }, Source::Call).await;
}
