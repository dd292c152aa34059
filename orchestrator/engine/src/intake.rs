//! Records of trigger and reply topics: each is decided here, once per definition, and brought to the shards it concerns.

use super::{
    Parts,
    dead_letter::DeadLetter,
    message::{MessageContent, MessageReceipt, ShardMessage},
    partition_holds::ConsumerHolds,
    router::MessageSource,
};
use saga_core::{id::ShardId, state::SagaPlan};
use saga_kafka::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, RecordAck,
    consumer::{AckCondition, RecordLoss},
    ends,
};
use saga_wire::{
    KafkaRecord,
    reply::{self, ParsedReply},
    trigger::{self, TriggerEvaluation, TriggerOutcome},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// How intake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntakeExit {
    /// It was told to stop.
    Stopped,
    /// It cannot go on.
    Failed(String),
}

/// Takes records until the consumer's channel closes: after its stop, or when it cannot go on.
pub async fn run(
    parts: Arc<Parts>,
    consumer: Arc<KafkaConsumer>,
    mut events: mpsc::Receiver<ConsumerEvent>,
) -> IntakeExit {
    let mut holds = ConsumerHolds::new(&parts.holds);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => return IntakeExit::Stopped,
                Some(ConsumerEvent::Failed(reason)) => return IntakeExit::Failed(reason),
                Some(event) => take(&parts, event).await,
            },
            () = holds.changed() => holds.apply(&consumer),
        }
    }
}

async fn take(parts: &Arc<Parts>, event: ConsumerEvent) {
    match event {
        ConsumerEvent::Records(records) => {
            for DeliveredRecord { record, ack } in records {
                take_record(parts, Arc::new(record), ack).await;
            }
        }
        other => report("triggers", &other),
    }
}

/// What a consumer says of itself, for people.
pub(super) fn report(consumer: &'static str, event: &ConsumerEvent) {
    match event {
        ConsumerEvent::Assigned(partitions) => info!(consumer, count = partitions.len(), "partitions assigned"),
        ConsumerEvent::Revoked(partitions) => info!(consumer, count = partitions.len(), "partitions revoked"),
        ConsumerEvent::FirstContact { topic, records } => {
            info!(consumer, %topic, records, "the consumer group is new on the topic: so many records are there to be read");
        }
        ConsumerEvent::OffsetsLost { partition, expected, resumed, loss } => {
            match loss {
                RecordLoss::Expired { records } => error!(
                    consumer, %partition, expected, resumed, records, "records that were not read yet are gone from the topic"
                ),
                RecordLoss::Replaced { records } => {
                    error!(
                        consumer, %partition, expected, resumed, lost_at_least = records,
                        "the topic is another one: it was deleted and made anew, or an election lost its newest records; \
                         what is in it now is read whole, and keys keep sagas from starting twice"
                    );
                    metrics::counter!("saga_logs_replaced_total", "topic" => partition.topic.to_string()).increment(1);
                }
            }
            metrics::counter!("saga_offsets_lost_total").increment(loss.records());
        }
        ConsumerEvent::Trouble(reason) => {
            warn!(consumer, reason, "Kafka cannot be reached or refuses; intake waits and tries again");
        }
        ConsumerEvent::Recovered => info!(consumer, "Kafka answers again"),
        ConsumerEvent::Failed(reason) => error!(consumer, reason, "intake cannot go on"),
        ConsumerEvent::Records(_) => {}
    }
}

async fn take_record(parts: &Arc<Parts>, record: Arc<KafkaRecord>, ack: RecordAck) {
    if ends::is_mark(&record) && parts.kafka.as_ref().is_some_and(|kafka| kafka.replies == record.topic) {
        return ack.finish();
    }
    let is_reply = parts.kafka.as_ref().is_some_and(|kafka| kafka.replies == record.topic);
    if is_reply {
        return take_reply(parts, record, MessageReceipt::Offset(ack), MessageSource::Outside).await;
    }
    parts.published.heard().await;
    if parts.published.reads(&record.topic) {
        metrics::counter!("saga_records_total", "topic" => record.topic.to_string()).increment(1);
        ack.only_if(Arc::clone(&parts.published) as Arc<dyn AckCondition>);
        take_trigger(parts, record, ack, EvaluationScope::ForAll).await;
    } else {
        // Whoever knows more reads it: here it must not count as finished.
        drop(ack);
    }
}

/// For which definitions a record is judged.
#[derive(Clone, Copy, Debug)]
pub(super) enum EvaluationScope<'a> {
    /// For all of its topic.
    ForAll,
    /// For these: it was judged for the others before.
    Again(&'a BTreeSet<String>),
}

impl EvaluationScope<'_> {
    fn is_for(self, definition: &str) -> bool {
        match self {
            EvaluationScope::ForAll => true,
            EvaluationScope::Again(definitions) => definitions.contains(definition),
        }
    }
}

/// A record of a trigger topic: every definition of the topic has its own disposition of it.
pub(super) async fn take_trigger(
    parts: &Arc<Parts>,
    record: Arc<KafkaRecord>,
    ack: RecordAck,
    judged: EvaluationScope<'_>,
) {
    let live = parts.current.keep();
    let plans = live.catalog.of_topic(&record.topic);
    for TriggerEvaluation { definition, disposition } in
        trigger::judge(&record, live.catalog.definitions_of(&record.topic))
    {
        let plan = definition.and_then(|index| plans.get(index));
        let name = plan.map(|plan| plan.definition.name.as_str());
        // What is no definition's matter was told when the record was judged for all.
        let is_wanted = name.map_or(matches!(judged, EvaluationScope::ForAll), |name| {
            judged.is_for(name) && parts.published.is_for(name, &record)
        });
        if !is_wanted {
            continue;
        }
        match (disposition, plan) {
            (TriggerOutcome::Start(start), Some(plan)) => {
                parts.crowd.hold_back(plan, &record);
                begin(parts, plan, *start, &record, (MessageReceipt::Offset(ack.clone()), MessageSource::Outside))
                    .await;
            }
            (TriggerOutcome::Poison(poison), plan) => {
                let definition = plan.map(|plan| plan.definition.name.clone());
                let letter = DeadLetter { poison, definition };
                parts.letters.send(Arc::clone(&record), MessageReceipt::Offset(ack.clone()), letter);
            }
            (TriggerOutcome::Unwanted | TriggerOutcome::Start(_), _) => {
                debug!(record = %record.coordinates(), "the trigger does not want the record");
            }
        }
    }
    ack.finish();
}

pub(super) async fn begin(
    parts: &Arc<Parts>,
    plan: &Arc<SagaPlan>,
    start: saga_core::input::SagaStart,
    record: &Arc<KafkaRecord>,
    (receipt, source): (MessageReceipt, MessageSource),
) {
    let shard = ShardId::of(&plan.definition.name, &start.key, parts.router.shards());
    let body = MessageContent::Start { plan: Arc::clone(plan), start: Box::new(start) };
    parts.router.route(shard, ShardMessage { body, record: Some(Arc::clone(record)), receipt }, source).await;
}

/// A reply of a participant, read here or handed on through the inbox. One that cannot be read but says which command it answers leaves
/// that attempt unknown, beside going to the DLQ.
pub(super) async fn take_reply(
    parts: &Arc<Parts>,
    record: Arc<KafkaRecord>,
    receipt: MessageReceipt,
    source: MessageSource,
) {
    metrics::counter!("saga_replies_total").increment(1);
    match reply::parse(&record) {
        ParsedReply::Reply(reply) if !parts.router.has(reply.command.saga.shard()) => {
            parts.letters.send(record, receipt, DeadLetter::of_foreign_saga());
        }
        ParsedReply::Reply(reply) => {
            let shard = reply.command.saga.shard();
            let body = MessageContent::Reply(Box::new(reply));
            parts.router.route(shard, ShardMessage { body, record: Some(record), receipt }, source).await;
        }
        ParsedReply::Poison { poison, unknown } => {
            if let Some(reply) = unknown.filter(|reply| parts.router.has(reply.command.saga.shard())) {
                let shard = reply.command.saga.shard();
                let body = MessageContent::Reply(Box::new(reply));
                parts
                    .router
                    .route(shard, ShardMessage { body, record: None, receipt: MessageReceipt::None }, source)
                    .await;
            }
            parts.letters.send(record, receipt, poison.into());
        }
    }
}
