//! What a broker says of batches, and what is believed of records.

use super::*;
use crate::{
    fixture::{TopicFixture, numbered},
    settings::USUAL_BATCH,
    topics,
};
use bytes::Bytes;
use futures_util::future::join_all;

/// Larger than any of these topics takes.
const TOO_LARGE: usize = 20_000;

/// `count` records of `bytes` each, all at once.
async fn send_all(shop: &TopicFixture, count: usize, bytes: usize) -> Vec<ProduceOutcome> {
    let record = |number: usize| OutgoingRecord {
        key: Some(Bytes::from(format!("order-{number}"))),
        value: Some(Bytes::from(vec![b'x'; bytes])),
        ..shop.order(0, "")
    };
    let records: Vec<OutgoingRecord> = (0..count).map(record).collect();
    join_all(records.iter().map(|record| shop.producer.send(record))).await
}

fn kind(outcome: &ProduceOutcome) -> Option<DeliveryFailureKind> {
    match outcome {
        ProduceOutcome::Delivered { .. } => None,
        ProduceOutcome::Undelivered(undelivered) => Some(undelivered.kind),
    }
}

#[tokio::test]
async fn records_that_each_fit_are_delivered_though_their_batch_does_not_fit() {
    let Some(shop) = TopicFixture::real(1, &[("max.message.bytes", "4096")]).await else { return };
    let outcomes = send_all(&shop, 500, 700).await;
    assert!(outcomes.iter().all(ProduceOutcome::is_delivered), "{:?}", outcomes.iter().find_map(kind));
    assert_ne!(shop.producer.pool.class_of(&shop.topic), BatchSizeClass::Default, "it has learned");
}

#[tokio::test]
async fn a_record_that_is_too_large_takes_no_other_along() {
    let Some(shop) = TopicFixture::real(1, &[("max.message.bytes", "16384")]).await else { return };
    let large = OutgoingRecord { value: Some(Bytes::from(vec![b'x'; TOO_LARGE])), ..shop.order(0, "") };
    let (outcomes, too_large) = tokio::join!(send_all(&shop, 300, 100), shop.producer.send(&large));
    assert!(outcomes.iter().all(ProduceOutcome::is_delivered), "{:?}", outcomes.iter().find_map(kind));
    assert_eq!(kind(&too_large), Some(DeliveryFailureKind::TooLarge));
}

#[tokio::test]
async fn a_record_without_a_key_takes_no_other_of_a_compacted_topic_along() {
    let Some(shop) = TopicFixture::real(1, &[("cleanup.policy", "compact")]).await else { return };
    let keyless = shop.order(0, "no key");
    let (outcomes, invalid) = tokio::join!(send_all(&shop, 300, 100), shop.producer.send(&keyless));
    assert!(outcomes.iter().all(ProduceOutcome::is_delivered), "{:?}", outcomes.iter().find_map(kind));
    assert_eq!(kind(&invalid), Some(DeliveryFailureKind::Invalid));
}

/// The engine's clock or the topic's limit is wrong: an operator can correct both, and no saga failed.
#[tokio::test]
async fn a_timestamp_that_the_topic_refuses_is_no_fault_of_the_record() {
    let config = [("message.timestamp.before.max.ms", "0")];
    let Some(shop) = TopicFixture::real(1, &config).await else { return };
    let outcomes = send_all(&shop, 100, 100).await;
    let refused: Vec<_> = outcomes.iter().filter_map(kind).collect();
    assert!(refused.iter().all(|kind| *kind == DeliveryFailureKind::Refused), "{refused:?}");
    assert!(!refused.is_empty(), "a record that is a millisecond old is too old");
}

#[tokio::test]
async fn batches_stay_below_what_a_topic_is_known_to_take() {
    let config = [("max.message.bytes", "40000")];
    let Some(shop) = TopicFixture::real(1, &config).await else { return };
    let unknown: Arc<str> = "no.such.topic".into();
    let limits = topics::read_limits(&shop.settings, vec![Arc::clone(&shop.topic), unknown]).await.expect("an answer");
    assert_eq!(limits, TopicBatchLimits::from([(Arc::clone(&shop.topic), 40_000)]));
    shop.producer.set_topic_limits(&limits);
    assert_eq!(shop.producer.pool.class_of(&shop.topic), BatchSizeClass::Small);
    let outcomes = send_all(&shop, 500, 700).await;
    assert!(outcomes.iter().all(ProduceOutcome::is_delivered), "{:?}", outcomes.iter().find_map(kind));
    assert_eq!(shop.producer.pool.clients().len(), 2, "no batch was refused, and nothing sent alone");
}

#[tokio::test]
async fn what_is_learned_of_a_topic_counts_until_something_else_is_learned() {
    let shop = TopicFixture::mock(1);
    let (pool, topic) = (&shop.producer.pool, &shop.topic);
    let learn = |bytes| pool.set_topic_limits(&TopicBatchLimits::from([(Arc::clone(topic), bytes)]));
    assert_eq!(pool.class_of(topic), BatchSizeClass::Default, "nothing is known");
    pool.limits_wanted().await;
    pool.use_smaller_batches(topic, BatchSizeClass::Default);
    assert_eq!(pool.class_of(topic), BatchSizeClass::Small);
    pool.limits_wanted().await;
    pool.use_smaller_batches(topic, BatchSizeClass::Default);
    assert_eq!(pool.class_of(topic), BatchSizeClass::Small, "that was of a batch before it was known");
    pool.use_smaller_batches(topic, BatchSizeClass::Small);
    assert_eq!(pool.class_of(topic), BatchSizeClass::Single);
    learn(USUAL_BATCH);
    assert_eq!(pool.class_of(topic), BatchSizeClass::Default);
    learn(100);
    assert_eq!(pool.class_of(topic), BatchSizeClass::Single);
    shop.place(numbered(3)).await;
    assert!(shop.producer.flush(Duration::from_secs(10)).await);
}
