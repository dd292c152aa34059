//! Topics, records in and records out.

use crate::{
    control::{ServerAction, ServerControl},
    eventually::eventually,
    unique,
};
use anyhow::{Context, Result, anyhow};
use rdkafka::{
    ClientConfig, Message, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer, StreamConsumer},
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
    topic_partition_list::Offset,
};
use saga_brokers::BootstrapRefresher;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};

/// A broker that was killed recovers its logs first: 10 to 15 s on two cores.
const START: Duration = Duration::from_secs(90);
/// For one request to a broker that runs.
const REQUEST: Duration = Duration::from_secs(30);
/// How often a client that is kept is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The largest record that a test sends: larger than any topic of the product takes.
const LARGEST_RECORD: &str = "120000000";

/// A broker.
#[derive(Clone, Debug)]
pub struct TestKafka {
    bootstrap: String,
    control: Option<ServerControl>,
}

/// A record to be produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRecord {
    /// `None`: by the key's hash.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// In order; a name may occur more than once, a value may be absent.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl TopicRecord {
    /// A JSON event of type `event_type` with `key`.
    #[must_use]
    pub fn event(event_type: &str, key: &str, payload: &serde_json::Value) -> TopicRecord {
        let headers = vec![
            ("ce_type".to_owned(), Some(event_type.as_bytes().to_vec())),
            ("content-type".to_owned(), Some(b"application/json".to_vec())),
        ];
        let value = Some(payload.to_string().into_bytes());
        TopicRecord { partition: None, key: Some(key.as_bytes().to_vec()), value, headers }
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRecord {
    /// Where it lay.
    pub partition: i32,
    /// Where in the partition.
    pub offset: i64,
    /// Key, value and headers.
    pub record: TopicRecord,
}

impl ReceivedRecord {
    /// The first header called `name`, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.record.headers.iter().find(|(candidate, _)| candidate == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// The value as JSON; `null` if it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let value = self.record.value.as_deref().unwrap_or_default();
        serde_json::from_slice(value).unwrap_or(serde_json::Value::Null)
    }
}

impl TestKafka {
    /// The broker at `bootstrap`.
    #[must_use]
    pub fn new(bootstrap: String, control: Option<ServerControl>) -> TestKafka {
        TestKafka { bootstrap, control }
    }

    /// Bootstrap servers.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Settings of a client.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("broker.address.family", "v4")
            .set("message.max.bytes", LARGEST_RECORD)
            .set("reconnect.backoff.max.ms", "1000");
        config
    }

    /// Looks after the brokers of a client that is kept.
    #[must_use]
    pub fn brokers(&self) -> BootstrapRefresher {
        BootstrapRefresher::new(&self.bootstrap)
    }

    /// A topic with a name of its own and `partitions` partitions.
    ///
    /// # Errors
    /// When the broker does not create it.
    pub async fn fresh_topic(&self, prefix: &str, partitions: i32) -> Result<String> {
        let name = unique(prefix);
        self.create_topic(&name, partitions, &[]).await?;
        Ok(name)
    }

    /// The topic `name`, with `settings` such as `("max.message.bytes", "100000000")`.
    ///
    /// # Errors
    /// When the broker does not create it, or it exists.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        for result in admin.create_topics([&topic], &options).await? {
            result.map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        for result in admin.delete_topics(&[name], &AdminOptions::new()).await? {
            result.map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Changes one setting of a topic that exists.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn alter_topic(&self, name: &str, key: &str, value: &str) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(key, value);
        for result in admin.alter_configs([&change], &AdminOptions::new()).await? {
            result.map_err(|(_, code)| anyhow!("topic {name}: {code}"))?;
        }
        Ok(())
    }

    /// Gives a topic one more partition.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn add_partition(&self, topic: &str) -> Result<()> {
        let consumer: BaseConsumer = self.client().create()?;
        let name = topic.to_owned();
        let metadata = tokio::task::spawn_blocking(move || consumer.fetch_metadata(Some(&name), REQUEST)).await??;
        let partitions = metadata.topics().first().context("the broker knows no such topic")?.partitions().len();
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        for result in
            admin.create_partitions([&NewPartitions::new(topic, partitions + 1)], &AdminOptions::new()).await?
        {
            result.map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))?;
        }
        Ok(())
    }

    /// A producer that waits for all replicas, and soon uses partitions that are added.
    ///
    /// # Errors
    /// When librdkafka refuses its settings.
    pub fn producer(&self) -> Result<TestProducer> {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("topic.metadata.refresh.interval.ms", "2000");
        Ok(TestProducer { client: config.create()?, brokers: Arc::new(Mutex::new(self.brokers())) })
    }

    /// Produces one record and returns its partition and offset.
    ///
    /// # Errors
    /// When the broker does not acknowledge it.
    pub async fn produce(&self, topic: &str, record: &TopicRecord) -> Result<(i32, i64)> {
        self.producer()?.send(topic, record).await
    }

    /// Reads `topic` from its beginning until `enough` says so, and returns all that was read.
    ///
    /// # Errors
    /// When `within` is over; the message says what had been read by then.
    pub async fn read_until(
        &self,
        topic: &str,
        within: Duration,
        mut enough: impl FnMut(&[ReceivedRecord]) -> bool,
    ) -> Result<Vec<ReceivedRecord>> {
        let consumer = self.reader(topic)?;
        let end = Instant::now() + within;
        let mut records = Vec::new();
        while !enough(&records) {
            let message = timeout_at(end, consumer.recv()).await.map_err(|_| unmet(topic, within, &records))?;
            records.push(received(&message.with_context(|| format!("reading {topic}"))?));
        }
        Ok(records)
    }

    /// The offset that `group` has committed for a partition; `None` if it never did.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn committed(&self, group: &str, topic: &str, partition: i32) -> Result<Option<i64>> {
        let consumer: BaseConsumer = self.client().set("group.id", group).create()?;
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition(topic, partition);
        let found = tokio::task::spawn_blocking(move || consumer.committed_offsets(wanted, REQUEST)).await??;
        let offset = found.find_partition(topic, partition).context("the answer lacks the partition")?.offset();
        Ok(match offset {
            Offset::Offset(offset) => Some(offset),
            Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => None,
        })
    }

    /// How many records `topic` holds.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn count(&self, topic: &str) -> Result<i64> {
        let (consumer, topic): (BaseConsumer, _) = (self.client().create()?, topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let metadata = consumer.fetch_metadata(Some(&topic), REQUEST)?;
            let partitions = metadata.topics().first().context("the broker knows no such topic")?.partitions();
            let held = partitions.iter().map(|partition| {
                let (first, next) = consumer.fetch_watermarks(&topic, partition.id(), REQUEST)?;
                Ok(next - first)
            });
            held.sum()
        })
        .await?
    }

    /// Whether tests may stop it.
    #[must_use]
    pub fn can_be_stopped(&self) -> bool {
        self.control.is_some()
    }

    /// Performs `action`; after a start, returns when the broker answers.
    ///
    /// # Errors
    /// When the broker is not ours to stop, or does not come back.
    pub async fn perform(&self, action: ServerAction) -> Result<()> {
        let control = self.control.as_ref().context("this Kafka cannot be stopped: no control program is set")?;
        control.perform(action).await?;
        match action {
            ServerAction::Start | ServerAction::Restart | ServerAction::Unpause => self.answers().await,
            ServerAction::Stop | ServerAction::Kill | ServerAction::Pause => Ok(()),
        }
    }

    /// Stands still for `time`, with all its connections open, and answers when this returns.
    ///
    /// # Errors
    /// As [`TestKafka::perform`].
    pub async fn stand_still(&self, time: Duration) -> Result<()> {
        self.perform(ServerAction::Pause).await?;
        // Nothing tells how far the broker's session has run while it stands still: the time itself is what is tested.
        tokio::time::sleep(time).await;
        self.perform(ServerAction::Unpause).await
    }

    async fn answers(&self) -> Result<()> {
        eventually("Kafka answers", START, || async {
            let consumer: BaseConsumer = self.client().create()?;
            tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, Duration::from_secs(2))).await??;
            Ok(Some(()))
        })
        .await
    }

    /// Reads every partition of `topic` from the beginning, belonging to no group.
    fn reader(&self, topic: &str) -> Result<StreamConsumer> {
        let mut config = self.client();
        config
            .set("group.id", "unused")
            .set("enable.auto.commit", "false")
            .set("receive.message.max.bytes", "200000000");
        let consumer: StreamConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST)?;
        let partitions = metadata.topics().first().context("the broker knows no such topic")?.partitions();
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(consumer)
    }
}

/// Sends records one by one or many at a time.
#[derive(Clone)]
pub struct TestProducer {
    client: FutureProducer,
    brokers: Arc<Mutex<BootstrapRefresher>>,
}

impl TestProducer {
    /// Produces one record and returns its partition and offset.
    ///
    /// # Errors
    /// When the broker does not acknowledge it.
    pub async fn send(&self, topic: &str, record: &TopicRecord) -> Result<(i32, i64)> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let mut message: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(headers);
        message.partition = record.partition;
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        let delivery = self.client.send(message, REQUEST);
        tokio::pin!(delivery);
        loop {
            // A client that has lost every broker never finds one again by itself.
            self.brokers.lock().unwrap_or_else(PoisonError::into_inner).check(self.client.client());
            if let Ok(delivered) = timeout(LOOK_EVERY, &mut delivery).await {
                let delivered = delivered.map_err(|(error, _)| error)?;
                return Ok((delivered.partition, delivered.offset));
            }
        }
    }
}

pub(crate) fn received(message: &BorrowedMessage<'_>) -> ReceivedRecord {
    let header = |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    let record = TopicRecord {
        partition: Some(message.partition()),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default(),
    };
    ReceivedRecord { partition: message.partition(), offset: message.offset(), record }
}

fn unmet(topic: &str, within: Duration, records: &[ReceivedRecord]) -> anyhow::Error {
    let values = records.iter().map(|received| received.json().to_string()).collect::<Vec<_>>().join("\n  ");
    anyhow!("{topic}: not enough within {within:?}; {} records were read:\n  {values}", records.len())
}
