//! What the clients are configured with, and which of it a user may change.

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};
use saga_base::secrets;
use std::{collections::BTreeMap, fmt, net::Ipv6Addr, num::NonZeroU16, time::Duration};

/// The largest `max.message.bytes` of a topic that is read: 128 MiB. A batch is held in memory whole.
pub(crate) const LARGEST_BATCH: usize = 128 * 1024 * 1024;

/// Bytes that one fetch returns at most, unless a single batch is larger: 8 MiB, so that a handful of partitions fills
/// one response.
const FETCH_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a response around the batches in it.
const ANSWER_OVERHEAD: usize = 1024 * 1024;

/// Bytes that are assumed for a topic whose limit is not known: the broker's default of 1 MiB, and some room.
pub const USUAL_BATCH: usize = 2 * 1024 * 1024;

/// The mock broker answers a fetch that finds nothing only after the whole wait, even if records come before that. With
/// the default of half a second, every step over Kafka would take that long.
const MOCK_FETCH_WAIT_MS: &str = "10";

/// The `client.id` of the engines, unless `kafka.properties` sets one.
const CLIENT_ID: &str = "saga-orchestrator";

/// Suffixes of the names of an installation's other groups.
const SHARDS: &str = ".shards";
const STORE: &str = ".store";
/// Infix of groups in which records are read again. The name of the reading follows.
pub const CATCH_UP: &str = ".catch-up.";

/// Whether a group of this name could be a group of another installation: it would take partitions and offsets away
/// from that one.
#[must_use]
pub fn is_of_another(group: &str) -> bool {
    [SHARDS, STORE].iter().any(|ending| group.ends_with(ending)) || group.contains(CATCH_UP)
}

/// The kind of broker that answers. The mock of `saga dev` knows neither topic configuration nor creation by clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerKind {
    /// Kafka, or what speaks its protocol in full.
    #[default]
    Real,
    /// librdkafka's mock cluster, as `saga dev` starts it. It has no topic configuration, so limits and marks are not
    /// checked.
    Mock,
}

/// How to reach the broker and as whom.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Consumer group of trigger and reply topics; the inbox has its own, [`KafkaSettings::shards_group`].
    pub group: String,
    /// `group.instance.id` for static membership.
    pub instance_id: Option<String>,
    /// Passed to librdkafka as they are, except those that [`KafkaSettings::check`] refuses.
    pub properties: BTreeMap<String, String>,
    /// How long a record may be without an acknowledgement. After that it is unknown whether it was written.
    pub message_timeout: Duration,
    /// The kind of broker.
    pub broker: BrokerKind,
}

/// A property that cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub enum KafkaPropertyError {
    /// Correctness depends on the value that is set here.
    #[error("kafka.properties: `{key}` cannot be set: {reason}")]
    Reserved {
        /// Name of the property that is reserved.
        key: String,
        /// What depends on it.
        reason: &'static str,
    },
    /// It needs TLS, which this build does not have.
    #[error(
        "kafka.properties: `{key}` needs TLS to Kafka, and this build has none: \
         build it with `cargo build --release --features tls`"
    )]
    NoTls {
        /// Name of the property that needs TLS.
        key: String,
    },
    /// librdkafka does not know it, or not with this value.
    #[error("kafka.properties: `{key}`: {reason}")]
    Invalid {
        /// Name of the property; empty if librdkafka refuses another setting.
        key: String,
        /// The reason in librdkafka's words.
        reason: String,
    },
}

/// Properties whose values correctness depends on, with the reason that the user reads.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set kafka.bootstrapServers"),
    ("metadata.broker.list", "set kafka.bootstrapServers"),
    ("group.id", "set kafka.group"),
    ("group.instance.id", "set kafka.instanceId"),
    ("group.protocol", "shards are handed over by the classic protocol"),
    ("partition.assignment.strategy", "shards are handed over one by one, by cooperative-sticky"),
    ("enable.auto.commit", "offsets are committed only when what they stand for is recorded"),
    ("enable.auto.offset.store", "offsets are committed only when what they stand for is recorded"),
    ("auto.commit.enable", "offsets are committed only when what they stand for is recorded"),
    ("auto.offset.reset", "trigger.from of the definition decides where reading of a topic begins"),
    ("isolation.level", "records of aborted transactions must not start sagas"),
    ("receive.message.max.bytes", "it follows from max.message.bytes of the topics that are read"),
    ("enable.idempotence", "a command must not be written twice, nor out of order, by a resend"),
    ("acks", "an acknowledged record must survive the loss of a broker"),
    ("request.required.acks", "an acknowledged record must survive the loss of a broker"),
    ("delivery.report.only.error", "a record counts as sent when its delivery report says so"),
    ("message.timeout.ms", "it is the Kafka attempt timeout of participants.yaml"),
    ("delivery.timeout.ms", "it is the Kafka attempt timeout of participants.yaml"),
    ("transactional.id", "a transaction of Kafka cannot include the event store"),
    ("test.mock.num.brokers", "it would replace the broker by a mock"),
    (
        "allow.auto.create.topics",
        "a topic that the broker creates by itself does not have the partitions and the retention that it needs",
    ),
    ("statistics.interval.ms", "readiness and the metrics of reading are computed from the statistics"),
    ("enable.partition.eof", "reaching the end of a partition is not an event here"),
];

impl KafkaSettings {
    /// Settings with nothing but an address and a group.
    #[must_use]
    pub fn new(bootstrap_servers: impl Into<String>, group: impl Into<String>) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: bootstrap_servers.into(),
            group: group.into(),
            instance_id: None,
            properties: BTreeMap::new(),
            message_timeout: Duration::from_secs(30),
            broker: BrokerKind::Real,
        }
    }

    /// The group whose partitions are the shards. A group of its own, so that a new trigger topic does not move a
    /// shard.
    #[must_use]
    pub fn shards_group(&self) -> String {
        format!("{}{SHARDS}", self.group)
    }

    /// The group that keeps what engines know the event store to have. It has no members.
    #[must_use]
    pub fn store_group(&self) -> String {
        format!("{}{STORE}", self.group)
    }

    /// The `client.id` of the engines. A member of the group with another one is no engine.
    pub(crate) fn client_id(&self) -> &str {
        self.properties.get("client.id").map_or(CLIENT_ID, String::as_str)
    }

    /// Whether every property may and can be handed on.
    ///
    /// # Errors
    /// Names the first property that may not, with the reason, or that librdkafka refuses. Never prints the value of a
    /// secret.
    pub fn check(&self) -> Result<(), KafkaPropertyError> {
        wrong_properties(&self.properties).into_iter().next().map_or(Ok(()), Err)?;
        for config in [self.producer(), self.consumer(&self.group, USUAL_BATCH)] {
            config.create_native_config().map_err(|error| invalid(&self.properties, &error))?;
        }
        Ok(())
    }

    /// Configuration of a client that reads beside `group`: it never joins, and commits nothing by itself.
    pub(crate) fn bystander(&self, group: &str, largest_batch: usize) -> ClientConfig {
        let mut config = self.consumer(group, largest_batch);
        config.remove("group.instance.id");
        config.set("enable.auto.commit", "false");
        config
    }

    /// Configuration of a consumer of `group`. No topic that it reads has a `max.message.bytes` above `largest_batch`.
    pub(crate) fn consumer(&self, group: &str, largest_batch: usize) -> ClientConfig {
        let fetch = FETCH_BYTES.max(largest_batch);
        let mut config = self.client();
        // A topic that is there again, or may be read again, is noticed within that time; librdkafka's default is five
        // minutes.
        tune(&mut config, &self.properties, "topic.metadata.refresh.interval.ms", "10000");
        // Smaller than librdkafka's: prefetched records are memory, and are thrown away by every pause.
        tune(&mut config, &self.properties, "queued.min.messages", "1000");
        tune(&mut config, &self.properties, "queued.max.messages.kbytes", "16384");
        // With a small prefetch librdkafka's default of 1 s would leave the consumer idle most of the time.
        tune(&mut config, &self.properties, "fetch.queue.backoff.ms", "5");
        tune(&mut config, &self.properties, "session.timeout.ms", "10000");
        tune(&mut config, &self.properties, "heartbeat.interval.ms", "3000");
        tune(&mut config, &self.properties, "auto.commit.interval.ms", "1000");
        tune(&mut config, &self.properties, "fetch.max.bytes", &fetch.to_string());
        if self.broker == BrokerKind::Mock {
            tune(&mut config, &self.properties, "fetch.wait.max.ms", MOCK_FETCH_WAIT_MS);
        }
        config.set("receive.message.max.bytes", (fetch + ANSWER_OVERHEAD).to_string());
        config.set("group.id", group);
        config.set("group.protocol", "classic");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        config.set("enable.auto.commit", "true");
        config.set("enable.auto.offset.store", "false");
        config.set("auto.offset.reset", "error");
        config.set("isolation.level", "read_committed");
        if let Some(instance) = &self.instance_id {
            config.set("group.instance.id", instance);
        }
        config
    }

    /// Configuration of a producer.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        // Decisions leave in groups already; a longer wait only delays commands.
        tune(&mut config, &self.properties, "linger.ms", "1");
        tune(&mut config, &self.properties, "queue.buffering.max.messages", "50000");
        tune(&mut config, &self.properties, "queue.buffering.max.kbytes", "65536");
        // The broker knows the topic's limit; this one only bounds what is copied.
        tune(&mut config, &self.properties, "message.max.bytes", "16777216");
        // A batch that a topic refuses for size fails every record in it: well below the usual limit of 1 MiB.
        tune(&mut config, &self.properties, "batch.size", "262144");
        // As Kafka's own clients place keys, so that what is published joins with what they publish.
        tune(&mut config, &self.properties, "partitioner", "murmur2_random");
        // A topic that does not exist is recognised well before the message times out, so that it is not taken for a
        // slow broker.
        tune(&mut config, &self.properties, "topic.metadata.propagation.max.ms", "5000");
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("message.timeout.ms", self.message_timeout.as_millis().to_string());
        config
    }

    /// Configuration of a client that neither reads nor writes records.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", CLIENT_ID);
        // A server that is back is noticed soon, and one that vanished without a word too.
        tune(&mut config, &self.properties, "socket.timeout.ms", "20000");
        tune(&mut config, &self.properties, "reconnect.backoff.max.ms", "2000");
        tune(&mut config, &self.properties, "socket.keepalive.enable", "true");
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        // A topic of ours that the broker made by itself would have its number of partitions and its retention.
        // Producers ask the broker to create topics unless this is false.
        config.set("allow.auto.create.topics", "false");
        config.set_log_level(RDKafkaLogLevel::Info);
        config
    }
}

/// Every property that may not be handed on, or that librdkafka refuses by itself. Never prints the value of a secret.
#[must_use]
pub fn wrong_properties(properties: &BTreeMap<String, String>) -> Vec<KafkaPropertyError> {
    properties.iter().filter_map(|(key, value)| wrong(properties, key, value)).collect()
}

fn wrong(properties: &BTreeMap<String, String>, key: &str, value: &str) -> Option<KafkaPropertyError> {
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return Some(KafkaPropertyError::Reserved { key: key.to_owned(), reason });
    }
    if !cfg!(feature = "tls") && needs_tls(key, value) {
        return Some(KafkaPropertyError::NoTls { key: key.to_owned() });
    }
    let alone = ClientConfig::new().set(key, value).create_native_config();
    alone.err().map(|error| invalid(properties, &error))
}

/// What librdkafka does with OpenSSL: TLS itself, and the mechanisms of SASL that hash.
fn needs_tls(key: &str, value: &str) -> bool {
    let value = value.to_ascii_uppercase();
    match key {
        "security.protocol" => value.ends_with("SSL"),
        "sasl.mechanism" | "sasl.mechanisms" => value.starts_with("SCRAM") || value == "OAUTHBEARER",
        other => other.starts_with("ssl.") || other.starts_with("enable.ssl.") || other.starts_with("sasl.oauthbearer"),
    }
}

fn invalid(properties: &BTreeMap<String, String>, error: &KafkaError) -> KafkaPropertyError {
    let KafkaError::ClientConfig(_, reason, key, _) = error else {
        return KafkaPropertyError::Invalid { key: String::new(), reason: error.to_string() };
    };
    let secret = properties.get(key).filter(|value| is_secret(key) && !value.is_empty());
    let reason = secret.map_or_else(|| reason.clone(), |value| reason.replace(value.as_str(), "…"));
    KafkaPropertyError::Invalid { key: key.clone(), reason }
}

/// Shows names of properties, and values only where they cannot be secrets.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: BTreeMap<&str, &str> = self
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), if is_secret(key) { "…" } else { value }))
            .collect();
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &secrets::address_shown(&self.bootstrap_servers))
            .field("group", &self.group)
            .field("instance_id", &self.instance_id)
            .field("properties", &shown)
            .finish_non_exhaustive()
    }
}

/// Whether `text` is `host:port`. librdkafka accepts more as an address, and tries it for ever.
#[must_use]
pub fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-._".contains(c));
    let is_address = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    is_address && port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<NonZeroU16>().is_ok()
}

/// Whether a property of this name holds a secret.
#[must_use]
pub fn is_secret(key: &str) -> bool {
    ["password", "passphrase", "secret", "pem", "jaas", "oauthbearer.config"].iter().any(|part| key.contains(part))
}

fn tune(config: &mut ClientConfig, properties: &BTreeMap<String, String>, key: &str, value: &str) {
    if !properties.contains_key(key) {
        config.set(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> KafkaSettings {
        let mut settings = KafkaSettings::new("localhost:9092", "saga-orchestrator");
        settings.properties.insert(key.into(), value.into());
        settings
    }

    #[test]
    fn what_correctness_needs_is_refused_by_name_with_the_reason() {
        let error = with("enable.auto.commit", "false").check().expect_err("reserved").to_string();
        assert!(error.contains("`enable.auto.commit` cannot be set: offsets are committed only when"), "{error}");
        for (key, _) in RESERVED {
            assert!(with(key, "1").check().is_err(), "{key}");
        }
    }

    #[test]
    fn what_librdkafka_does_not_know_is_refused_by_name() {
        let error = with("no.such.property", "1").check().expect_err("unknown").to_string();
        assert!(error.contains("`no.such.property`"), "{error}");
    }

    #[test]
    fn settings_that_only_tune_pass_through() {
        let settings = with("session.timeout.ms", "45000");
        assert!(settings.check().is_ok());
        assert_eq!(settings.consumer("g", USUAL_BATCH).get("session.timeout.ms"), Some("45000"));
        assert_eq!(with("linger.ms", "50").producer().get("linger.ms"), Some("50"));
    }

    #[test]
    fn an_answer_that_holds_the_largest_batch_can_be_received() {
        let config = KafkaSettings::new("localhost:9092", "g").consumer("g", LARGEST_BATCH);
        let limit: usize = config.get("receive.message.max.bytes").expect("set").parse().expect("a number");
        assert!(limit > LARGEST_BATCH);
        config.create_native_config().expect("within librdkafka's range");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", with("sasl.password", "hunter2"));
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }
}
