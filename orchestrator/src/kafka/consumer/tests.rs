//! Intake against the mock broker, and against a real one where `SAGA_TEST_KAFKA` names it.

use super::*;
use crate::kafka::{Outgoing, Producer, mock::MockBroker, producer::Outcome, record::text_header};
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::time::timeout;

/// Far above what any of these needs; reached only by a fault.
const PATIENCE: Duration = Duration::from_secs(30);

struct Shop {
    broker: MockBroker,
    settings: Settings,
    producer: Producer,
}

fn shop(partitions: i32) -> Shop {
    let broker = MockBroker::start().expect("a mock broker");
    broker.create_topic("shop.orders", partitions).expect("a topic");
    let settings = Settings::new(broker.bootstrap_servers(), "saga");
    let producer = Producer::start(&settings).expect("a producer");
    Shop { broker, settings, producer }
}

fn order(partition: i32, value: &str) -> Outgoing {
    Outgoing {
        topic: "shop.orders".into(),
        partition: Some(partition),
        key: None,
        value: Some(Bytes::from(value.to_owned())),
        headers: vec![text_header("ce_type", "OrderPlaced")],
    }
}

impl Shop {
    async fn place(&self, orders: impl IntoIterator<Item = (i32, String)>) {
        for (partition, value) in orders {
            let outcome = self.producer.send(&order(partition, &value)).await;
            assert!(outcome.is_delivered(), "{outcome:?}");
        }
    }

    fn consumer(&self, plan: Plan) -> Intake {
        let (consumer, events) = Consumer::start(&self.settings, plan).expect("a consumer");
        Intake { consumer, events, contacts: BTreeMap::new(), assigned: Vec::new() }
    }
}

fn by_hand(limits: Limits) -> Plan {
    Plan {
        name: "triggers",
        group: "saga".into(),
        mode: Mode::Manual,
        topics: vec![TopicStart::earliest("shop.orders")],
        limits,
        largest_batch: crate::kafka::settings::USUAL_BATCH,
    }
}

struct Intake {
    consumer: Consumer,
    events: mpsc::Receiver<ConsumerEvent>,
    contacts: BTreeMap<String, u64>,
    assigned: Vec<TopicPartition>,
}

impl Intake {
    async fn event(&mut self) -> ConsumerEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("intake runs")
    }

    /// The next `count` records.
    async fn records(&mut self, count: usize) -> Vec<Delivered> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.event().await {
                ConsumerEvent::Records(records) => all.extend(records),
                ConsumerEvent::FirstContact { topic, records } => {
                    self.contacts.insert(topic.to_string(), records);
                }
                ConsumerEvent::Assigned(partitions) => self.assigned.extend(partitions),
                ConsumerEvent::Revoked(partitions) => self.assigned.retain(|one| !partitions.contains(one)),
                other => panic!("unexpected {other:?}"),
            }
        }
        all
    }

    async fn until_assigned(&mut self, count: usize) {
        while self.assigned.len() < count {
            match self.event().await {
                ConsumerEvent::Assigned(partitions) => self.assigned.extend(partitions),
                ConsumerEvent::FirstContact { topic, records } => {
                    self.contacts.insert(topic.to_string(), records);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn until_status(&mut self, wanted: impl Fn(&Status) -> bool) {
        let mut status = self.consumer.status();
        timeout(PATIENCE, status.wait_for(wanted)).await.expect("in time").expect("intake runs");
    }

    async fn stop(self) -> Stopped {
        self.consumer.stop(Duration::from_secs(10)).await
    }
}

fn values(records: &[Delivered]) -> Vec<String> {
    records.iter().map(|one| text(&one.record)).collect()
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.as_deref().unwrap_or_default().to_vec()).expect("text")
}

fn numbered(count: usize) -> impl Iterator<Item = (i32, String)> {
    (0..count).map(|number| (0, number.to_string()))
}

#[tokio::test]
async fn what_is_not_finished_is_delivered_again_after_a_restart() {
    let shop = shop(1);
    shop.place(numbered(10)).await;
    let mut intake = shop.consumer(by_hand(Limits::default()));
    let records = intake.records(10).await;
    assert_eq!(intake.contacts.get("shop.orders"), Some(&10));
    let mut kept = Vec::new();
    for Delivered { record, ack } in records {
        // 4 is not finished: what follows it is delivered again although it is.
        if record.offset == 4 { kept.push(ack) } else { ack.finish() }
    }
    assert_eq!(intake.stop().await, Stopped::Unfinished(1));
    drop(kept);
    let mut intake = shop.consumer(by_hand(Limits::default()));
    let again = intake.records(6).await;
    assert_eq!(values(&again), ["4", "5", "6", "7", "8", "9"]);
    assert!(intake.contacts.is_empty(), "the topic is known");
    again.into_iter().for_each(|one| one.ack.finish());
    assert_eq!(intake.stop().await, Stopped::Clean);
}

#[tokio::test]
async fn an_abandoned_record_comes_again_without_a_restart() {
    let shop = shop(1);
    shop.place(numbered(3)).await;
    let mut intake = shop.consumer(by_hand(Limits::default()));
    for Delivered { record, ack } in intake.records(3).await {
        if record.offset != 1 {
            ack.finish();
        }
    }
    let again = intake.records(2).await;
    assert_eq!(values(&again), ["1", "2"]);
    again.into_iter().for_each(|one| one.ack.finish());
    assert_eq!(intake.stop().await, Stopped::Clean);
}

#[tokio::test]
async fn too_much_unfinished_pauses_intake_and_finishing_resumes_it() {
    let shop = shop(2);
    shop.place((0..200).map(|number| (number % 2, number.to_string()))).await;
    let limits = Limits { unfinished_records: 20, unfinished_bytes: usize::MAX };
    let mut intake = shop.consumer(by_hand(limits));
    let first = intake.records(20).await;
    intake.until_status(|status| status.paused == 2 && status.unfinished_records == 20).await;
    assert!(intake.events.try_recv().is_err(), "nothing is delivered while paused");
    let mut seen = values(&first);
    first.into_iter().for_each(|one| one.ack.finish());
    while seen.len() < 200 {
        for Delivered { record, ack } in intake.records(1).await {
            seen.push(text(&record));
            ack.finish();
        }
    }
    seen.sort_by_key(|value| value.parse::<u32>().expect("a number"));
    assert_eq!(seen, (0..200).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    assert_eq!(intake.stop().await, Stopped::Clean);
}

#[tokio::test]
async fn a_held_partition_waits_while_the_other_goes_on() {
    let shop = shop(2);
    let mut intake = shop.consumer(by_hand(Limits::default()));
    intake.until_assigned(2).await;
    let held = Scope::Partition(TopicPartition { topic: "shop.orders".into(), partition: 0 });
    intake.consumer.hold(held.clone());
    intake.until_status(|status| status.paused == 1).await;
    shop.place([(0, "held".into()), (1, "free".into())]).await;
    let free = intake.records(1).await;
    assert_eq!(values(&free), ["free"]);
    intake.consumer.release(held);
    let released = intake.records(1).await;
    assert_eq!(values(&released), ["held"]);
    free.into_iter().chain(released).for_each(|one| one.ack.finish());
    assert_eq!(intake.stop().await, Stopped::Clean);
}

#[tokio::test]
async fn latest_begins_with_what_is_produced_from_now_on_and_stays_there_over_a_restart() {
    let shop = shop(1);
    shop.place([(0, "old".into())]).await;
    let latest = || Plan {
        topics: vec![TopicStart { topic: "shop.orders".into(), from: TriggerFrom::Latest }],
        ..by_hand(Limits::default())
    };
    let mut intake = shop.consumer(latest());
    intake.until_assigned(1).await;
    assert_eq!(intake.contacts.get("shop.orders"), Some(&0));
    assert_eq!(intake.stop().await, Stopped::Clean);
    shop.place([(0, "between".into())]).await;
    let mut intake = shop.consumer(latest());
    let records = intake.records(1).await;
    assert_eq!(values(&records), ["between"]);
    records.into_iter().for_each(|one| one.ack.finish());
    intake.stop().await;
}

#[tokio::test]
async fn an_unreachable_broker_is_told_and_its_return_too() {
    let shop = shop(1);
    let mut intake = shop.consumer(by_hand(Limits::default()));
    intake.until_assigned(1).await;
    shop.broker.set_reachable(false).expect("down");
    loop {
        if let ConsumerEvent::Trouble(message) = intake.event().await {
            assert!(!message.is_empty());
            break;
        }
    }
    shop.broker.set_reachable(true).expect("up");
    while !matches!(intake.event().await, ConsumerEvent::Recovered) {}
    shop.place([(0, "after".into())]).await;
    let records = intake.records(1).await;
    assert_eq!(values(&records), ["after"]);
    records.into_iter().for_each(|one| one.ack.finish());
    assert_eq!(intake.stop().await, Stopped::Clean);
}

#[tokio::test]
async fn a_group_shares_partitions_and_whoever_stays_gets_them_back() {
    let shop = shop(4);
    let plan = || Plan { mode: Mode::Group, ..by_hand(Limits::default()) };
    let mut first = shop.consumer(plan());
    first.until_assigned(4).await;
    let mut second = shop.consumer(plan());
    while second.assigned.len() < 2 || first.assigned.len() > 2 {
        tokio::select! {
            event = first.event() => first.note(event),
            event = second.event() => second.note(event),
        }
    }
    assert_eq!(second.stop().await, Stopped::Clean);
    while first.assigned.len() < 4 {
        let event = first.event().await;
        first.note(event);
    }
    assert_eq!(first.stop().await, Stopped::Clean);
}

impl Intake {
    fn note(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Assigned(partitions) => self.assigned.extend(partitions),
            ConsumerEvent::Revoked(partitions) => self.assigned.retain(|one| !partitions.contains(one)),
            ConsumerEvent::FirstContact { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn records_arrive_byte_for_byte() {
    let shop = shop(1);
    let odd = vec![
        Outgoing { key: None, value: None, headers: vec![], ..order(0, "") },
        Outgoing {
            key: Some(Bytes::new()),
            value: Some(Bytes::new()),
            headers: vec![("x".into(), None)],
            ..order(0, "")
        },
        Outgoing {
            key: Some(Bytes::from_static(&[0, 0xff])),
            value: Some(Bytes::from_static(&[0xfe, 0, 1])),
            headers: vec![
                text_header("a", "1"),
                ("a".into(), Some(Bytes::from_static(&[0xff]))),
                ("a".into(), Some(Bytes::new())),
            ],
            ..order(0, "")
        },
    ];
    for outgoing in &odd {
        assert!(matches!(shop.producer.send(outgoing).await, Outcome::Delivered { partition: 0, .. }));
    }
    let mut intake = shop.consumer(by_hand(Limits::default()));
    for (sent, Delivered { record, ack }) in odd.iter().zip(intake.records(3).await) {
        assert_eq!((&record.key, &record.value, &record.headers), (&sent.key, &sent.value, &sent.headers));
        assert!(record.timestamp.0 > 0);
        ack.finish();
    }
    intake.stop().await;
}
