//! Which topics an installation needs, and how each is made.

use crate::kafka::settings::USUAL_BATCH;
use std::sync::Arc;

/// Replies are spread over this many partitions: more instances than that would have nothing to read there.
const REPLY_PARTITIONS: i32 = 12;

/// The broker's default number of partitions.
const BROKERS_CHOICE: i32 = -1;

/// The topics of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// `topics.inbox`; its partitions are the shards.
    pub inbox: Arc<str>,
    /// `topics.replies`
    pub replies: Arc<str>,
    /// `topics.dlq`
    pub dlq: Arc<str>,
    /// `shards`
    pub shards: u16,
    /// Topics that triggers read.
    pub triggers: Vec<Arc<str>>,
    /// Topics that commands and events are written to.
    pub written: Vec<Arc<str>>,
}

/// One topic and how it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) topic: Arc<str>,
    pub(super) purpose: &'static str,
    pub(super) partitions: i32,
    pub(super) config: Vec<(&'static str, String)>,
}

impl Needs {
    /// The topic that says whose inbox it is.
    pub(super) fn marker(&self) -> Arc<str> {
        format!("{}.installation", self.inbox).into()
    }

    /// Topics that are read, each once.
    pub(super) fn read(&self) -> Vec<Arc<str>> {
        let mut topics = vec![self.inbox.clone(), self.replies.clone()];
        topics.extend(self.triggers.iter().cloned());
        once(topics)
    }

    /// Whether what is in `topic` must stay until it was read, however long that takes.
    pub(super) fn keeps(&self, topic: &Arc<str>) -> bool {
        [&self.inbox, &self.replies, &self.dlq].contains(&topic)
    }

    /// Every topic, the internal ones first; each once, as what it is needed for first.
    pub(super) fn all(&self) -> Vec<Need> {
        let shards = i32::from(self.shards);
        let mut needs = vec![
            kept(&self.inbox, "inbox", shards),
            kept(&self.replies, "replies", REPLY_PARTITIONS),
            kept(&self.dlq, "dlq", 1),
            kept(&self.marker(), "mark of the installation", 1),
        ];
        needs.extend(self.triggers.iter().map(|topic| plain(topic, "trigger of a saga")));
        needs.extend(self.written.iter().map(|topic| plain(topic, "commands or published events")));
        let mut seen: Vec<Arc<str>> = Vec::new();
        needs.retain(|need| {
            let new = !seen.contains(&need.topic);
            seen.push(need.topic.clone());
            new
        });
        needs
    }
}

impl Need {
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
fn kept(topic: &Arc<str>, purpose: &'static str, partitions: i32) -> Need {
    let config = vec![
        ("retention.ms", "-1".to_owned()),
        ("cleanup.policy", "delete".to_owned()),
        ("max.message.bytes", USUAL_BATCH.to_string()),
    ];
    Need { topic: topic.clone(), purpose, partitions, config }
}

fn plain(topic: &Arc<str>, purpose: &'static str) -> Need {
    Need { topic: topic.clone(), purpose, partitions: BROKERS_CHOICE, config: Vec::new() }
}

fn once(mut topics: Vec<Arc<str>>) -> Vec<Arc<str>> {
    topics.sort();
    topics.dedup();
    topics
}
