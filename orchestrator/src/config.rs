//! Configuration: flags override the environment, which overrides the file. Everything is checked before the start, and
//! all errors are reported at once.

mod api_tls;
mod archive;
mod buckets;
mod catalogue;
mod encryption;
#[cfg(test)]
mod encryption_tests;
#[cfg(test)]
mod file_tests;
mod internal_topics;
mod layers;
mod letters;
mod login;
#[cfg(test)]
mod login_tests;
mod metrics_push;
mod otel;
mod outbound;
#[cfg(test)]
mod outbound_tests;
mod places;
mod schema_registry;
#[cfg(test)]
mod schema_registry_tests;
mod slow_operations;
#[cfg(test)]
mod tests;
mod topic_formats;
#[cfg(test)]
mod topic_formats_tests;
mod traces;
#[cfg(test)]
mod traces_tests;
mod warnings;

pub(crate) use api_tls::ApiTlsFiles;
pub(crate) use archive::ArchiveConfig;
pub(crate) use internal_topics::InternalTopics;
pub(crate) use letters::LetterConfig;
pub(crate) use login::ApiAccess;
pub(crate) use metrics_push::{MetricsPush, metrics_push};
pub(crate) use otel::OtlpProtocol;
pub(crate) use schema_registry::RegistryConfig;
pub(crate) use traces::TraceConfig;

use internal_topics::{DLQ_OF, EVENTS, EVENTS_FROM};
use layers::{ConfigLayers, ConfigValue};
use saga_base::secrets;
use saga_core::definition::{ReservedTopic, without_credentials};
use saga_engine::{events_topic::EventsTopic, topic_formats::TopicFormats};
use saga_event_store::{EventStore, KeyRing, StoreAccess, StoreConfig, StoreError};
use saga_kafka::{self, topics::LONGEST_OWN_TOPIC};
use saga_resilience::outbound::AddressPolicy;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The file that is read if no file is named.
pub(crate) const DEFAULT_FILE: &str = "config.yaml";

/// The configuration of an engine. Its `Debug` hides what may be secret.
#[derive(Clone)]
pub(crate) struct EngineConfig {
    /// How to reach Kafka.
    pub kafka: KafkaConfig,
    /// Where the event store is.
    pub store: StoreConfig,
    /// The keys that encrypt the event store; none: it is not encrypted.
    pub encryption: KeyRing,
    /// Folder of `*.saga.yaml` and `participants.yaml`.
    pub sagas: PathBuf,
    /// Folder of `*.avsc` and `*.schema.json`.
    pub schemas: PathBuf,
    /// The registry of the schemas of records; `None`: there is none.
    pub schema_registry: Option<RegistryConfig>,
    /// Names of the internal topics.
    pub topics: InternalTopics,
    /// In which format the records of other topics are.
    pub formats: TopicFormats,
    /// Number of shards; fixed when the store is created.
    pub shards: u16,
    /// Address of the API and the web UI.
    pub listen: SocketAddr,
    /// Its TLS; `None`: it speaks HTTP.
    pub tls: Option<ApiTlsFiles>,
    /// Who may call it.
    pub access: ApiAccess,
    /// Maximum difference to the clock of the event store; beyond it the engine claims no shard.
    pub max_clock_skew: Duration,
    /// Where ended sagas go.
    pub archive: ArchiveConfig,
    /// How dead letters are written, and how long their rows stay.
    pub letters: LetterConfig,
    /// Where spans go; `None`: nowhere.
    pub traces: Option<TraceConfig>,
    /// Where metrics are sent; `None`: they are only scraped.
    pub metrics_push: Option<MetricsPush>,
    /// Upper bounds in seconds of the buckets of all histograms of durations; `None`: each has its own.
    pub buckets: Option<Vec<f64>>,
    /// From this duration on an operation is slow.
    pub slow_operation: Duration,
    /// Where participants may be.
    pub outbound: AddressPolicy,
    /// What works and should be looked at, for the log of the start.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineConfig")
            .field("kafka", &self.kafka)
            .field("store", &self.store)
            .field("encryption", &self.encryption)
            .field("sagas", &self.sagas)
            .field("schemas", &self.schemas)
            .field("schema_registry", &self.schema_registry)
            .field("topics", &self.topics)
            .field("formats", &self.formats)
            .field("shards", &self.shards)
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .field("access", &self.access)
            .field("max_clock_skew", &self.max_clock_skew)
            .field("archive", &self.archive)
            .field("letters", &self.letters)
            .field("traces", &self.traces)
            .field("metrics_push", &self.metrics_push)
            .field("buckets", &self.buckets)
            .field("slow_operation", &self.slow_operation)
            .field("outbound", &self.outbound)
            .field("warnings", &self.warnings)
            .finish()
    }
}

impl EngineConfig {
    /// Opens the event store with its keys.
    ///
    /// # Errors
    /// As [`StoreConfig::open_sealed`].
    pub(crate) async fn open_store(&self, access: StoreAccess) -> Result<Arc<dyn EventStore>, StoreError> {
        self.store.open_sealed(access, self.encryption.clone()).await
    }
}

/// How to reach Kafka.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KafkaConfig {
    /// `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// Consumer group of triggers and replies; the groups of the shards and of the store are named after it.
    pub group: String,
    /// `group.instance.id` of Kafka, for static membership.
    pub instance_id: Option<String>,
    /// Properties for librdkafka, unchanged; the startup refuses those that correctness depends on.
    pub properties: BTreeMap<String, String>,
}

impl std::fmt::Debug for KafkaConfig {
    /// Without the properties' values: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap_servers", &secrets::address_shown(&self.bootstrap_servers))
            .field("group", &self.group)
            .field("instance_id", &self.instance_id)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

/// The configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct EngineConfigError(pub Vec<String>);

/// Keys that flags set, with the values as typed.
pub(crate) type ConfigFlags = Vec<(&'static str, String)>;

/// The sources of a configuration.
pub(crate) struct ConfigSources<'a> {
    /// The file; `None`: [`DEFAULT_FILE`] if it is there.
    pub file: Option<&'a Path>,
    /// The environment variables; they override the file.
    pub env: BTreeMap<String, String>,
    /// The flags; they override everything else.
    pub flags: ConfigFlags,
}

impl ConfigSources<'_> {
    /// The sources of this process: its environment, the file that `file` or `SAGA_CONFIG` names, and `flags`.
    #[must_use]
    pub(crate) fn of_process(file: Option<&Path>, flags: ConfigFlags) -> ConfigSources<'_> {
        ConfigSources { file, env: std::env::vars().collect(), flags }
    }
}

/// Reads and checks the configuration.
///
/// # Errors
/// Every unknown key, missing key and wrong value: where it was set, the value, and what was expected.
pub(crate) fn load(sources: &ConfigSources<'_>) -> Result<EngineConfig, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    let config = check.config();
    check.end(config)
}

/// Whether a file, the environment or a flag sets `key`; otherwise it has its default.
#[must_use]
pub(crate) fn names(sources: &ConfigSources<'_>, key: &str) -> bool {
    ConfigLayers::read(sources).is_ok_and(|layers| layers.get(key).is_some())
}

/// Problems of the configuration file alone, for a check of files on a machine with another environment.
#[must_use]
pub(crate) fn wrong_in_file(sources: &ConfigSources<'_>) -> Vec<ConfigFileProblem> {
    let Some(path) = layers::file_of(sources) else { return Vec::new() };
    let file = path.display().to_string();
    let is_named = sources.file.is_some() || sources.env.contains_key("SAGA_CONFIG");
    let wrong = |message: String| ConfigFileProblem { file: file.clone(), message, is_named };
    let layers =
        match ConfigLayers::read(&ConfigSources { file: Some(&path), env: sources.env.clone(), flags: Vec::new() }) {
            Ok(layers) => layers,
            Err(error) => {
                return error
                    .0
                    .into_iter()
                    .map(|told| wrong(told.trim_start_matches(&format!("{file}: ")).to_owned()))
                    .collect();
            }
        };
    let mut check = ConfigValidator::new(&layers);
    check.config();
    let of_file = check.errors.iter().filter(|told| !check.unset.contains(told));
    of_file.filter_map(|told| told.strip_prefix(&format!("{file}: "))).map(|told| wrong(told.to_owned())).collect()
}

/// Secrets that stand in the configuration file itself, for a check of files.
#[must_use]
pub(crate) fn secrets_in_file(sources: &ConfigSources<'_>) -> Vec<ConfigFileProblem> {
    let Some(path) = layers::file_of(sources) else { return Vec::new() };
    let sources = ConfigSources { file: Some(&path), env: sources.env.clone(), flags: Vec::new() };
    ConfigLayers::read(&sources)
        .map_or_else(|_| Vec::new(), |layers| warnings::literal_in_file(&ConfigValidator::new(&layers)))
}

/// A problem of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFileProblem {
    /// Name of the file.
    pub file: String,
    /// What is wrong, and what was expected, for people.
    pub message: String,
    /// Whether the user named the file; false: the default file was found.
    pub is_named: bool,
}

/// As [`load`], for commands that need definitions: a folder without definitions is one more error.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_to_serve(sources: &ConfigSources<'_>) -> Result<EngineConfig, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    let config = check.config();
    check.definitions(&config.sagas);
    check.access_is_decided(&config.access, config.listen);
    check.end(config)
}

/// Files of the folder that would be definitions with another name, as text.
fn misnamed(folder: &Path) -> String {
    let names: Vec<String> = crate::source_files::misnamed(folder)
        .unwrap_or_default()
        .iter()
        .filter_map(|finding| Some(format!("; {}: {}", finding.file, finding.help.as_deref()?)))
        .collect();
    names.concat()
}

/// The folders of files for a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DefinitionFolders {
    /// Folder of `*.saga.yaml` and `participants.yaml`.
    pub sagas: PathBuf,
    /// Folder of the schemas by which definitions are checked.
    pub schemas: PathBuf,
}

/// Reads only the folders from the configuration: a check needs no complete configuration.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn folders(sources: &ConfigSources<'_>) -> Result<DefinitionFolders, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    Ok(DefinitionFolders { sagas: check.path("sagas", "./sagas"), schemas: check.path("schemas", "./schemas") })
}

/// Reads only how to reach the schema registry; `None`: the configuration names none.
///
/// # Errors
/// When the file cannot be read, or its keys of the registry are wrong.
pub(crate) fn schema_registry(sources: &ConfigSources<'_>) -> Result<Option<RegistryConfig>, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    let registry = check.schema_registry();
    if check.errors.is_empty() { Ok(registry) } else { Err(EngineConfigError(check.errors)) }
}

/// Reads only where spans go, from the variables of OpenTelemetry alone; `None`: nowhere.
///
/// # Errors
/// When one of them is wrong.
pub(crate) fn traces(env: BTreeMap<String, String>) -> Result<Option<TraceConfig>, EngineConfigError> {
    let layers = ConfigLayers::of_environment(env);
    let mut check = ConfigValidator::new(&layers);
    let traces = check.traces();
    secrets::remember(otel::secrets_of(&layers.env));
    if check.errors.is_empty() { Ok(traces) } else { Err(EngineConfigError(check.errors)) }
}

/// Reads only the names of the internal topics from the configuration.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn topics(sources: &ConfigSources<'_>) -> Result<InternalTopics, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    Ok(ConfigValidator::new(&layers).topics())
}

/// Reads only the formats of topics, as far as they are right, and whether a schema registry is configured.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn formats(sources: &ConfigSources<'_>) -> Result<(TopicFormats, bool), EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    let (topics, registry) = (check.topics(), check.schema_registry());
    Ok((check.topic_formats(&topics, registry.as_ref()), registry.is_some()))
}

/// Where an engine with this configuration listens, and whether by TLS, for a command beside it.
///
/// # Errors
/// When the file of the configuration cannot be read, or these keys are wrong.
pub(crate) fn own_api(sources: &ConfigSources<'_>) -> Result<(SocketAddr, bool), EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    let (listen, tls) = (check.listen_key(), check.api_tls());
    if check.errors.len() > layers.errors.len() {
        Err(EngineConfigError(check.errors))
    } else {
        Ok((listen, tls.is_some()))
    }
}

/// Reads only where the keys of the API are; `None`: the configuration names no file.
///
/// # Errors
/// When the file of the configuration cannot be read.
pub(crate) fn key_file(sources: &ConfigSources<'_>) -> Result<Option<PathBuf>, EngineConfigError> {
    let layers = ConfigLayers::read(sources)?;
    let mut check = ConfigValidator::new(&layers);
    Ok(layers.get(login::KEY_FILE).is_some().then(|| check.path(login::KEY_FILE, "./keys.yaml")))
}

/// The reason why a folder has no definitions; `None` if it has some.
pub(crate) fn without_definitions(folder: &Path) -> Option<String> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return Some(format!("the folder {} cannot be read: {error}", folder.display())),
    };
    let is_definition = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".saga.yaml");
    let found = entries.filter_map(Result::ok).any(is_definition);
    (!found).then(|| format!("there is no *.saga.yaml in {}{}", folder.display(), misnamed(folder)))
}

/// Credentials in the address of the store, and properties of Kafka with secrets.
fn secrets_of(config: &EngineConfig) -> Vec<String> {
    let properties = config.kafka.properties.iter().filter(|(key, _)| saga_kafka::settings::is_secret(key));
    secrets::of_url(&config.store.address()).into_iter().chain(properties.map(|(_, value)| value.clone())).collect()
}

/// Checks values and collects what is wrong with them.
struct ConfigValidator<'a> {
    layers: &'a ConfigLayers,
    errors: Vec<String>,
    /// Those of them that are a problem of the machine and not of the file.
    unset: Vec<String>,
}

impl<'a> ConfigValidator<'a> {
    fn new(layers: &'a ConfigLayers) -> ConfigValidator<'a> {
        ConfigValidator { layers, errors: layers.errors.clone(), unset: layers.unset.clone() }
    }

    /// Remembers the secrets of the configuration first, because later texts may contain them.
    fn end(self, config: EngineConfig) -> Result<EngineConfig, EngineConfigError> {
        secrets::remember(secrets_of(&config));
        secrets::remember(otel::secrets_of(&self.layers.env));
        if self.errors.is_empty() { Ok(config) } else { Err(EngineConfigError(self.errors)) }
    }

    fn config(&mut self) -> EngineConfig {
        let (topics, schema_registry) = (self.topics(), self.schema_registry());
        let mut config = EngineConfig {
            kafka: KafkaConfig {
                bootstrap_servers: self.servers("kafka.bootstrapServers", "localhost:9092"),
                group: self.group("kafka.group", "saga-orchestrator"),
                instance_id: self.layers.get("kafka.instanceId").map(|setting| setting.value.clone()),
                properties: self.layers.properties.clone(),
            },
            store: self.store("store", "postgres://saga:saga@localhost:5432/saga"),
            encryption: self.encryption(),
            sagas: self.path("sagas", "./sagas"),
            schemas: self.path("schemas", "./schemas"),
            formats: self.topic_formats(&topics, schema_registry.as_ref()),
            schema_registry,
            topics,
            shards: self.shards("shards", 64),
            listen: self.listen_key(),
            tls: self.api_tls(),
            access: ApiAccess::Undecided,
            max_clock_skew: self.skew("clock.maxSkewSeconds", 60),
            archive: self.archive(),
            letters: self.letters(),
            traces: self.traces(),
            metrics_push: self.metrics_push(),
            buckets: self.buckets(),
            slow_operation: self.slow_operation(),
            outbound: self.outbound(),
            warnings: Vec::new(),
        };
        config.warnings = self.warnings(&config);
        config.access = self.access(config.listen);
        self.properties();
        self.topics_differ(&config.topics);
        config
    }

    fn listen_key(&mut self) -> SocketAddr {
        self.listen("api.listen", SocketAddr::from(([127, 0, 0, 1], 8080)))
    }

    fn properties(&mut self) {
        let wrong = saga_kafka::settings::wrong_properties(&self.layers.properties);
        self.errors.extend(wrong.iter().map(|error| format!("{}: {error}", self.layers.file)));
    }

    fn definitions(&mut self, folder: &Path) {
        if let Some(why) = without_definitions(folder) {
            let source = self.layers.get("sagas").map_or("default", |setting| &setting.source);
            self.errors.push(format!("{source}: `sagas`: {why}: set it to the folder of your definitions"));
        }
    }

    fn text(&mut self, key: &str, default: &str) -> String {
        self.checked(key, default, "a text that is not empty", |text| {
            (!text.trim().is_empty()).then(|| text.to_owned())
        })
    }

    /// With the name of another group of an installation, the engine would take partitions and offsets from that
    /// installation.
    fn group(&mut self, key: &str, default: &str) -> String {
        let expected = "a name that is not empty, does not end in `.shards` or `.store` and has no `.catch-up.` in it: \
                        engines of the group without it use such groups";
        self.checked(key, default, expected, |text| {
            (!text.trim().is_empty() && !saga_kafka::settings::is_of_another(text)).then(|| text.to_owned())
        })
    }

    fn servers(&mut self, key: &str, default: &str) -> String {
        self.checked(key, default, "`host:port`, several separated by commas", |text| {
            text.split(',').all(|server| saga_kafka::settings::is_server(server.trim())).then(|| text.to_owned())
        })
    }

    fn store(&mut self, key: &str, default: &str) -> StoreConfig {
        let expected = "`postgres://user:password@host:port/database` or `sqlite:./file.db`";
        match self.checked(key, default, expected, |text| text.parse().ok()) {
            StoreConfig::Sqlite { path } => StoreConfig::Sqlite { path: self.layers.base_of(key).join(path) },
            server @ StoreConfig::Postgres { .. } => server,
        }
    }

    fn path(&mut self, key: &str, default: &str) -> PathBuf {
        let text = self.text(key, default);
        self.layers.base_of(key).join(text)
    }

    fn topics(&mut self) -> InternalTopics {
        InternalTopics {
            inbox: self.topic("topics.inbox", "saga.inbox"),
            replies: self.topic("topics.replies", "saga.replies"),
            dlq: self.topic("topics.dlq", "saga.dlq"),
            dlq_of: self.dlq_of(),
            events: self.events_topic(),
        }
    }

    fn events_topic(&mut self) -> Option<EventsTopic> {
        let start = self.checked(EVENTS_FROM, "newest", "`newest` or `oldest`", internal_topics::events_start);
        let is_named = self.layers.get(EVENTS).is_some();
        if !is_named && let Some(ConfigValue { source, .. }) = self.layers.get(EVENTS_FROM) {
            self.errors.push(format!("{source}: `{EVENTS_FROM}` says where a topic begins: expected `{EVENTS}`, too"));
        }
        is_named.then(|| EventsTopic { name: self.topic(EVENTS, "saga.events").into(), start })
    }

    /// A topic name that Kafka accepts, with room for the suffix of the mark topic.
    fn topic(&mut self, key: &str, default: &str) -> String {
        self.checked(key, default, &own_topic(), |text| is_own_topic(text).then(|| text.to_owned()))
    }

    fn shards(&mut self, key: &str, default: u16) -> u16 {
        self.checked(key, &default.to_string(), "a number from 1 to 4096", |text| {
            text.parse().ok().filter(|shards| (1..=saga_core::id::MAX_SHARDS).contains(shards))
        })
    }

    fn skew(&mut self, key: &str, default: u64) -> Duration {
        self.checked(key, &default.to_string(), "a number of seconds from 1 to 86400", |text| {
            text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds)).map(Duration::from_secs)
        })
    }

    fn archive(&mut self) -> ArchiveConfig {
        let folder = self.layers.get("archive.folder").is_some().then(|| self.path("archive.folder", "./archive"));
        let expected = "a time from 1d to 366d, like `7d`";
        ArchiveConfig {
            folder,
            partition: self.checked("archive.partition", archive::PARTITION, expected, archive::partition),
        }
    }

    fn listen(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        self.checked(key, &default.to_string(), "an address and a port, `127.0.0.1:8080` or `[::]:8080`", |text| {
            text.parse().ok()
        })
    }

    fn checked<T>(&mut self, key: &str, default: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let fall_back = || read(default).expect("a default passes its own check");
        let Some(ConfigValue { value, source }) = self.layers.get(key) else { return fall_back() };
        read(value).unwrap_or_else(|| {
            self.errors.push(format!("{source}: `{key}` is `{}`: expected {expected}", shown(key, value)));
            fall_back()
        })
    }

    /// Where a key is set.
    fn source_of(&self, key: &str) -> Option<&str> {
        if key == DLQ_OF {
            return self.layers.dlq_of.is_some().then_some(&self.layers.file);
        }
        self.layers.get(key).map(|setting| setting.source.as_str())
    }

    fn topics_differ(&mut self, topics: &InternalTopics) {
        let named = topics.reserved();
        for (position, ReservedTopic { key, topic: name }) in named.iter().enumerate() {
            let same = named[..position].iter().find(|other| other.topic == *name);
            let Some(ReservedTopic { key: other, .. }) = same else { continue };
            // Two defaults never collide, so at least one of the two was set.
            let (set, other) = if self.source_of(key).is_some() { (key, other) } else { (other, key) };
            let source = self.source_of(set).unwrap_or("default");
            self.errors.push(format!("{source}: `{set}` is `{name}`: expected another topic than `{other}` has"));
        }
    }
}

/// What the name of a topic of the installation has to be.
fn own_topic() -> String {
    format!("a topic's name: 1 to {LONGEST_OWN_TOPIC} of a-z A-Z 0-9 . _ -")
}

fn is_own_topic(text: &str) -> bool {
    let characters = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    characters && (1..=LONGEST_OWN_TOPIC).contains(&text.len()) && text != "." && text != ".."
}

/// A value without its secrets.
fn shown(key: &str, value: &str) -> String {
    match key {
        "store" | "kafka.bootstrapServers" | "api.listen" => secrets::address_shown(value),
        _ => without_credentials(value).into_owned(),
    }
}
