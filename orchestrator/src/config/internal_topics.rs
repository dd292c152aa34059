//! The topics that an installation keeps for itself.

use saga_core::definition::ReservedTopic;
use saga_engine::{
    LetterRoutes,
    events_topic::{EventsTopic, EventsTopicStart},
};
use std::collections::{BTreeMap, BTreeSet};

/// The key of the topics of the dead letters of single topics. Topics are the keys within it, and have dots in their
/// names.
pub(super) const DLQ_OF: &str = "topics.dlqOf";
/// The key of the topic of all events.
pub(super) const EVENTS: &str = "topics.events";
/// The key that says where it begins.
pub(super) const EVENTS_FROM: &str = "topics.eventsFrom";

/// Names of the internal topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopics {
    /// Messages to the owners of shards: one partition per shard.
    pub inbox: String,
    /// Participants' replies to commands over Kafka.
    pub replies: String,
    /// Dead letters: poison messages.
    pub dlq: String,
    /// Topics whose dead letters go to a topic of their own, and that topic.
    pub dlq_of: BTreeMap<String, String>,
    /// All events of all sagas, for other systems; `None`: they are not written to Kafka.
    pub events: Option<EventsTopic>,
}

impl InternalTopics {
    /// Each with the key that names it, for refusals.
    pub(crate) fn reserved(&self) -> Vec<ReservedTopic<'_>> {
        let events = self.events.as_ref().map(|events| ReservedTopic { key: EVENTS, topic: &events.name });
        let always = [
            ReservedTopic { key: "topics.inbox", topic: &self.inbox },
            ReservedTopic { key: "topics.replies", topic: &self.replies },
            ReservedTopic { key: "topics.dlq", topic: &self.dlq },
        ];
        let others = self.other_dlqs().into_iter().map(|topic| ReservedTopic { key: DLQ_OF, topic });
        always.into_iter().chain(others).chain(events).collect()
    }

    /// The topics of dead letters besides the usual one, each once.
    pub(crate) fn other_dlqs(&self) -> BTreeSet<&str> {
        self.dlq_of.values().map(String::as_str).filter(|topic| *topic != self.dlq).collect()
    }

    /// To which topic a dead letter goes.
    pub(crate) fn letter_routes(&self) -> LetterRoutes {
        LetterRoutes::new(&self.dlq, self.dlq_of.clone())
    }
}

impl Default for InternalTopics {
    fn default() -> InternalTopics {
        let (inbox, replies, dlq) = ("saga.inbox".into(), "saga.replies".into(), "saga.dlq".into());
        InternalTopics { inbox, replies, dlq, dlq_of: BTreeMap::new(), events: None }
    }
}

/// Reads where the topic of all events begins.
pub(super) fn events_start(text: &str) -> Option<EventsTopicStart> {
    match text {
        "newest" => Some(EventsTopicStart::Newest),
        "oldest" => Some(EventsTopicStart::Oldest),
        _ => None,
    }
}
