//! Records out, and what that tells of their topics.

use super::LetterRoutes;
use saga_kafka::{
    KafkaProducer,
    producer::{DeliveryFailure, DeliveryFailureKind, ProduceOutcome},
};
use saga_resilience::topic_availability::TopicTracker;
use saga_wire::{OutgoingRecord, dead_letter::AddedDialects};
use std::{sync::Arc, time::Duration};

/// When a topic that refused is tried again: a topic or a permission takes a person, so there is no hurry.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The same where the client had no room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// The producer of the engine, and the topics that the engine needs.
#[derive(Clone, Debug)]
pub struct KafkaOutput {
    /// The producer that sends all records of the engine.
    pub producer: KafkaProducer,
    /// Name of the inbox topic.
    pub inbox: Arc<str>,
    /// Name of the topic that participants reply to.
    pub replies: Arc<str>,
    /// Names of the DLQ topics.
    pub letters: LetterRoutes,
    /// In which dialects dead letters are written besides the engine's own.
    pub dialects: AddedDialects,
}

/// Sends a record once, and reports the result to the tracker of its topic.
pub(super) async fn once(producer: &KafkaProducer, topics: &TopicTracker, record: &OutgoingRecord) -> ProduceOutcome {
    once_telling(producer, topics, record, || {}).await
}

/// The same; calls `queued` when a record that is sent afterwards comes after this one.
pub(super) async fn once_telling(
    producer: &KafkaProducer,
    topics: &TopicTracker,
    record: &OutgoingRecord,
    queued: impl FnOnce() + Send,
) -> ProduceOutcome {
    let outcome = producer.send_telling(record, queued).await;
    match &outcome {
        ProduceOutcome::Delivered { .. } => topics.record_success(&record.topic),
        ProduceOutcome::Undelivered(undelivered) => {
            if let Some(rest) = rest(undelivered.kind) {
                topics.record_failure(&record.topic, &undelivered.to_string(), rest);
            }
        }
    }
    outcome
}

/// Sends a record as often as necessary. While its topic refuses records, all senders together try one record at a
/// time. Returns the record's offset when the broker has it.
///
/// # Errors
/// The broker will never take it as it is.
pub(super) async fn until_taken(
    producer: &KafkaProducer,
    topics: &TopicTracker,
    record: &OutgoingRecord,
) -> Result<i64, DeliveryFailure> {
    loop {
        topics.wait(&record.topic).await;
        match once(producer, topics, record).await {
            ProduceOutcome::Delivered { offset, .. } => return Ok(offset),
            ProduceOutcome::Undelivered(undelivered) if undelivered.kind.is_permanent() => return Err(undelivered),
            ProduceOutcome::Undelivered(_) => {}
        }
    }
}

/// How long the topic is left alone; `None`: it is the record that it does not take.
fn rest(kind: DeliveryFailureKind) -> Option<Duration> {
    match kind {
        DeliveryFailureKind::TooLarge | DeliveryFailureKind::Invalid => None,
        DeliveryFailureKind::QueueFull | DeliveryFailureKind::NotSent => Some(ROOM_AGAIN),
        DeliveryFailureKind::Refused
        | DeliveryFailureKind::UnknownTopic
        | DeliveryFailureKind::Unauthorized
        | DeliveryFailureKind::TimedOut
        | DeliveryFailureKind::Unknown => Some(TRY_AGAIN),
    }
}
