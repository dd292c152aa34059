//! Intake against the mock broker.

mod real;

use super::*;
use crate::{
    fixture::{TopicFixture, finish, numbered, text, values},
    producer::ProduceOutcome,
};
use bytes::Bytes;
use saga_wire::{OutgoingRecord, record::text_header};

#[tokio::test]
async fn what_is_not_finished_is_delivered_again_after_a_restart() {
    let shop = TopicFixture::mock(1);
    shop.place(numbered(10)).await;
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    let records = intake.records(10).await;
    assert_eq!(intake.contacts.get("shop.orders"), Some(&10));
    let mut kept = Vec::new();
    for DeliveredRecord { record, ack } in records {
        // 4 is not finished: what follows it is delivered again although it is.
        if record.offset == 4 { kept.push(ack) } else { ack.finish() }
    }
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Unfinished(1));
    drop(kept);
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    let again = intake.records(6).await;
    assert_eq!(values(&again), ["4", "5", "6", "7", "8", "9"]);
    assert!(intake.contacts.is_empty(), "the topic is known");
    finish(again);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn an_abandoned_record_comes_again_without_a_restart() {
    let shop = TopicFixture::mock(1);
    shop.place(numbered(3)).await;
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    for DeliveredRecord { record, ack } in intake.records(3).await {
        if record.offset != 1 {
            ack.finish();
        }
    }
    let again = intake.records(2).await;
    assert_eq!(values(&again), ["1", "2"]);
    finish(again);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn too_much_unfinished_pauses_intake_and_finishing_resumes_it() {
    let shop = TopicFixture::mock(2);
    shop.place((0..200).map(|number| (number % 2, number.to_string()))).await;
    let limits =
        BackpressureLimits { unfinished_records: 20, unfinished_bytes: usize::MAX, ..BackpressureLimits::default() };
    let mut intake = shop.consume(ConsumerSettings { limits, ..shop.plan(AssignmentMode::Manual) });
    let first = intake.records(20).await;
    intake.until_status(|status| status.paused == 2 && status.unfinished_records == 20).await;
    assert!(intake.events.try_recv().is_err(), "nothing is delivered while paused");
    let mut seen = values(&first);
    finish(first);
    while seen.len() < 200 {
        for DeliveredRecord { record, ack } in intake.records(1).await {
            seen.push(text(&record));
            ack.finish();
        }
    }
    seen.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    assert_eq!(seen, (0..200).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

/// Batches are larger than what may be unfinished, and settled all at once by other threads while intake is paused.
#[tokio::test]
async fn no_acknowledgement_is_lost_at_the_limit_of_unfinished_records() {
    const UNFINISHED: usize = 8;
    let shop = TopicFixture::mock(3);
    shop.place((0..120).map(|number| (number % 3, number.to_string()))).await;
    let limits = BackpressureLimits { unfinished_records: UNFINISHED, ..BackpressureLimits::default() };
    let mut intake = shop.consume(ConsumerSettings { limits, ..shop.plan(AssignmentMode::Manual) });
    let mut seen = Vec::new();
    while seen.len() < 120 {
        let records = intake.records(UNFINISHED.min(120 - seen.len())).await;
        assert!(records.len() <= UNFINISHED, "{} are unfinished", records.len());
        seen.extend(values(&records));
        std::thread::scope(|threads| records.into_iter().for_each(|one| drop(threads.spawn(|| one.ack.finish()))));
    }
    seen.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    assert!(seen.iter().cloned().eq((0..120).map(|number: u32| number.to_string())), "each comes once: {seen:?}");
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean, "every acknowledgement has come");
}

#[tokio::test]
async fn a_held_partition_waits_while_the_other_goes_on() {
    let shop = TopicFixture::mock(2);
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    intake.until_assigned(2).await;
    let held = shop.partition(0);
    intake.consumer.hold(held.clone());
    intake.until_status(|status| status.paused == 1).await;
    shop.place([(0, "held".into()), (1, "free".into())]).await;
    let free = intake.records(1).await;
    assert_eq!(values(&free), ["free"]);
    intake.consumer.release(&held);
    let released = intake.records(1).await;
    assert_eq!(values(&released), ["held"]);
    finish(free);
    finish(released);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn latest_begins_with_what_is_produced_from_now_on_and_stays_there_over_a_restart() {
    let shop = TopicFixture::mock(1);
    shop.place([(0, "old".into())]).await;
    let latest = || ConsumerSettings {
        topics: vec![TopicStart {
            topic: shop.topic.clone(),
            from: TriggerStartPosition::Latest,
            initial_offsets: None,
        }],
        ..shop.plan(AssignmentMode::Manual)
    };
    let mut intake = shop.consume(latest());
    intake.until_assigned(1).await;
    assert_eq!(intake.contacts.get("shop.orders"), Some(&0));
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
    shop.place([(0, "between".into())]).await;
    let mut intake = shop.consume(latest());
    let records = intake.records(1).await;
    assert_eq!(values(&records), ["between"]);
    finish(records);
    intake.stop().await;
}

#[tokio::test]
async fn topics_can_be_changed_while_intake_runs() {
    let shop = TopicFixture::mock(1);
    let broker = shop.mock.as_ref().expect("a mock broker");
    broker.create_topic("shop.returns", 2).expect("a topic");
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    intake.until_assigned(1).await;
    intake.consumer.set_topics(vec![TopicStart::earliest("shop.returns"), TopicStart::earliest(&shop.topic)]);
    intake.until_assigned(3).await;
    intake.consumer.set_topics(vec![TopicStart::earliest("shop.returns")]);
    intake.until_assigned(2).await;
    assert!(intake.assigned.iter().all(|one| &*one.topic == "shop.returns"));
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn an_unreachable_broker_is_told_and_its_return_too() {
    let shop = TopicFixture::mock(1);
    let broker = shop.mock.as_ref().expect("a mock broker");
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    intake.until_assigned(1).await;
    broker.set_reachable(false).expect("down");
    assert!(matches!(intake.next().await, ConsumerEvent::Trouble(message) if !message.is_empty()));
    intake.until_status(|status| status.trouble.is_some()).await;
    broker.set_reachable(true).expect("up");
    while !matches!(intake.next().await, ConsumerEvent::Recovered) {}
    shop.place([(0, "after".into())]).await;
    let records = intake.records(1).await;
    assert_eq!(values(&records), ["after"]);
    finish(records);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}

#[tokio::test]
async fn a_stop_while_the_broker_is_away_does_not_wait_for_it() {
    let shop = TopicFixture::mock(1);
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    intake.until_assigned(1).await;
    shop.mock.as_ref().expect("a mock broker").set_reachable(false).expect("down");
    assert!(matches!(intake.next().await, ConsumerEvent::Trouble(_)));
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Abandoned);
}

#[tokio::test]
async fn a_handle_that_is_dropped_ends_intake() {
    let shop = TopicFixture::mock(1);
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    intake.until_assigned(1).await;
    drop(intake.consumer);
    while intake.events.recv().await.is_some() {}
}

#[tokio::test]
async fn records_arrive_byte_for_byte() {
    let shop = TopicFixture::mock(1);
    let order = || shop.order(0, "");
    let odd = vec![
        OutgoingRecord { key: None, value: None, headers: vec![], ..order() },
        OutgoingRecord {
            key: Some(Bytes::new()),
            value: Some(Bytes::new()),
            headers: vec![("x".into(), None)],
            ..order()
        },
        OutgoingRecord {
            key: Some(Bytes::from_static(&[0, 0xff])),
            value: Some(Bytes::from_static(&[0xfe, 0, 1])),
            headers: vec![
                text_header("a", "1"),
                ("a".into(), Some(Bytes::from_static(&[0xff]))),
                ("a".into(), Some(Bytes::new())),
            ],
            ..order()
        },
    ];
    for outgoing in &odd {
        assert!(matches!(shop.producer.send(outgoing).await, ProduceOutcome::Delivered { partition: 0, .. }));
    }
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    for (sent, DeliveredRecord { record, ack }) in odd.iter().zip(intake.records(3).await) {
        assert_eq!((&record.key, &record.value, &record.headers), (&sent.key, &sent.value, &sent.headers));
        assert!(record.timestamp.0 > 0);
        ack.finish();
    }
    intake.stop().await;
}

/// A DLQ record that went through a broker is the poison record, byte for byte, and what is known of it.
#[tokio::test]
async fn a_dead_letter_keeps_the_record_byte_for_byte() {
    use saga_wire::{PoisonCode, PoisonDiagnosis, dead_letter};
    let shop = TopicFixture::mock(1);
    shop.mock.as_ref().expect("a mock broker").create_topic("saga.dlq", 1).expect("a topic");
    let odd = [None, Some(Bytes::new()), Some(Bytes::from_static(&[0, 0xff]))];
    for bytes in &odd {
        let headers = vec![("h".into(), bytes.clone()), ("h".into(), None), text_header("h", "")];
        let outgoing = OutgoingRecord { key: bytes.clone(), value: bytes.clone(), headers, ..shop.order(0, "") };
        assert!(shop.producer.send(&outgoing).await.is_delivered());
    }
    let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "no");
    let mut intake = shop.consume(shop.plan(AssignmentMode::Manual));
    let originals = intake.records(odd.len()).await;
    for DeliveredRecord { record, .. } in &originals {
        let dead = dead_letter::record(
            &"saga.dlq".into(),
            record,
            &poison,
            None,
            dead_letter::DeadLetterForm::of(record, &[]),
            record.timestamp,
        );
        assert!(shop.producer.send(&dead).await.is_delivered());
    }
    intake.consumer.set_topics(vec![TopicStart::earliest("saga.dlq")]);
    let dead = intake.records(odd.len()).await;
    for (original, dead) in originals.iter().zip(&dead) {
        let (original, dead) = (&original.record, &dead.record);
        assert_eq!((&original.key, &original.value), (&dead.key, &dead.value));
        assert_eq!(original.headers[..], dead.headers[..original.headers.len()]);
        assert_eq!(dead.header_text("saga_dlq_id"), Some(&*original.coordinates().to_string()));
    }
    finish(originals);
    finish(dead);
    assert_eq!(intake.stop().await, ConsumerStopOutcome::Clean);
}
