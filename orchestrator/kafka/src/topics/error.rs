//! Why the topics are not as they have to be, and what the operator can do about it.

use rdkafka::error::KafkaError;
use std::{fmt, sync::Arc};

/// Topics, group and installation are not as they have to be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// The broker does not answer, or refuses this client. It may answer later.
    #[error("kafka at {servers} does not answer: {source}{}", because(noted.as_deref()))]
    Unreachable {
        /// Addresses of the brokers, from `kafka.bootstrapServers`.
        servers: String,
        /// The error of the Kafka client.
        source: KafkaError,
        /// Why the client could not connect last: a refused login, a certificate that does not hold; `None`: it did
        /// not say.
        noted: Option<Box<str>>,
    },
    /// The client refuses its settings.
    #[error("cannot create a client of Kafka: {0}")]
    Client(KafkaError),
    /// Topics are missing and could not be created.
    #[error("{}", list(.0))]
    Missing(Vec<MissingTopic>),
    /// A topic was created and is still unknown.
    #[error("topic {topic} was created and is not known to the broker yet; start again")]
    NotKnown {
        /// Name of the topic.
        topic: Arc<str>,
    },
    /// The partitions of the inbox are the shards, and the numbers differ.
    #[error(
        "the inbox {inbox} has {partitions} partitions and `shards` is {shards}: they have to be equal, and `shards` \
         cannot change once the store exists"
    )]
    Shards {
        /// Name of the inbox, from `topics.inbox`.
        inbox: Arc<str>,
        /// Number of its partitions.
        partitions: usize,
        /// Number of shards in the configuration.
        shards: u16,
    },
    /// The inbox was deleted under a running engine.
    #[error(
        "the inbox {inbox} was deleted: triggers, replies and acts that were forwarded through it and not processed \
         yet are lost, and shards have no owners without it; a restart creates it again"
    )]
    Gone {
        /// Name of the inbox, from `topics.inbox`.
        inbox: Arc<str>,
    },
    /// An inbox or replies topic would lose or refuse records.
    #[error("topic {inbox} {wrong}, run: {command}")]
    Inbox {
        /// Name of the topic, from `topics.inbox` or `topics.replies`.
        inbox: Arc<str>,
        /// What is wrong, as a predicate after the topic's name.
        wrong: String,
        /// The command that repairs it.
        command: String,
    },
    /// A record could arrive that cannot be received: librdkafka would reconnect for ever.
    #[error(
        "topic {topic} allows records of {limit} bytes (max.message.bytes); at most 134217728 (128 MiB) can be read"
    )]
    LimitTooHigh {
        /// Name of the topic.
        topic: Arc<str>,
        /// The topic's `max.message.bytes`.
        limit: usize,
    },
    /// Two installations must not share an internal topic or a group: each would take, answer and delete records of the
    /// other.
    #[error(
        "the {what} {name} belongs to installation {found}, the store to {expected}: set {key} to another name, or \
         `store` to the store of installation {found}"
    )]
    OtherInstallation {
        /// `inbox`, `replies topic`, …
        what: &'static str,
        /// The key of the configuration that names it.
        key: &'static str,
        /// Name of the topic or the group.
        name: Arc<str>,
        /// The installation that its mark names.
        found: String,
        /// The installation of the store.
        expected: String,
    },
    /// An internal topic of an installation is used as a trigger topic, or as one for commands or events.
    #[error(
        "topic {topic} ({purpose}) is the inbox, replies or DLQ topic of installation {found} (its mark is in topic \
         {mark}): use another topic"
    )]
    Internal {
        /// Name of the topic.
        topic: Arc<str>,
        /// What this installation wanted to use it for.
        purpose: &'static str,
        /// The installation that it belongs to.
        found: String,
        /// The topic that names the installation.
        mark: Arc<str>,
    },
    /// An engine that is not that of `saga dev` must not use the internal topics at the broker of `saga dev`.
    #[error(
        "the broker is that of `saga dev`, and topic {topic} belongs to it: set {key} to another name, or use the \
         serve.yaml that `saga dev` writes into its folder (--config .saga-dev/serve.yaml)"
    )]
    OfDev {
        /// Name of the topic.
        topic: Arc<str>,
        /// The key of the configuration that names it.
        key: &'static str,
    },
    /// The mark of the installation could not be written.
    #[error("topic {topic} does not take the mark of the installation: {reason}")]
    Mark {
        /// Name of the topic that holds the mark.
        topic: Arc<str>,
        /// The error of the write, or what is wrong with the mark.
        reason: String,
    },
    /// A defect of this program.
    #[error("checking topics panicked: {0}")]
    Panicked(String),
}

/// A topic that does not exist and could not be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTopic {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// What it is needed for.
    pub purpose: &'static str,
    /// The broker's error when it was to be created.
    pub reason: String,
    /// The command that creates it.
    pub command: String,
}

impl TopicError {
    /// Whether a running engine has to stop.
    #[must_use]
    pub fn stops_work(&self) -> bool {
        matches!(self, TopicError::Shards { .. } | TopicError::Gone { .. })
    }

    /// Whether waiting may help: the broker cannot be reached, or is slow.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            TopicError::Unreachable { .. } | TopicError::NotKnown { .. } | TopicError::Mark { .. } => true,
            TopicError::Client(_)
            | TopicError::Missing(_)
            | TopicError::Shards { .. }
            | TopicError::Gone { .. }
            | TopicError::Inbox { .. }
            | TopicError::LimitTooHigh { .. }
            | TopicError::OtherInstallation { .. }
            | TopicError::Internal { .. }
            | TopicError::OfDev { .. }
            | TopicError::Panicked(_) => false,
        }
    }
}

impl fmt::Display for MissingTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MissingTopic { topic, purpose, reason, command } = self;
        write!(f, "topic {topic} ({purpose}) does not exist and could not be created: {reason}; run: {command}")
    }
}

fn because(noted: Option<&str>) -> String {
    noted.map_or_else(String::new, |noted| format!(": {noted}"))
}

fn list(missing: &[MissingTopic]) -> String {
    missing.iter().map(MissingTopic::to_string).collect::<Vec<_>>().join("\n")
}
