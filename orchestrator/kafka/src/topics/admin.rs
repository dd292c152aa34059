//! Questions to the broker about topics, and their creation. Blocking: runs on a thread that may wait.

use super::{
    error::{Error, Missing},
    needs::Need,
};
use crate::{brokers::Brokers, consumer::log, producer::Limits, settings::Settings};
use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// One question to the broker; at start a cluster may still elect leaders.
const ASK: Duration = Duration::from_secs(10);

/// Topics that are asked about in one request.
const AT_ONCE: usize = 100;

/// How librdkafka begins the name of a mock cluster.
const MOCK_CLUSTER: &str = "mockCluster";

/// The broker's default replication factor.
const BROKERS_CHOICE: TopicReplication<'static> = TopicReplication::Fixed(-1);

pub(super) struct Admin {
    client: AdminClient<Quiet>,
    brokers: Brokers,
    servers: String,
}

struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log("admin", level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

/// Topics and their numbers of partitions.
pub(super) struct Existing(BTreeMap<String, usize>);

impl Existing {
    pub(super) fn has(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    pub(super) fn partitions(&self, topic: &str) -> Option<usize> {
        self.0.get(topic).copied()
    }
}

/// How long records stay in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    UntilDeleted,
    ForATime,
    UpToASize,
}

impl Kept {
    /// The key that limits it.
    pub(super) fn limited_by(self) -> Option<&'static str> {
        match self {
            Kept::UntilDeleted => None,
            Kept::ForATime => Some("retention.ms"),
            Kept::UpToASize => Some("retention.bytes"),
        }
    }
}

/// What a topic's configuration says.
pub(super) enum Limit {
    Known {
        max_message_bytes: usize,
        compacted: bool,
        kept: Kept,
    },
    /// It may not be read.
    Hidden(String),
}

impl Admin {
    pub(super) fn connect(settings: &Settings) -> Result<Admin, Error> {
        Admin::of(settings, &settings.client())
    }

    /// With a client that is told `config`.
    pub(super) fn of(settings: &Settings, config: &ClientConfig) -> Result<Admin, Error> {
        let client = config.create_with_context(Quiet).map_err(Error::Client)?;
        let brokers = Brokers::of("admin", settings);
        Ok(Admin { client, brokers, servers: settings.bootstrap_servers.clone() })
    }

    /// Before every use of a client that is kept.
    pub(super) fn look_for_brokers(&self) {
        self.brokers.look(self.client.inner());
    }

    /// Whether `saga dev` started the broker: its mock gives itself away by its name for itself.
    pub(super) fn is_mock(&self) -> bool {
        self.client.inner().fetch_cluster_id(ASK).is_some_and(|id| id.starts_with(MOCK_CLUSTER))
    }

    pub(super) fn existing(&self) -> Result<Existing, Error> {
        let metadata = self.client.inner().fetch_metadata(None, ASK).map_err(|source| self.unreachable(source))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        Ok(Existing(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()))
    }

    /// How many partitions `topic` has; `None` if there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<usize>, Error> {
        let metadata =
            self.client.inner().fetch_metadata(Some(topic), ASK).map_err(|source| self.unreachable(source))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(found.partitions().len())),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(code) => Err(self.unreachable(KafkaError::MetadataFetch(code))),
        }
    }

    /// Creates all of `needs`. One that another instance creates at the same time is as good.
    pub(super) fn create(&self, needs: &[Need]) -> Result<(), Error> {
        if needs.is_empty() {
            return Ok(());
        }
        let topics: Vec<NewTopic<'_>> = needs.iter().map(new_topic).collect();
        let results = self.wait(self.client.create_topics(&topics, &options()))?;
        let refused = results
            .into_iter()
            .filter_map(Result::err)
            .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists);
        let missing: Vec<Missing> = refused
            .filter_map(|(topic, code)| {
                let need = needs.iter().find(|need| *need.topic == *topic)?;
                let (purpose, command) = (need.purpose, need.command(&self.servers));
                Some(Missing { topic: need.topic.clone(), purpose, reason: code.to_string(), command })
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
    }

    pub(super) fn limit(&self, topic: &Arc<str>) -> Result<Limit, Error> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let mut answers = self.wait(self.client.describe_configs(&asked, &options()))?;
        Ok(match answers.pop() {
            Some(Ok(config)) => limit(&config),
            Some(Err(code)) => Limit::Hidden(code.to_string()),
            None => Limit::Hidden("no answer".to_owned()),
        })
    }

    /// The largest batch that each of `topics` takes; those are left out of which the broker does not say it.
    pub(super) fn largest_batches(&self, topics: &[Arc<str>]) -> Result<Limits, Error> {
        let mut limits = Limits::new();
        for some in topics.chunks(AT_ONCE) {
            let asked: Vec<_> = some.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
            let told = self.wait(self.client.describe_configs(&asked, &options()))?;
            limits.extend(told.into_iter().flatten().filter_map(|config| largest_batch(&config)));
        }
        Ok(limits)
    }

    /// Deletes what is below the offsets; what the broker refuses is left.
    pub(super) fn delete_records(&self, below: &TopicPartitionList) -> Result<TopicPartitionList, Error> {
        self.wait(self.client.delete_records(below, &options()))
    }

    pub(super) fn unreachable(&self, source: KafkaError) -> Error {
        Error::Unreachable { servers: self.servers.clone(), source }
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, KafkaError>>) -> Result<T, Error> {
        Handle::current().block_on(answer).map_err(|source| self.unreachable(source))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK))
}

fn new_topic(need: &Need) -> NewTopic<'_> {
    let topic = NewTopic::new(&need.topic, need.partitions, BROKERS_CHOICE);
    need.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

/// -1 is no limit.
fn is_limited(value: Option<&str>) -> bool {
    value.and_then(|text| text.parse::<i64>().ok()).is_some_and(|limit| limit >= 0)
}

fn limit(config: &ConfigResource) -> Limit {
    let value = |name| config.get(name).and_then(|entry| entry.value.as_deref());
    match value("max.message.bytes").and_then(|text| text.parse().ok()) {
        Some(max_message_bytes) => Limit::Known {
            max_message_bytes,
            compacted: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            kept: match [value("retention.ms"), value("retention.bytes")].map(is_limited) {
                [true, _] => Kept::ForATime,
                [false, true] => Kept::UpToASize,
                [false, false] => Kept::UntilDeleted,
            },
        },
        None => Limit::Hidden("max.message.bytes is not told".to_owned()),
    }
}

/// A batch has to fit into a segment, too.
fn largest_batch(config: &ConfigResource) -> Option<(Arc<str>, usize)> {
    let OwnedResourceSpecifier::Topic(topic) = &config.specifier else { return None };
    let bytes = |name| config.get(name)?.value.as_deref()?.parse::<usize>().ok();
    let limit = bytes("max.message.bytes")?;
    Some((topic.as_str().into(), bytes("segment.bytes").map_or(limit, |segment| segment.min(limit))))
}
