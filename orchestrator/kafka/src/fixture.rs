//! What tests of intake and delivery stand on: a shop's topic on a broker, orders, and a consumer whose events are
//! awaited.

use crate::{
    ConsumerEvent, DeliveredRecord, KafkaConsumer, KafkaProducer, KafkaSettings,
    consumer::{AssignmentMode, BackpressureLimits, ConsumerSettings, ConsumerStatus, ConsumerStopOutcome, TopicStart},
    mock::MockBroker,
    settings::USUAL_BATCH,
    testing::{create, real_broker, unique},
};
use bytes::Bytes;
use saga_wire::{KafkaRecord, OutgoingRecord, TopicPartition, record::text_header};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Far above what any test needs; reached only by a fault.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A topic of orders, and a producer that places them.
pub(super) struct TopicFixture {
    pub(super) settings: KafkaSettings,
    pub(super) producer: KafkaProducer,
    pub(super) topic: Arc<str>,
    pub(super) mock: Option<MockBroker>,
}

impl TopicFixture {
    /// On a mock broker of its own.
    pub(super) fn mock(partitions: i32) -> TopicFixture {
        let broker = MockBroker::start().expect("a mock broker");
        broker.create_topic("shop.orders", partitions).expect("a topic");
        let settings = KafkaSettings::new(broker.bootstrap_servers(), "saga");
        TopicFixture::open(settings, "shop.orders".into(), Some(broker))
    }

    /// On the real broker, with a topic of its own. `None` has been reported.
    pub(super) async fn real(partitions: i32, config: &[(&str, &str)]) -> Option<TopicFixture> {
        let settings = real_broker()?;
        let topic: Arc<str> = unique("orders-").into();
        create(&settings, &topic, partitions, config).await;
        Some(TopicFixture::open(settings, topic, None))
    }

    fn open(settings: KafkaSettings, topic: Arc<str>, mock: Option<MockBroker>) -> TopicFixture {
        let producer = KafkaProducer::start(&settings).expect("a producer");
        TopicFixture { settings, producer, topic, mock }
    }

    pub(super) fn order(&self, partition: i32, value: &str) -> OutgoingRecord {
        OutgoingRecord {
            topic: self.topic.clone(),
            partition: Some(partition),
            key: None,
            value: Some(Bytes::from(value.to_owned())),
            headers: vec![text_header("ce_type", "OrderPlaced")],
        }
    }

    pub(super) async fn place(&self, orders: impl IntoIterator<Item = (i32, String)>) {
        for (partition, value) in orders {
            let outcome = self.producer.send(&self.order(partition, &value)).await;
            assert!(outcome.is_delivered(), "{outcome:?}");
        }
    }

    pub(super) fn plan(&self, mode: AssignmentMode) -> ConsumerSettings {
        ConsumerSettings {
            name: "triggers",
            group: self.settings.group.clone(),
            mode,
            topics: vec![TopicStart::earliest(&self.topic)],
            limits: BackpressureLimits::default(),
            largest_batch: USUAL_BATCH,
            compacted: BTreeSet::new(),
        }
    }

    pub(super) fn consume(&self, plan: ConsumerSettings) -> ConsumerFixture {
        let (consumer, events) = KafkaConsumer::start(&self.settings, plan).expect("a consumer");
        ConsumerFixture { consumer, events, contacts: BTreeMap::new(), assigned: Vec::new(), waiting: Vec::new() }
    }

    pub(super) fn partition(&self, partition: i32) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition }
    }
}

/// A consumer and what it said so far.
pub(super) struct ConsumerFixture {
    pub(super) consumer: KafkaConsumer,
    pub(super) events: mpsc::Receiver<ConsumerEvent>,
    pub(super) contacts: BTreeMap<Arc<str>, u64>,
    pub(super) assigned: Vec<TopicPartition>,
    waiting: Vec<DeliveredRecord>,
}

impl ConsumerFixture {
    /// The next event that is neither records nor about the assignment, which are noted.
    pub(super) async fn next(&mut self) -> ConsumerEvent {
        loop {
            let event = self.event().await;
            if let Some(other) = self.note(event) {
                return other;
            }
        }
    }

    /// The next `count` records, and those that came with them.
    pub(super) async fn records(&mut self, count: usize) -> Vec<DeliveredRecord> {
        while self.waiting.len() < count {
            self.step().await;
        }
        std::mem::take(&mut self.waiting)
    }

    pub(super) async fn until_assigned(&mut self, count: usize) {
        while self.assigned.len() != count {
            self.step().await;
        }
    }

    /// One event about records or the assignment.
    pub(super) async fn step(&mut self) {
        let event = self.event().await;
        if let Some(other) = self.note(event) {
            panic!("unexpected {other:?}");
        }
    }

    pub(super) async fn until_status(&self, wanted: impl Fn(&ConsumerStatus) -> bool) {
        let mut status = self.consumer.status();
        timeout(MAX_WAIT, status.wait_for(wanted)).await.expect("in time").expect("intake runs");
    }

    pub(super) async fn stop(self) -> ConsumerStopOutcome {
        self.consumer.stop(Duration::from_secs(20)).await
    }

    pub(super) async fn event(&mut self) -> ConsumerEvent {
        timeout(MAX_WAIT, self.events.recv()).await.expect("an event in time").expect("intake runs")
    }

    fn note(&mut self, event: ConsumerEvent) -> Option<ConsumerEvent> {
        match event {
            ConsumerEvent::Records(records) => self.waiting.extend(records),
            ConsumerEvent::FirstContact { topic, records } => *self.contacts.entry(topic).or_default() += records,
            ConsumerEvent::Assigned(partitions) => self.assigned.extend(partitions),
            ConsumerEvent::Revoked(partitions) => self.assigned.retain(|one| !partitions.contains(one)),
            other @ (ConsumerEvent::OffsetsLost { .. }
            | ConsumerEvent::Trouble(_)
            | ConsumerEvent::Recovered
            | ConsumerEvent::Failed(_)) => return Some(other),
        }
        None
    }
}

pub(super) fn values(records: &[DeliveredRecord]) -> Vec<String> {
    records.iter().map(|one| text(&one.record)).collect()
}

pub(super) fn text(record: &KafkaRecord) -> String {
    String::from_utf8(record.value.as_deref().unwrap_or_default().to_vec()).expect("text")
}

pub(super) fn finish(records: Vec<DeliveredRecord>) {
    records.into_iter().for_each(|one| one.ack.finish());
}

/// `count` orders of one partition.
pub(super) fn numbered(count: usize) -> impl Iterator<Item = (i32, String)> {
    (0..count).map(|number| (0, number.to_string()))
}
