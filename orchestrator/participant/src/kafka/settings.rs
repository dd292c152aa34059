//! Configuration of the clients of Kafka.

use rdkafka::ClientConfig;
use std::{collections::BTreeMap, fmt, time::Duration};

/// How commands are taken.
#[derive(Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// The consumer group, shared by all instances of the service.
    pub group: String,
    /// Topics of commands, as participants.yaml names them.
    pub topics: Vec<String>,
    /// Commands that are performed at the same time, of different sagas. No more than the database has connections.
    pub at_once: usize,
    /// How long commands may take to end when the listener stops.
    pub grace: Duration,
    /// Passed to librdkafka, for TLS, SASL and tuning. The properties that the order of reply and commit depends on are
    /// set over them.
    pub properties: BTreeMap<String, String>,
}

impl ListenerSettings {
    /// Sixteen at once, 20 s of grace, no properties.
    pub fn new(bootstrap_servers: impl Into<String>, group: impl Into<String>, topics: &[&str]) -> ListenerSettings {
        ListenerSettings {
            bootstrap_servers: bootstrap_servers.into(),
            group: group.into(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            at_once: 16,
            grace: Duration::from_secs(20),
            properties: BTreeMap::new(),
        }
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("group.id", &self.group);
        config.set("auto.offset.reset", "earliest");
        config.set("enable.auto.commit", "true");
        config.set("auto.commit.interval.ms", "1000");
        config.set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed");
        // Every change of the assignment takes all partitions away first. This distinguishes the offsets under way
        // before and after a change.
        config.set("partition.assignment.strategy", "range,roundrobin");
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("linger.ms", "1");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config
    }
}

/// Without the properties' values: some are secrets.
impl fmt::Debug for ListenerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("at_once", &self.at_once)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}
