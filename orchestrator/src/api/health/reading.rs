//! The state of reading from Kafka, as JSON and as metrics.

use saga_core::time::Timestamp;
use saga_kafka::consumer::{ConsumerStatus, ForeignMember, PartitionStatus, PauseReason};
use saga_resilience::json_format::millis;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Instant};

/// The partitions of a topic that this engine reads; possibly none.
#[derive(Default)]
struct TopicReadView {
    partitions: usize,
    paused: BTreeMap<PauseReason, usize>,
    lag: u64,
    /// Timestamp of the oldest record that was read and is not finished.
    oldest: Option<Timestamp>,
    held_back: u64,
}

fn topics(status: &ConsumerStatus) -> BTreeMap<&str, TopicReadView> {
    let mut topics: BTreeMap<&str, TopicReadView> =
        status.topics.iter().map(|topic| (&**topic, TopicReadView::default())).collect();
    for one in &status.partitions {
        let topic = topics.entry(&one.partition.topic).or_default();
        topic.partitions += 1;
        topic.lag += one.lag();
        topic.oldest = topic.oldest.into_iter().chain(one.oldest_written_at).min();
        topic.held_back += held_back(one);
        if let Some(pause) = one.pause {
            *topic.paused.entry(pause).or_default() += 1;
        }
    }
    topics
}

/// A record that is in progress is not held back.
fn held_back(one: &PartitionStatus) -> u64 {
    if one.held_since.is_some() { one.held_back } else { 0 }
}

/// A consumer in the answer of `/health/ready`.
pub(super) fn shown(status: &ConsumerStatus, now: Instant) -> Value {
    let ago = |at: Option<Instant>| at.map(|at| millis(now.saturating_duration_since(at)));
    let topic = |(name, topic): (&str, TopicReadView)| {
        let paused: serde_json::Map<String, Value> =
            topic.paused.iter().map(|(pause, count)| (pause.to_string(), (*count).into())).collect();
        let shown = json!({
            "partitions": topic.partitions, "paused": paused, "lag": topic.lag, "heldBack": topic.held_back,
        });
        (name.to_owned(), shown)
    };
    let topics: serde_json::Map<String, Value> = topics(status).into_iter().map(topic).collect();
    let foreign =
        |one: &ForeignMember| json!({"clientId": one.client_id, "host": one.host, "partitions": one.partitions});
    json!({
        "partitions": status.assigned, "lastReadAgoMs": ago(status.last_read), "topics": topics,
        "unassigned": status.coverage.unassigned, "heldByOthers": status.coverage.foreign.iter().map(foreign).collect::<Vec<_>>(),
    })
}

/// For `/metrics`: the state at the time of the scrape.
pub(super) fn measure(status: &ConsumerStatus, now: Instant, wall: Timestamp) {
    let consumer = status.name;
    if let Some(at) = status.last_read.or(status.started) {
        metrics::gauge!("saga_kafka_last_read_age_seconds", "consumer" => consumer)
            .set(now.saturating_duration_since(at).as_secs_f64());
    }
    let topics = topics(status);
    for (name, topic) in &topics {
        let gauge =
            |metric: &'static str| metrics::gauge!(metric, "consumer" => consumer, "topic" => (*name).to_owned());
        gauge("saga_kafka_partitions_owned").set(count(topic.partitions as u64));
        gauge("saga_kafka_lag_records").set(count(topic.lag));
        let behind_ms = topic.oldest.map_or(0, |at| u64::try_from(wall.0 - at.0).unwrap_or(0));
        gauge("saga_kafka_lag_seconds").set(count(behind_ms) / 1000.0);
        gauge("saga_kafka_held_back_records").set(count(topic.held_back));
        for pause in [PauseReason::Unfinished, PauseReason::Held, PauseReason::ReadAgain] {
            let paused = topic.paused.get(&pause).copied().unwrap_or_default();
            let labels =
                [("consumer", consumer.to_owned()), ("topic", (*name).to_owned()), ("reason", pause.to_string())];
            metrics::gauge!("saga_kafka_partitions_paused", &labels).set(count(paused as u64));
        }
    }
    let foreign = status.coverage.foreign.iter().map(|one| one.partitions as u64).sum();
    metrics::gauge!("saga_kafka_partitions_foreign", "consumer" => consumer).set(count(foreign));
    metrics::gauge!("saga_kafka_partitions_unheld", "consumer" => consumer)
        .set(count(status.coverage.unassigned as u64));
    let hindered = !status.problems(now).is_empty();
    metrics::gauge!("saga_kafka_hindered", "consumer" => consumer).set(f64::from(u8::from(hindered)));
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn count(number: u64) -> f64 {
    number as f64
}
