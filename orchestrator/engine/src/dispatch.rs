//! Effects, performed in one place, after the commit of their cause.

use super::{
    KafkaOutput,
    admission::TRANSPORT_RETRY,
    delivery,
    effect_origin::EffectOrigin,
    message::{MessageContent, MessageReceipt, ShardMessage},
    permit_table::CallLeave,
    retry::RetryDelays,
    router::{MessageSource, ShardRouter},
    schema_source::{EncodeRefusal, SchemaSource},
    send_time::SendTimeGuard,
    sending,
};
use saga_core::{
    command::{CommandAnswer, CommandFailure, CommandRequest, GuardKind},
    id::{CommandId, SagaId},
    input::{OutcomeDelivery, PublicationRef, SagaInput},
    react::{CallEffect, PublishEffect},
};
use saga_kafka::producer::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome};
use saga_resilience::{
    gate::GuardRefusal,
    permit::{BulkheadSlotCell, CallPermit, PendingCall},
    registry::GuardRegistry,
    transport::{DispatchKind, ParticipantCall},
};
use saga_wire::{
    OutgoingRecord,
    cloudevents::{self, CommandRecord, PublishedRecord},
    record::text_header,
    reply::CommandReply,
};
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// Before a record that the broker did not acknowledge in time is handed to it again.
const SEND_AGAIN_MIN: Duration = Duration::from_secs(1);
const SEND_AGAIN_MAX: Duration = Duration::from_secs(5);
/// The time between two log lines about that.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// Where a shard's effects go: participants and topics, or the memory of a test.
pub(crate) trait EffectSender: fmt::Debug + Send + Sync {
    /// Sends a call. Its answer comes back as a message to the saga's shard.
    fn call(&self, call: OutboundCall);

    /// Publishes an event. How that went comes back as a message to the saga's shard.
    fn publish(&self, event: OutboundEvent);
}

/// A call that may be sent: its cause is committed.
#[derive(Debug)]
pub(crate) struct OutboundCall {
    effect: CallEffect,
    origin: EffectOrigin,
    leave: CallLeave,
    dispatch: DispatchKind,
    /// Dropped when the call has left, or never will.
    send_time: Option<SendTimeGuard>,
}

/// An event that may be published: its cause is committed.
#[derive(Debug)]
pub(crate) struct OutboundEvent {
    effect: PublishEffect,
    origin: EffectOrigin,
    /// The permit of the publication, given back when the broker has answered.
    permit: Option<CallPermit>,
    /// Dropped when the event has been sent, or will never be sent.
    send_time: Option<SendTimeGuard>,
}

impl OutboundCall {
    pub(crate) fn new(
        origin: EffectOrigin,
        effect: CallEffect,
        leave: CallLeave,
        dispatch: DispatchKind,
        send_time: Option<SendTimeGuard>,
    ) -> OutboundCall {
        OutboundCall { effect, origin, leave, dispatch, send_time }
    }

    /// The command that is sent.
    #[cfg(test)]
    pub(crate) fn command(&self) -> &CommandId {
        &self.effect.id
    }
}

impl OutboundEvent {
    pub(crate) fn new(
        origin: EffectOrigin,
        effect: PublishEffect,
        permit: Option<CallPermit>,
        send_time: Option<SendTimeGuard>,
    ) -> OutboundEvent {
        OutboundEvent { effect, origin, permit, send_time }
    }
}

/// Sends calls to participants and events to topics, each in a task of its own. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct OutboundCalls {
    guards: Arc<GuardRegistry>,
    kafka: Option<KafkaOutput>,
    schemas: SchemaSource,
    router: ShardRouter,
    /// Calls and publications under way. They end by themselves: calls at their attempt's timeout at the latest.
    under_way: TaskTracker,
}

impl EffectSender for OutboundCalls {
    fn call(&self, call: OutboundCall) {
        let record = self.command_record(&call);
        let OutboundCall { effect, origin, leave, dispatch, send_time } = call;
        match leave {
            CallLeave::Permit(permit) => self.call_over_http(effect, &origin, permit, dispatch),
            CallLeave::Delegate(pending, slot) => self.send_command(&effect, record, (pending, slot), send_time),
        }
    }

    fn publish(&self, event: OutboundEvent) {
        let record = published_record(&event);
        let OutboundEvent { effect, origin, permit, send_time } = event;
        let (sender, saga) = (self.clone(), origin.saga);
        self.under_way.spawn(async move {
            let _permit = permit;
            let input = sender.publication_input(&effect, record).await;
            drop(send_time);
            sender.router.route(saga.shard(), ShardMessage::of(saga, input), MessageSource::Call).await;
        });
    }
}

impl OutboundCalls {
    pub(crate) fn new(
        guards: Arc<GuardRegistry>,
        kafka: Option<KafkaOutput>,
        schemas: SchemaSource,
        router: ShardRouter,
    ) -> OutboundCalls {
        OutboundCalls { guards, kafka, schemas, router, under_way: TaskTracker::new() }
    }

    /// Waits for what is under way, at most `most`. The next owner sends again what is still open then, under the same
    /// ids.
    pub(crate) async fn finish(&self, most: Duration) {
        self.under_way.close();
        if tokio::time::timeout(most, self.under_way.wait()).await.is_err() {
            info!(calls = self.under_way.len(), "calls still open are sent again by the next owner");
        }
    }

    fn call_over_http(&self, effect: CallEffect, origin: &EffectOrigin, permit: CallPermit, dispatch: DispatchKind) {
        let (saga, id, attempt) = (effect.saga, effect.id.clone(), effect.attempt);
        let call = ParticipantCall::new(effect, &origin.name, Some(&origin.traceparent));
        let call = call.passing_on(origin.passed_on.clone());
        let call = match dispatch {
            DispatchKind::First => call,
            DispatchKind::Repeated => call.repeated(),
        };
        let sender = self.clone();
        self.under_way.spawn(async move {
            let answer = sender.guards.call(permit, call).await;
            sender.route_answer(saga, id, attempt, answer).await;
        });
    }

    /// Sends the command's record. A reply is awaited by the attempt's deadline; only a record that certainly or
    /// possibly did not arrive says so.
    fn send_command(
        &self,
        effect: &CallEffect,
        record: Option<OutgoingRecord>,
        (pending, slot): (PendingCall, BulkheadSlotCell),
        send_time: Option<SendTimeGuard>,
    ) {
        let (saga, id, attempt) = (effect.saga, effect.id.clone(), effect.attempt);
        let sender = self.clone();
        self.under_way.spawn(async move {
            let answer = match pending.acquire().await {
                Ok(place) => {
                    // Taken at most once per permit, and a permit is for one call.
                    drop(slot.set(place));
                    drop(slot);
                    sender.deliver(record).await.err()
                }
                Err(GuardRefusal { guard, not_before }) => {
                    Some(CommandAnswer::NotSent { guard, retry_after: not_before })
                }
            };
            drop(send_time);
            let Some(answer) = answer else { return };
            sender.route_answer(saga, id, attempt, answer).await;
        });
    }

    fn command_record(&self, call: &OutboundCall) -> Option<OutgoingRecord> {
        let OutboundCall { effect, origin, .. } = call;
        let CommandRequest::Kafka { participant, command, body } = &*effect.request else { return None };
        let kafka = self.kafka.as_ref()?;
        let topic = self.guards.kafka_topic(participant)?;
        let record = cloudevents::command(
            &topic,
            &CommandRecord {
                saga: effect.saga,
                id: &effect.id,
                command,
                body,
                saga_name: &origin.name,
                attempt: effect.attempt,
                reply_topic: &kafka.replies,
                causation: &effect.cause.to_string(),
                traceparent: Some(&origin.traceparent),
                at: effect.at,
            },
        );
        Some(with_passed_on(record, origin))
    }

    async fn publication_input(&self, effect: &PublishEffect, record: Option<OutgoingRecord>) -> SagaInput {
        match effect.publication {
            PublicationRef::Step(command) => {
                let delivered = self.deliver(record).await;
                let answer =
                    delivered.map_or_else(|answer| answer, |()| CommandAnswer::Succeeded { result: Value::Null });
                SagaInput::Answered { command, attempt: Some(effect.attempt), answer }
            }
            PublicationRef::Outcome => SagaInput::Delivered { delivery: self.deliver_outcome(record).await },
        }
    }

    /// What the broker refuses is an answer to the attempt, which says no more than is known: what certainly did not
    /// reach it waits. What it does not acknowledge in time is handed to it again, under the same ids: that our broker
    /// is unavailable is nothing that the participant did, and the attempt's time does not run before it has left.
    async fn deliver(&self, record: Option<OutgoingRecord>) -> Result<(), CommandAnswer> {
        let (Some(record), Some(kafka)) = (record, self.kafka.as_ref()) else {
            return Err(CommandAnswer::NotSent { guard: GuardKind::Transport, retry_after: TRANSPORT_RETRY });
        };
        let record = &self.encoded(record).await.map_err(|refusal| delivery::unencoded_answer(&refusal))?;
        let mut delays = RetryDelays::new(SEND_AGAIN_MIN, SEND_AGAIN_MAX);
        loop {
            match sending::once(&kafka.producer, self.guards.topics(), record).await {
                ProduceOutcome::Delivered { .. } => return Ok(()),
                ProduceOutcome::Undelivered(undelivered) if is_unknown(undelivered.kind) => {
                    warn_resend(&record.topic, &undelivered);
                    delays.wait().await;
                }
                ProduceOutcome::Undelivered(undelivered) => return Err(delivery::command_answer(&undelivered)),
            }
        }
    }

    async fn deliver_outcome(&self, record: Option<OutgoingRecord>) -> OutcomeDelivery {
        let (Some(record), Some(kafka)) = (record, self.kafka.as_ref()) else {
            let failure = CommandFailure::new("no_kafka", "this engine runs without Kafka");
            return OutcomeDelivery::Impossible { failure };
        };
        match self.encoded(record).await {
            Ok(record) => delivery::publication(&sending::once(&kafka.producer, self.guards.topics(), &record).await),
            Err(refusal) => delivery::unencoded_publication(&refusal),
        }
    }

    /// The record in the format of its topic. A topic whose schema cannot be had takes nothing.
    async fn encoded(&self, record: OutgoingRecord) -> Result<OutgoingRecord, EncodeRefusal> {
        let topic = Arc::clone(&record.topic);
        let encoded = self.schemas.encoded(record).await;
        if let Err(EncodeRefusal::NoSchema(why)) = &encoded {
            self.guards.topics().record_failure(&topic, why, TRANSPORT_RETRY);
        }
        encoded
    }

    async fn route_answer(&self, saga: SagaId, command: CommandId, attempt: u32, answer: CommandAnswer) {
        let shard = saga.shard();
        let reply = CommandReply { saga, command, attempt: Some(attempt), answer };
        let body = MessageContent::Reply(Box::new(reply));
        let message = ShardMessage { body, record: None, receipt: MessageReceipt::None };
        self.router.route(shard, message, MessageSource::Call).await;
    }
}

fn published_record(event: &OutboundEvent) -> Option<OutgoingRecord> {
    let OutboundEvent { effect, origin, .. } = event;
    let CommandRequest::Publish { topic, event_type, key, body } = &*effect.request else { return None };
    let record = cloudevents::published(
        &Arc::from(topic.as_str()),
        &PublishedRecord {
            id: &effect.event_id,
            event_type,
            key,
            body,
            saga: origin.saga,
            saga_name: &origin.name,
            causation: &effect.cause.to_string(),
            traceparent: Some(&origin.traceparent),
            at: effect.at,
        },
    );
    Some(with_passed_on(record, origin))
}

fn with_passed_on(mut record: OutgoingRecord, origin: &EffectOrigin) -> OutgoingRecord {
    record.headers.extend(origin.passed_on.iter().map(|(name, value)| text_header(name, value.as_str())));
    record
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

/// Thousands of commands may wait for one broker: the log says so now and then.
fn warn_resend(topic: &str, undelivered: &DeliveryFailure) {
    static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    metrics::counter!("saga_kafka_sent_again_total", "topic" => topic.to_owned()).increment(1);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.is_none_or(|told| told.elapsed() > TELL_AGAIN) {
        *told = Some(Instant::now());
        warn!(topic, %undelivered, "the broker has not acknowledged a record: it is sent again, and no attempt is \
         counted");
    }
}
