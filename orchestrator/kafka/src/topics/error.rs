//! Why the topics are not as they have to be, and what a person can do about it.

use rdkafka::error::KafkaError;
use std::{fmt, sync::Arc};

/// The broker does not have what is needed.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Nothing answers there, or not to us. It may later.
    #[error("kafka at {servers} does not answer: {source}")]
    Unreachable {
        /// `kafka.bootstrapServers`.
        servers: String,
        /// The client's words.
        source: KafkaError,
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
        /// The topic.
        topic: Arc<str>,
    },
    /// Shards are the partitions of the inbox.
    #[error(
        "the inbox {inbox} has {partitions} partitions and `shards` is {shards}: they have to be equal, and `shards` cannot change once the store exists"
    )]
    Shards {
        /// `topics.inbox`.
        inbox: Arc<str>,
        /// What it has.
        partitions: usize,
        /// What is configured.
        shards: u16,
    },
    /// The inbox was deleted under a running engine.
    #[error(
        "the inbox {inbox} was deleted: triggers, replies and acts that were handed on in it and not taken yet are lost, and shards have no owners without it; a start makes it anew"
    )]
    Gone {
        /// `topics.inbox`.
        inbox: Arc<str>,
    },
    /// The topic would lose or refuse inputs.
    #[error("topic {inbox} {wrong}, run: {command}")]
    Inbox {
        /// `topics.inbox` or `topics.replies`.
        inbox: Arc<str>,
        /// What is wrong with it.
        wrong: String,
        /// What puts it right.
        command: String,
    },
    /// A record could come that cannot be received: librdkafka would reconnect for ever.
    #[error(
        "topic {topic} allows records of {limit} bytes (max.message.bytes); at most 134217728 (128 MiB) can be read"
    )]
    LimitTooHigh {
        /// The topic.
        topic: Arc<str>,
        /// Its limit.
        limit: usize,
    },
    /// Two installations must not share a topic of their own or a group: each would take, answer and delete what is the
    /// other's.
    #[error(
        "the {what} {name} belongs to installation {found}, the store to {expected}: set {key} to another one, or store to the one that belongs to it"
    )]
    OtherInstallation {
        /// `inbox`, `replies topic`, …
        what: &'static str,
        /// The key of the configuration that names it.
        key: &'static str,
        /// Its name.
        name: Arc<str>,
        /// What its mark says.
        found: String,
        /// What the store says.
        expected: String,
    },
    /// A topic that an installation keeps for itself triggers sagas, or gets commands or events.
    #[error(
        "topic {topic} ({purpose}) is the inbox, replies or DLQ topic of installation {found} (its mark is in topic {mark}): name another topic"
    )]
    Internal {
        /// Its name.
        topic: Arc<str>,
        /// What it was to be used for.
        purpose: &'static str,
        /// Whose it is.
        found: String,
        /// Where that is written.
        mark: Arc<str>,
    },
    /// At the broker of `saga dev` its internal topics are not for another engine.
    #[error(
        "the broker is that of `saga dev`, and topic {topic} is its own: set {key} to another one, or take the serve.yaml that `saga dev` writes into its folder (--config .saga-dev/serve.yaml)"
    )]
    OfDev {
        /// Its name.
        topic: Arc<str>,
        /// The key of the configuration that names it.
        key: &'static str,
    },
    /// The mark of the installation could not be written.
    #[error("topic {topic} does not take the mark of the installation: {reason}")]
    Mark {
        /// The topic.
        topic: Arc<str>,
        /// Why.
        reason: String,
    },
    /// A bug.
    #[error("looking after topics panicked: {0}")]
    Panicked(String),
}

/// A topic that does not exist and could not be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingTopic {
    /// Its name.
    pub topic: Arc<str>,
    /// What for.
    pub purpose: &'static str,
    /// Why it could not be created.
    pub reason: String,
    /// What a person can run.
    pub command: String,
}

impl TopicError {
    /// Whether an engine that runs has to stop.
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

fn list(missing: &[MissingTopic]) -> String {
    missing.iter().map(MissingTopic::to_string).collect::<Vec<_>>().join("\n")
}
