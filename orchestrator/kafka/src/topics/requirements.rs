//! Which topics an installation needs, and how each is created.

use crate::settings::USUAL_BATCH;
use saga_core::definition::MARK;
use saga_core::digest::hex;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Replies are spread over this many partitions: more instances than that would have nothing to read there.
const REPLY_PARTITIONS: i32 = 12;

/// What topics of others are needed for.
const TRIGGER: &str = "trigger of a saga";
const WRITTEN: &str = "commands or published events";

/// The broker's default number of partitions.
const BROKERS_CHOICE: i32 = -1;

/// Inbox, replies and DLQ of `saga dev`: those of a configuration that names none.
const OF_DEV: [&str; 3] = ["saga.inbox", "saga.replies", "saga.dlq"];

/// The longest name of an internal topic: with [`MARK`] after it, it has the 249 characters that Kafka allows.
pub const LONGEST_OWN_TOPIC: usize = 249 - MARK.len();

/// Characters of a group that go into the name of its mark.
const GROUP_IN_NAME: usize = 180;

/// The topics of an installation, and the group by which it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredTopics {
    /// Name of the consumer group, from `kafka.group`.
    pub group: Arc<str>,
    /// `topics.inbox`; its partitions are the shards.
    pub inbox: Arc<str>,
    /// Topic of replies, from `topics.replies`.
    pub replies: Arc<str>,
    /// Topic of dead letters, from `topics.dlq`.
    pub dlq: Arc<str>,
    /// Topics of the dead letters of single topics, from `topics.dlqOf`.
    pub other_dlqs: Vec<Arc<str>>,
    /// Number of shards, from `shards`.
    pub shards: u16,
    /// Topics that triggers read.
    pub triggers: Vec<Arc<str>>,
    /// Topics that commands and events are written to.
    pub written: Vec<Arc<str>>,
}

/// One topic and how it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicSpec {
    pub(super) topic: Arc<str>,
    pub(super) purpose: &'static str,
    pub(super) partitions: i32,
    pub(super) config: Vec<(&'static str, String)>,
}

/// Something that belongs to one installation alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedResource {
    pub(super) what: &'static str,
    /// The key of the configuration that names it.
    pub(super) key: &'static str,
    pub(super) name: Arc<str>,
    /// The topic whose first record says whose it is.
    pub(super) mark: Arc<str>,
}

/// The topic that says whose `topic` is.
pub(super) fn mark_of(topic: &str) -> Arc<str> {
    format!("{topic}{MARK}").into()
}

/// The topic that says whose consumer group `group` is. A group may have a name that no topic can have.
fn mark_of_group(group: &str) -> Arc<str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if group.chars().all(legal) && group.len() <= GROUP_IN_NAME {
        return mark_of(&format!("{group}.group"));
    }
    let readable: String = group.chars().take(GROUP_IN_NAME).map(|c| if legal(c) { c } else { '_' }).collect();
    let digest = Sha256::digest(group.as_bytes());
    let told_apart = hex(&digest[..8]);
    mark_of(&format!("{readable}.{told_apart}.group"))
}

impl RequiredTopics {
    /// What belongs to this installation alone.
    pub(super) fn owned(&self) -> Vec<OwnedResource> {
        let topic = |what, key, name: &Arc<str>| OwnedResource { what, key, name: name.clone(), mark: mark_of(name) };
        let mut owned = vec![
            topic("inbox", "topics.inbox", &self.inbox),
            topic("replies topic", "topics.replies", &self.replies),
            topic("DLQ topic", "topics.dlq", &self.dlq),
            OwnedResource {
                what: "consumer group",
                key: "kafka.group",
                name: self.group.clone(),
                mark: mark_of_group(&self.group),
            },
        ];
        owned.extend(self.other_dlqs.iter().map(|name| topic("DLQ topic", "topics.dlqOf", name)));
        owned
    }

    /// A topic of ours that `saga dev` has at its own broker, and the key that names it.
    pub(super) fn of_dev(&self) -> Option<(Arc<str>, &'static str)> {
        let owned = self.owned();
        let taken = owned.iter().find(|owned| OF_DEV.contains(&&*owned.name))?;
        Some((taken.name.clone(), taken.key))
    }

    /// Topics of others that are read or written, each once, with what for.
    pub(super) fn foreign(&self) -> Vec<(Arc<str>, &'static str)> {
        let triggers = self.triggers.iter().map(|topic| (topic.clone(), TRIGGER));
        let written = self.written.iter().filter(|topic| !self.triggers.contains(topic));
        triggers.chain(written.map(|topic| (topic.clone(), WRITTEN))).collect()
    }

    /// Topics that are read, each once.
    pub(super) fn read(&self) -> Vec<Arc<str>> {
        let mut topics = vec![self.inbox.clone(), self.replies.clone()];
        topics.extend(self.triggers.iter().cloned());
        deduplicated(topics)
    }

    /// Topics that are written to, each once.
    pub(super) fn written_to(&self) -> Vec<Arc<str>> {
        let mut topics = vec![self.inbox.clone(), self.dlq.clone()];
        topics.extend(self.other_dlqs.iter().chain(&self.written).cloned());
        deduplicated(topics)
    }

    /// Whether what is in `topic` must stay until it was read, however long that takes.
    pub(super) fn must_retain(&self, topic: &Arc<str>) -> bool {
        [&self.inbox, &self.replies].contains(&topic)
    }

    /// Topics of our own, apart from the marks.
    pub(super) fn own(&self) -> Vec<TopicSpec> {
        let mut own = vec![
            retained_topic(&self.inbox, "inbox", i32::from(self.shards)),
            retained_topic(&self.replies, "replies", REPLY_PARTITIONS),
        ];
        own.extend([&self.dlq].into_iter().chain(&self.other_dlqs).map(|topic| retained_topic(topic, "dlq", 1)));
        own
    }

    /// Every topic, the internal ones first; each once, as what it is needed for first.
    pub(super) fn all(&self) -> Vec<TopicSpec> {
        let mut needs = self.own();
        needs.extend(self.owned().iter().map(|owned| retained_topic(&owned.mark, "mark of the installation", 1)));
        needs.extend(self.triggers.iter().map(|topic| default_topic(topic, TRIGGER)));
        needs.extend(self.written.iter().map(|topic| default_topic(topic, WRITTEN)));
        let mut seen: Vec<Arc<str>> = Vec::new();
        needs.retain(|need| {
            let new = !seen.contains(&need.topic);
            seen.push(need.topic.clone());
            new
        });
        needs
    }
}

impl TopicSpec {
    /// What a person can run to make it.
    pub(super) fn command(&self, servers: &str) -> String {
        let partitions = match self.partitions {
            BROKERS_CHOICE => String::new(),
            partitions => format!(" --partitions {partitions}"),
        };
        let config: String = self.config.iter().map(|(key, value)| format!(" --config {key}={value}")).collect();
        format!("kafka-topics.sh --bootstrap-server {servers} --create --topic {}{partitions}{config}", self.topic)
    }
}

/// A topic of our own: nothing in it may age out before it was read, and it takes whatever we take.
fn retained_topic(topic: &Arc<str>, purpose: &'static str, partitions: i32) -> TopicSpec {
    let config = vec![
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("cleanup.policy", "delete".to_owned()),
        ("max.message.bytes", USUAL_BATCH.to_string()),
    ];
    TopicSpec { topic: topic.clone(), purpose, partitions, config }
}

fn default_topic(topic: &Arc<str>, purpose: &'static str) -> TopicSpec {
    TopicSpec { topic: topic.clone(), purpose, partitions: BROKERS_CHOICE, config: Vec::new() }
}

fn deduplicated(mut topics: Vec<Arc<str>>) -> Vec<Arc<str>> {
    topics.sort();
    topics.dedup();
    topics
}
