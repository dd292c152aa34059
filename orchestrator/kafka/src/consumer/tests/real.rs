//! Intake against a real broker: what the mock does not do as Kafka does.

use super::*;
use crate::{
    KafkaProducer,
    producer::DeliveryFailureKind,
    settings::{LARGEST_BATCH, USUAL_BATCH},
    testing::{create, unique},
    topics,
};
use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::RDKafkaErrorCode,
};
use std::time::Instant;

#[tokio::test]
async fn a_group_shares_partitions_and_whoever_stays_gets_them_back() {
    let Some(shop) = TopicFixture::real(4, &[]).await else { return };
    let mut first = shop.consume(shop.plan(AssignmentMode::Group));
    first.until_assigned(4).await;
    let mut second = shop.consume(shop.plan(AssignmentMode::Group));
    while second.assigned.len() < 2 || first.assigned.len() > 2 {
        tokio::select! {
            () = first.step() => {}
            () = second.step() => {}
        }
    }
    assert_eq!(second.stop().await, ConsumerStopOutcome::Clean);
    first.until_assigned(4).await;
    assert_eq!(first.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn a_partition_that_moves_takes_what_is_not_finished_with_it() {
    let Some(shop) = TopicFixture::real(2, &[]).await else { return };
    shop.place((0..20).map(|number| (number % 2, number.to_string()))).await;
    let mut first = shop.consume(shop.plan(AssignmentMode::Group));
    let records = first.records(20).await;
    let mut kept = Vec::new();
    for DeliveredRecord { record, ack } in records {
        // Of each partition five are finished.
        if record.offset < 5 { ack.finish() } else { kept.push(ack) }
    }
    let mut second = shop.consume(shop.plan(AssignmentMode::Group));
    while second.assigned.is_empty() {
        tokio::select! {
            () = first.step() => {}
            () = second.step() => {}
        }
    }
    let moved = second.records(5).await;
    assert_eq!(moved.iter().map(|one| one.record.offset).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
    // Acknowledgements of the partition that is gone change nothing there.
    kept.into_iter().for_each(RecordAck::finish);
    finish(moved);
    assert_eq!(first.stop().await, ConsumerStopOutcome::Clean);
    assert_eq!(second.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn latest_means_the_first_contact_of_the_group_for_partitions_that_come_later_too() {
    let Some(mut shop) = TopicFixture::real(1, &[]).await else { return };
    shop.place([(0, "old".into())]).await;
    let met = first_contact(&shop).await;
    let latest =
        |shop: &TopicFixture| ConsumerSettings { topics: vec![met.clone()], ..shop.plan(AssignmentMode::Group) };
    let mut intake = shop.consume(latest(&shop));
    intake.until_assigned(1).await;
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
    add_partition(&shop).await;
    // One that knows of the new partition; its records may say that they are old.
    shop.producer = KafkaProducer::start(&shop.settings).expect("a producer");
    shop.place([(1, "in the new partition".into()), (0, "in the old one".into())]).await;
    let mut intake = shop.consume(latest(&shop));
    let mut records = intake.records(2).await;
    records.sort_by_key(|one| one.record.partition);
    assert_eq!(values(&records), ["in the old one", "in the new partition"]);
    finish(records);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn reading_goes_on_at_the_oldest_record_where_committed_ones_are_gone() {
    let Some(shop) = TopicFixture::real(1, &[]).await else { return };
    shop.place(numbered(10)).await;
    let mut intake = shop.consume(shop.plan(AssignmentMode::Group));
    let mut records = intake.records(10).await;
    let rest = records.split_off(2);
    finish(records);
    drop(rest);
    intake.stop().await;
    delete_below(&shop, 6).await;
    let mut intake = shop.consume(shop.plan(AssignmentMode::Group));
    let ConsumerEvent::OffsetsLost { partition, expected, resumed, loss } = intake.next().await else {
        panic!("offsets are lost")
    };
    assert_eq!((partition, expected, resumed, loss), (shop.partition(0), 2, 6, RecordLoss::Expired { records: 4 }));
    let records = intake.records(4).await;
    assert_eq!(values(&records), ["6", "7", "8", "9"]);
    finish(records);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

/// Who has read 30 records stops; the topic is made anew, with so many.
#[tokio::test]
async fn a_topic_that_was_made_anew_while_nobody_read_is_read_whole_whatever_its_size() {
    for anew in [50, 30, 5] {
        let Some(shop) = TopicFixture::real(1, &[]).await else { return };
        shop.place(numbered(30)).await;
        let mut intake = shop.consume(shop.plan(AssignmentMode::Group));
        finish(intake.records(30).await);
        assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
        commit_again_after(&shop, async { make_anew(&shop).await }).await;
        own(&shop).await;
        shop.place(numbered(anew)).await;
        let trimmed = topics::trim(&shop.settings, &shop.settings.group, &shop.topic, "here").await;
        assert_eq!(trimmed.expect("the broker answers"), [], "what was committed of the former topic is no reason");
        let mut intake = shop.consume(shop.plan(AssignmentMode::Group));
        let ConsumerEvent::OffsetsLost { expected, resumed, loss, .. } = intake.next().await else {
            panic!("it is told")
        };
        assert_eq!((expected, resumed, loss), (30, 0, RecordLoss::Replaced { records: 0 }));
        let records = intake.records(anew).await;
        assert_eq!(records[0].record.offset, 0);
        finish(records);
        assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
    }
}

#[tokio::test]
async fn a_topic_that_is_made_anew_while_it_is_read_is_read_whole_even_if_it_has_grown_past_the_old_position() {
    let Some(shop) = TopicFixture::real(1, &[]).await else { return };
    shop.place(numbered(30)).await;
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    finish(intake.records(30).await);
    make_anew(&shop).await;
    shop.place(numbered(50)).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 50 {
        match intake.event().await {
            ConsumerEvent::Records(records) => {
                seen.extend(records.iter().map(|one| one.record.offset));
                finish(records);
            }
            ConsumerEvent::Assigned(_)
            | ConsumerEvent::Revoked(_)
            | ConsumerEvent::FirstContact { .. }
            | ConsumerEvent::OffsetsLost { .. }
            | ConsumerEvent::Trouble(_)
            | ConsumerEvent::Recovered => {}
            ConsumerEvent::Failed(reason) => panic!("{reason}"),
        }
    }
    intake.stop().await;
}

#[tokio::test]
async fn where_offsets_expired_a_known_topic_is_read_from_its_first_contact_and_one_made_anew_from_its_oldest_record() {
    let Some(shop) = TopicFixture::real(1, &[]).await else { return };
    shop.place(numbered(10)).await;
    let met = first_contact(&shop).await;
    shop.place([(0, "since".into())]).await;
    // A group of another name has no committed offsets, as one whose offsets expired.
    let expired = |shop: &TopicFixture| ConsumerSettings {
        topics: vec![met.clone()],
        group: unique("expired-"),
        ..shop.plan(AssignmentMode::Manual)
    };
    let mut intake = shop.consume(expired(&shop));
    let records = intake.records(1).await;
    assert_eq!(values(&records), ["since"]);
    finish(records);
    intake.stop().await;
    make_anew(&shop).await;
    shop.place(numbered(20)).await;
    let mut intake = shop.consume(expired(&shop));
    let records = intake.records(20).await;
    assert_eq!(records[0].record.offset, 0);
    finish(records);
    intake.stop().await;
}

#[tokio::test]
async fn what_everybody_has_read_can_be_removed() {
    let Some(shop) = TopicFixture::real(2, &[]).await else { return };
    shop.place(numbered(10)).await;
    let group = &shop.settings.group;
    own(&shop).await;
    let trim = async || topics::trim(&shop.settings, group, &shop.topic, "here").await;
    assert_eq!(trim().await.expect("nothing to do"), []);
    let mut intake = shop.consume(shop.plan(AssignmentMode::Group));
    finish(intake.records(10).await);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
    let stranger = topics::trim(&shop.settings, group, &shop.topic, "elsewhere").await;
    assert!(matches!(stranger, Err(topics::TopicError::OtherInstallation { .. })), "{stranger:?}");
    let trimmed = trim().await.expect("trimmed");
    assert_eq!(trimmed, [topics::TrimmedPartition { partition: shop.partition(0), oldest: 10 }]);
    assert_eq!(trim().await.expect("nothing left"), []);
}

#[tokio::test]
async fn a_record_of_100_megabytes_is_read_and_those_beside_it_too() {
    // As large as a broker takes with its default `socket.request.max.bytes`.
    const LARGE: usize = 100_000_000;
    let limit = LARGEST_BATCH.to_string();
    let Some(mut shop) = TopicFixture::real(1, &[("max.message.bytes", &limit)]).await else { return };
    shop.settings.properties.insert("message.max.bytes".into(), limit.clone());
    shop.settings.properties.insert("queue.buffering.max.kbytes".into(), "262144".into());
    shop.producer = KafkaProducer::start(&shop.settings).expect("a producer");
    shop.place([(0, "before".into())]).await;
    let large = OutgoingRecord { value: Some(Bytes::from(vec![b'x'; LARGE])), ..shop.order(0, "") };
    let outcome = shop.producer.send(&large).await;
    assert!(outcome.is_delivered(), "{outcome:?}");
    shop.place([(0, "after".into())]).await;
    let mut intake =
        shop.consume(ConsumerSettings { largest_batch: LARGEST_BATCH, ..shop.plan(AssignmentMode::Group) });
    let sizes = |records: &[DeliveredRecord]| records.iter().map(|one| one.record.size() > LARGE).collect::<Vec<_>>();
    let records = intake.records(2).await;
    assert_eq!(sizes(&records), [false, true]);
    // It is more than may be unfinished at once: nothing further is read until it is finished.
    finish(records);
    let records = intake.records(1).await;
    assert_eq!(sizes(&records), [false]);
    finish(records);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn the_broker_s_refusals_are_told_apart() {
    let Some(shop) = TopicFixture::real(1, &[]).await else { return };
    let kind = |outcome| match outcome {
        ProduceOutcome::Undelivered(undelivered) => undelivered.kind,
        ProduceOutcome::Delivered { .. } => panic!("delivered"),
    };
    let large = OutgoingRecord { value: Some(Bytes::from(vec![0; 3 * 1024 * 1024])), ..shop.order(0, "") };
    assert_eq!(kind(shop.producer.send(&large).await), DeliveryFailureKind::TooLarge);
    let nowhere = OutgoingRecord { topic: "no.such.topic".into(), partition: None, ..shop.order(0, "") };
    assert_eq!(kind(shop.producer.send(&nowhere).await), DeliveryFailureKind::UnknownTopic);
    let no_partition = OutgoingRecord { partition: Some(7), ..shop.order(0, "") };
    assert_eq!(kind(shop.producer.send(&no_partition).await), DeliveryFailureKind::UnknownTopic);
    shop.place([(0, "fine".into())]).await;
    assert!(shop.producer.flush(Duration::from_secs(10)).await);
}

fn admin(shop: &TopicFixture) -> AdminClient<rdkafka::client::DefaultClientContext> {
    shop.settings.client().create().expect("a client")
}

/// With its place in each partition, as the caller of the consumer keeps it.
async fn first_contact(shop: &TopicFixture) -> TopicStart {
    let start = TopicStart { topic: shop.topic.clone(), from: TriggerStartPosition::Latest, initial_offsets: None };
    let met = initial_offsets(&shop.settings, &shop.settings.group, &start).await.expect("the broker answers");
    TopicStart { initial_offsets: Some(Arc::new(met)), ..start }
}

/// Marks the topic as one of the installation `here`.
async fn own(shop: &TopicFixture) {
    let mark: Arc<str> = format!("{}.installation", shop.topic).into();
    create(&shop.settings, &mark, 1, &[]).await;
    let mark = OutgoingRecord { topic: mark, ..shop.order(0, "here") };
    assert!(shop.producer.send(&mark).await.is_delivered());
}

async fn make_anew(shop: &TopicFixture) {
    let results = admin(shop).delete_topics(&[&shop.topic], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    create(&shop.settings, &shop.topic, 1, &[]).await;
}

/// The broker forgets the offsets of a topic that is deleted; an engine that still runs commits them once more.
async fn commit_again_after(shop: &TopicFixture, change: impl Future<Output = ()>) {
    let consumer: BaseConsumer = shop.settings.consumer(&shop.settings.group, USUAL_BATCH).create().expect("a client");
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&shop.topic, 0);
    let committed = consumer.committed_offsets(asked, Duration::from_secs(10)).expect("the broker answers");
    change.await;
    // The broker hears of a new topic from its controller some moments after the topic was made.
    let began = Instant::now();
    loop {
        match consumer.commit(&committed, CommitMode::Sync) {
            Err(error)
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition)
                    && began.elapsed() < Duration::from_secs(10) => {}
            answer => break answer.expect("committed"),
        }
    }
}

async fn add_partition(shop: &TopicFixture) {
    let more = rdkafka::admin::NewPartitions::new(&shop.topic, 2);
    let results = admin(shop).create_partitions(&[more], &AdminOptions::new()).await.expect("the broker answers");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

async fn delete_below(shop: &TopicFixture, offset: i64) {
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&shop.topic, 0, Offset::Offset(offset)).expect("an offset");
    admin(shop).delete_records(&below, &AdminOptions::new()).await.expect("the broker answers");
}
