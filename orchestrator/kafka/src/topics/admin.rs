//! Questions to the broker about topics, and their creation. Blocking: runs on a thread that may wait.

use super::{
    error::{MissingTopic, TopicError},
    requirements::TopicSpec,
};
use crate::{brokers::ClientRebootstrap, consumer::log, producer::TopicBatchLimits, settings::KafkaSettings};
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

pub(super) struct TopicAdmin {
    client: AdminClient<AdminContext>,
    brokers: ClientRebootstrap,
    servers: String,
}

struct AdminContext;

impl ClientContext for AdminContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log("admin", level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

/// Topics and their numbers of partitions.
pub(super) struct ExistingTopics(BTreeMap<String, usize>);

impl ExistingTopics {
    pub(super) fn has(&self, topic: &str) -> bool {
        self.0.contains_key(topic)
    }

    pub(super) fn partitions(&self, topic: &str) -> Option<usize> {
        self.0.get(topic).copied()
    }
}

/// How long records stay in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicRetention {
    UntilDeleted,
    ForATime,
    UpToASize,
}

impl TopicRetention {
    /// The key that limits it.
    pub(super) fn limited_by(self) -> Option<&'static str> {
        match self {
            TopicRetention::UntilDeleted => None,
            TopicRetention::ForATime => Some("retention.ms"),
            TopicRetention::UpToASize => Some("retention.bytes"),
        }
    }
}

/// What a topic's configuration says.
pub(super) enum TopicProperties {
    Known {
        max_message_bytes: usize,
        compacted: bool,
        retention: TopicRetention,
    },
    /// It may not be read.
    Hidden(String),
}

impl TopicAdmin {
    pub(super) fn connect(settings: &KafkaSettings) -> Result<TopicAdmin, TopicError> {
        TopicAdmin::of(settings, &settings.client())
    }

    /// With a client that is created from `config`.
    pub(super) fn of(settings: &KafkaSettings, config: &ClientConfig) -> Result<TopicAdmin, TopicError> {
        let client = config.create_with_context(AdminContext).map_err(TopicError::Client)?;
        let brokers = ClientRebootstrap::new("admin", settings);
        Ok(TopicAdmin { client, brokers, servers: settings.bootstrap_servers.clone() })
    }

    /// Before every use of a client that is kept.
    pub(super) fn check_brokers(&self) {
        self.brokers.check(self.client.inner());
    }

    /// Whether `saga dev` started the broker: a mock cluster has a cluster id of its own form.
    pub(super) fn is_mock(&self) -> bool {
        self.client.inner().fetch_cluster_id(ASK).is_some_and(|id| id.starts_with(MOCK_CLUSTER))
    }

    pub(super) fn existing(&self) -> Result<ExistingTopics, TopicError> {
        let metadata = self.client.inner().fetch_metadata(None, ASK).map_err(|source| self.unreachable(source))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
        Ok(ExistingTopics(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect()))
    }

    /// How many partitions `topic` has; `None` if there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<usize>, TopicError> {
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
    pub(super) fn create(&self, needs: &[TopicSpec]) -> Result<(), TopicError> {
        if needs.is_empty() {
            return Ok(());
        }
        let topics: Vec<NewTopic<'_>> = needs.iter().map(new_topic).collect();
        let results = self.wait(self.client.create_topics(&topics, &options()))?;
        let refused = results
            .into_iter()
            .filter_map(Result::err)
            .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists);
        let missing: Vec<MissingTopic> = refused
            .filter_map(|(topic, code)| {
                let need = needs.iter().find(|need| *need.topic == *topic)?;
                let (purpose, command) = (need.purpose, need.command(&self.servers));
                Some(MissingTopic { topic: need.topic.clone(), purpose, reason: code.to_string(), command })
            })
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(TopicError::Missing(missing)) }
    }

    pub(super) fn limit(&self, topic: &Arc<str>) -> Result<TopicProperties, TopicError> {
        let asked = [ResourceSpecifier::Topic(topic)];
        let mut answers = self.wait(self.client.describe_configs(&asked, &options()))?;
        Ok(match answers.pop() {
            Some(Ok(config)) => limit(&config),
            Some(Err(code)) => TopicProperties::Hidden(code.to_string()),
            None => TopicProperties::Hidden("no answer".to_owned()),
        })
    }

    /// The largest batch that each of `topics` takes; those are left out of which the broker does not say it.
    pub(super) fn largest_batches(&self, topics: &[Arc<str>]) -> Result<TopicBatchLimits, TopicError> {
        let mut limits = TopicBatchLimits::new();
        for some in topics.chunks(AT_ONCE) {
            let asked: Vec<_> = some.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
            let told = self.wait(self.client.describe_configs(&asked, &options()))?;
            limits.extend(told.into_iter().flatten().filter_map(|config| largest_batch(&config)));
        }
        Ok(limits)
    }

    /// Deletes what is below the offsets; what the broker refuses is left.
    pub(super) fn delete_records(&self, below: &TopicPartitionList) -> Result<TopicPartitionList, TopicError> {
        self.wait(self.client.delete_records(below, &options()))
    }

    pub(super) fn unreachable(&self, source: KafkaError) -> TopicError {
        let noted = saga_brokers::last_noted_error(self.client.inner()).map(String::into_boxed_str);
        TopicError::Unreachable { servers: self.servers.clone(), source, noted }
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, KafkaError>>) -> Result<T, TopicError> {
        Handle::current().block_on(answer).map_err(|source| self.unreachable(source))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK))
}

fn new_topic(need: &TopicSpec) -> NewTopic<'_> {
    let topic = NewTopic::new(&need.topic, need.partitions, BROKERS_CHOICE);
    need.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

/// -1 is no limit.
fn is_limited(value: Option<&str>) -> bool {
    value.and_then(|text| text.parse::<i64>().ok()).is_some_and(|limit| limit >= 0)
}

fn limit(config: &ConfigResource) -> TopicProperties {
    let value = |name| config.get(name).and_then(|entry| entry.value.as_deref());
    match value("max.message.bytes").and_then(|text| text.parse().ok()) {
        Some(max_message_bytes) => TopicProperties::Known {
            max_message_bytes,
            compacted: value("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            retention: match [value("retention.ms"), value("retention.bytes")].map(is_limited) {
                [true, _] => TopicRetention::ForATime,
                [false, true] => TopicRetention::UpToASize,
                [false, false] => TopicRetention::UntilDeleted,
            },
        },
        None => TopicProperties::Hidden("the broker does not return max.message.bytes".to_owned()),
    }
}

/// A batch has to fit into a segment, too.
fn largest_batch(config: &ConfigResource) -> Option<(Arc<str>, usize)> {
    let OwnedResourceSpecifier::Topic(topic) = &config.specifier else { return None };
    let bytes = |name| config.get(name)?.value.as_deref()?.parse::<usize>().ok();
    let limit = bytes("max.message.bytes")?;
    Some((topic.as_str().into(), bytes("segment.bytes").map_or(limit, |segment| segment.min(limit))))
}
