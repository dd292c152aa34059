//! Records out, and what that tells of their topics.

use saga_kafka::{
    Producer,
    producer::{Outcome, Undelivered, UndeliveredKind},
};
use saga_resilience::topics::Topics;
use saga_wire::Outgoing;
use std::time::Duration;

/// When a topic that refused is tried again: a topic or a permission takes a person, so there is no hurry.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The same where the client had no room.
const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Sends a record once.
pub(super) async fn once(producer: &Producer, topics: &Topics, record: &Outgoing) -> Outcome {
    let outcome = producer.send(record).await;
    match &outcome {
        Outcome::Delivered { .. } => topics.took(&record.topic),
        Outcome::Undelivered(undelivered) => {
            if let Some(rest) = rest(undelivered.kind) {
                topics.refused(&record.topic, &undelivered.to_string(), rest);
            }
        }
    }
    outcome
}

/// Sends a record as often as it takes; while its topic refuses, one record at a time is tried, whoever has it. Returns its offset when the
/// broker has it.
///
/// # Errors
/// The broker will never take it as it is.
pub(super) async fn until_taken(producer: &Producer, topics: &Topics, record: &Outgoing) -> Result<i64, Undelivered> {
    loop {
        topics.wait(&record.topic).await;
        match once(producer, topics, record).await {
            Outcome::Delivered { offset, .. } => return Ok(offset),
            Outcome::Undelivered(undelivered) if undelivered.kind.is_for_good() => return Err(undelivered),
            Outcome::Undelivered(_) => {}
        }
    }
}

/// How long the topic is left alone; `None`: it is the record that it does not take.
fn rest(kind: UndeliveredKind) -> Option<Duration> {
    match kind {
        UndeliveredKind::TooLarge | UndeliveredKind::Invalid => None,
        UndeliveredKind::QueueFull | UndeliveredKind::NotSent => Some(ROOM_AGAIN),
        UndeliveredKind::Refused
        | UndeliveredKind::UnknownTopic
        | UndeliveredKind::Unauthorized
        | UndeliveredKind::TimedOut
        | UndeliveredKind::Unknown => Some(TRY_AGAIN),
    }
}
