//! The way through the inbox: to another engine that owns the shard, or back to a shard of this engine that does not
//! take its messages now.

use crate::{
    message::{MessageContent, MessageOutcome, MessageReceipt, ShardMessage},
    sending,
};
use saga_core::{id::ShardId, input::SagaInput};
use saga_kafka::{KafkaProducer, producer::DeliveryFailure};
use saga_resilience::topic_availability::TopicTracker;
use saga_wire::{
    KafkaRecord, PayloadSchemaName,
    inbox::{self, CallOutcome, InboxEnvelope},
};
use serde_json::Value;
use std::sync::Arc;
use tracing::{debug, error};

/// Where messages go whose shard does not take them here.
#[derive(Clone, Debug)]
pub(crate) enum InboxForwarder {
    /// To the shard's partition of this topic.
    Topic {
        /// Name of the inbox topic.
        topic: Arc<str>,
        /// The producer that sends messages to the inbox topic.
        producer: KafkaProducer,
        /// Tracks whether the topic takes records.
        topics: Arc<TopicTracker>,
    },
    /// There is no other owner and no Kafka: this process owns all shards as long as it runs, and the sender of a
    /// message waits.
    Disabled,
    /// Keeps messages in memory, for tests.
    #[cfg(test)]
    Kept(Arc<super::tests::ForwardedActs>),
}

impl InboxForwarder {
    /// Whether `message` can go this way and come back.
    pub(super) fn carries(&self, message: &ShardMessage) -> bool {
        match self {
            InboxForwarder::Disabled => false,
            InboxForwarder::Topic { .. } => inbound(message).is_some(),
            #[cfg(test)]
            InboxForwarder::Kept(_) => inbound(message).is_some(),
        }
    }

    /// Takes the message and settles it: with the bytes it came as it is in the inbox, at the offset that is returned.
    /// Timers and deliveries are not handed on: the next owner derives both from the journal. What came from the inbox
    /// is there still and is read again.
    pub(super) async fn take(&self, shard: ShardId, message: ShardMessage) -> Option<i64> {
        if let InboxForwarder::Disabled = self {
            // Without Kafka no other engine can take the message, and this is how such an engine stops.
            debug!(
                shard = shard.0,
                "a message came for a shard that has stopped; the journal brings its cause back at the next start"
            );
            return None;
        }
        if self.has(&message) {
            return None;
        }
        let Some(inbound) = inbound(&message) else {
            message.receipt.settle(MessageOutcome::Forwarded);
            return None;
        };
        match self.write(shard, &inbound).await {
            Ok(offset) => {
                metrics::counter!("saga_forwarded_total").increment(1);
                message.receipt.settle(MessageOutcome::Forwarded);
                Some(offset)
            }
            Err(reason) => {
                never_taken(shard, message, &reason);
                None
            }
        }
    }

    /// Whether the message came from there and is not finished.
    fn has(&self, message: &ShardMessage) -> bool {
        let MessageReceipt::Offset(ack) = &message.receipt else { return false };
        match self {
            InboxForwarder::Topic { topic, .. } => ack.is_of(topic),
            InboxForwarder::Disabled => false,
            #[cfg(test)]
            InboxForwarder::Kept(_) => ack.is_of(super::tests::INBOX),
        }
    }

    async fn write(&self, shard: ShardId, inbound: &InboxEnvelope) -> Result<i64, String> {
        match self {
            InboxForwarder::Topic { topic, producer, topics } => {
                let outgoing = inbox::forward(topic, shard, inbound);
                let written = sending::until_taken(producer, topics, &outgoing).await;
                written.map_err(|undelivered: DeliveryFailure| undelivered.to_string())
            }
            InboxForwarder::Disabled => Err("there is no inbox".into()),
            #[cfg(test)]
            InboxForwarder::Kept(kept) => Ok(kept.keep(shard, inbound).await),
        }
    }
}

/// The inbox will never take it. Of a record the offset is not finished, so that it is read again, by then perhaps
/// where its shard is owned; the outcome of a call is had again by asking again, which the next owner does.
fn never_taken(shard: ShardId, message: ShardMessage, reason: &str) {
    error!(
        shard = shard.0,
        reason,
        "the inbox refuses a message that is too large; the engine reads the record again, or sends the call again. Raise max.message.bytes of the inbox"
    );
    metrics::counter!("saga_not_forwarded_total").increment(1);
    drop(message);
}

/// `None`: the next owner has it from the journal.
fn inbound(message: &ShardMessage) -> Option<InboxEnvelope> {
    match (&message.body, message.record.as_deref()) {
        (MessageContent::Start { plan, start }, Some(record)) => Some(InboxEnvelope::Trigger {
            record: record.clone(),
            decoded: decoded(record, Some(&start.trigger.event)),
            definition: plan.definition.name.clone(),
            hash: plan.definition.hash.clone(),
            policies: Some(plan.policies_hash.clone()),
        }),
        (MessageContent::Start { .. }, None) | (MessageContent::ReadUntil(_), _) => None,
        (MessageContent::Reply(reply), Some(record)) => {
            Some(InboxEnvelope::Reply { record: record.clone(), decoded: decoded(record, reply.answer.result()) })
        }
        (MessageContent::Reply(reply), None) => Some(InboxEnvelope::Outcome(CallOutcome {
            saga: reply.saga,
            command: reply.command.clone(),
            attempt: reply.attempt,
            answer: reply.answer.clone(),
        })),
        (MessageContent::Rerun { saga, plan, order }, _) => Some(InboxEnvelope::Rerun {
            saga: *saga,
            order: order.as_ref().clone(),
            definition: plan.as_ref().map(|plan| (plan.definition.hash.clone(), plan.policies_hash.clone())),
        }),
        (MessageContent::Input { saga, input: SagaInput::Operator(act) }, _) => {
            Some(InboxEnvelope::Operator { saga: *saga, act: act.clone(), definition: None })
        }
        (MessageContent::Input { saga, input: SagaInput::Mended { act, plan } }, _) => {
            let definition = Some((plan.definition.hash.clone(), plan.policies_hash.clone()));
            Some(InboxEnvelope::Operator { saga: *saga, act: act.clone(), definition })
        }
        (
            MessageContent::Input {
                // A record under a taken key goes there as the start that it came as.
                input:
                    SagaInput::TimeReached
                    | SagaInput::Released { .. }
                    | SagaInput::Delivered { .. }
                    | SagaInput::Answered { .. }
                    | SagaInput::KeyTaken { .. },
                ..
            },
            _,
        ) => None,
    }
}

/// What was read of a record that names a schema: the next owner needs no registry, and decides about the same value.
fn decoded(record: &KafkaRecord, value: Option<&Value>) -> Option<Value> {
    PayloadSchemaName::of(record).and(value).cloned()
}
