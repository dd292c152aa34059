//! The topics that an installation keeps for itself.

use saga_core::definition::ReservedTopic;

/// Names of the internal topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopics {
    /// Messages to the owners of shards: one partition per shard.
    pub inbox: String,
    /// Participants' replies to commands over Kafka.
    pub replies: String,
    /// Dead letters: poison messages.
    pub dlq: String,
}

impl InternalTopics {
    /// Each with the key that names it, for refusals.
    pub(crate) fn reserved(&self) -> [ReservedTopic<'_>; 3] {
        [
            ReservedTopic { key: "topics.inbox", topic: &self.inbox },
            ReservedTopic { key: "topics.replies", topic: &self.replies },
            ReservedTopic { key: "topics.dlq", topic: &self.dlq },
        ]
    }
}

impl Default for InternalTopics {
    fn default() -> InternalTopics {
        InternalTopics { inbox: "saga.inbox".into(), replies: "saga.replies".into(), dlq: "saga.dlq".into() }
    }
}
