//! The files of `saga dev`: definitions, participants, and configurations for this run and for a separate engine.

use super::definitions::DefinitionSource;
use crate::{
    config::{self, ApiAccess, EngineConfig, InternalTopics, KafkaConfig, LetterConfig},
    startup::DefinitionFiles,
};
use anyhow::Context;
use saga_core::definition::{
    ParticipantCatalog, SourceFile,
    participants::{self, StubParticipants},
};
use saga_engine::topic_formats::TopicFormats;
use saga_event_store::{KeyRing, StoreConfig};
use saga_kafka::mock;
use saga_wire::dead_letter::AddedDialects;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Few, so that a start is quick; a store keeps the number with which it was created.
pub(super) const SHARDS: u16 = 8;

const SAGAS: [(&str, &str); 4] = [
    ("money-transfer.saga.yaml", include_str!("../../../sagas/money-transfer.saga.yaml")),
    ("order-fulfillment.saga.yaml", include_str!("../../../sagas/order-fulfillment.saga.yaml")),
    ("subscription-signup.saga.yaml", include_str!("../../../sagas/subscription-signup.saga.yaml")),
    ("travel-booking.saga.yaml", include_str!("../../../sagas/travel-booking.saga.yaml")),
];
const PARTICIPANTS: &str = include_str!("participants.yaml");
const SHIPPED_PARTICIPANTS: &str = include_str!("../../../sagas/participants.yaml");
/// Placeholder in [`PARTICIPANTS`] for the address of the run.
const ADDRESS: &str = "PARTICIPANTS";

/// Where clients find what a run serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct DevAddresses {
    /// The broker.
    pub(super) kafka: SocketAddr,
    /// The schema registry.
    pub(super) registry: SocketAddr,
    /// The API and the web UI.
    pub(super) listen: SocketAddr,
}

/// The folder of a run, also of earlier runs.
#[derive(Clone, Debug)]
pub(super) struct DevFolder(PathBuf);

impl DevFolder {
    /// Creates the folder if it does not exist, hidden from version control.
    pub(super) fn make(path: &Path) -> io::Result<DevFolder> {
        std::fs::create_dir_all(path)?;
        std::fs::write(path.join(".gitignore"), "*\n")?;
        Ok(DevFolder(path.to_owned()))
    }

    pub(super) fn store(&self) -> PathBuf {
        self.0.join("saga.db")
    }

    pub(super) fn memory(&self) -> PathBuf {
        self.0.join("participants.db")
    }

    /// The configuration with which `saga list` and other commands find this run.
    pub(super) fn config(&self) -> PathBuf {
        self.0.join("config.yaml")
    }

    /// The configuration of a separate engine on the Kafka of this run.
    pub(super) fn beside(&self) -> PathBuf {
        self.0.join("serve.yaml")
    }

    /// The port of Kafka in an earlier run.
    pub(super) fn kafka_port(&self) -> Option<u16> {
        let servers = self.earlier()?.kafka.bootstrap_servers;
        servers.rsplit_once(':')?.1.parse().ok()
    }

    /// The port of the schema registry in an earlier run.
    pub(super) fn registry_port(&self) -> Option<u16> {
        let name = self.earlier()?.schema_registry?.name;
        name.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
    }

    /// The configuration that an earlier run wrote.
    fn earlier(&self) -> Option<EngineConfig> {
        let file = self.config();
        let sources = config::ConfigSources {
            file: file.is_file().then_some(file.as_path()),
            env: BTreeMap::new(),
            flags: Vec::new(),
        };
        sources.file?;
        config::load(&sources).ok()
    }

    /// The folders of the definitions of the run and of their schemas. Those that are built in are written here, so
    /// that commands that read definitions have the same.
    fn definitions(&self, definitions: &DefinitionSource) -> anyhow::Result<[PathBuf; 2]> {
        if let (DefinitionSource::Folder(folder), Some(schemas)) = (definitions, definitions.schemas()?) {
            return Ok([folder.canonicalize()?, schemas]);
        }
        let folders = ["built-in/sagas", "built-in/schemas"].map(|folder| self.0.join(folder));
        let participants = [("participants.yaml", SHIPPED_PARTICIPANTS)];
        written(&folders[0], SAGAS.iter().chain(&participants))?;
        written(&folders[1], &saga_schemas::DOMAIN_EVENTS)?;
        let [sagas, schemas] = folders;
        Ok([sagas.canonicalize()?, schemas.canonicalize()?])
    }

    /// Writes both configurations.
    pub(super) fn write_configs(
        &self,
        config: &EngineConfig,
        addresses: &DevAddresses,
        definitions: &DefinitionSource,
    ) -> anyhow::Result<()> {
        let DevAddresses { kafka, registry, listen } = addresses;
        let [sagas, schemas] = self.definitions(definitions)?.map(|folder| serde_json::json!(folder));
        let text = format!(
            "# Written by `saga dev` at each start, for commands that read: `saga list`, `show`, `saga dlq`.\n\
             kafka: {{bootstrapServers: \"{kafka}\"}}\nstore: sqlite:./saga.db\nshards: {}\napi: {{listen: \"{listen}\"}}\n\
             sagas: {sagas}\nschemas: {schemas}\nschemaRegistry: {{url: \"http://{registry}\"}}\n",
            config.shards
        );
        std::fs::write(self.config(), text)?;
        Ok(self.write_beside(addresses)?)
    }

    /// Its own topics, group and store: two separate installations must not share any of them.
    fn write_beside(&self, DevAddresses { kafka, registry, listen }: &DevAddresses) -> io::Result<()> {
        let here = std::env::current_dir()?;
        let [sagas, schemas] = ["sagas", "schemas"].map(|folder| serde_json::json!(here.join(folder)));
        let (shards, port) = (mock::PARTITIONS, listen.port().checked_add(1).unwrap_or(0));
        let text = format!(
            "# Written by `saga dev` at each start, for a separate engine of your own: saga serve --config THIS_FILE --sagas FOLDER\n\
             kafka: {{bootstrapServers: \"{kafka}\", group: saga-beside}}\nstore: sqlite:./beside.db\nshards: {shards}\n\
             topics: {{inbox: beside.inbox, replies: beside.replies, dlq: beside.dlq}}\n\
             sagas: {sagas}\nschemas: {schemas}\nschemaRegistry: {{url: \"http://{registry}\"}}\n\
             api: {{listen: \"127.0.0.1:{port}\"}}\n"
        );
        std::fs::write(self.beside(), text)
    }
}

/// Writes files into a folder in which nothing else is.
fn written<'t>(folder: &Path, files: impl IntoIterator<Item = &'t (&'t str, &'t str)>) -> io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    files.into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}

/// The files of the run: `definitions`, and the sample participants, which listen at `address`.
///
/// # Errors
/// When files of a folder cannot be read.
pub(super) fn files(definitions: &DefinitionSource, address: SocketAddr) -> anyhow::Result<DefinitionFiles> {
    let here = PARTICIPANTS.replace(ADDRESS, &address.to_string());
    let schemas = definitions.schemas()?;
    let stand_ins = StubParticipants { shipped: embedded(SHIPPED_PARTICIPANTS)?, here: embedded(&here)? };
    let files = match (definitions, schemas) {
        (DefinitionSource::Folder(folder), Some(schemas)) => DefinitionFiles::of_folders(folder, &schemas)?,
        (DefinitionSource::Shipped | DefinitionSource::Folder(_), _) => shipped(),
    };
    Ok(DefinitionFiles { stand_ins: Some(stand_ins), ..files })
}

fn embedded(text: &str) -> anyhow::Result<ParticipantCatalog> {
    let read = participants::parse("participants.yaml", text, &|_| None);
    read.ok().context("participants that ship do not hold")
}

fn shipped() -> DefinitionFiles {
    let sources = |texts: &[(&str, &str)]| texts.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect();
    DefinitionFiles {
        sagas: sources(&SAGAS),
        participants: Some(SourceFile::new("participants.yaml", SHIPPED_PARTICIPANTS)),
        schemas: sources(&saga_schemas::DOMAIN_EVENTS),
        ..DefinitionFiles::default()
    }
}

/// The default configuration with the folder of this run.
pub(super) fn config(folder: &DevFolder, bootstrap_servers: &str, listen: SocketAddr) -> EngineConfig {
    EngineConfig {
        kafka: KafkaConfig {
            bootstrap_servers: bootstrap_servers.to_owned(),
            group: "saga-dev".into(),
            instance_id: None,
            properties: BTreeMap::new(),
        },
        store: StoreConfig::Sqlite { path: folder.store() },
        encryption: KeyRing::default(),
        // Definitions are embedded; nothing is read from here.
        sagas: PathBuf::new(),
        schemas: PathBuf::new(),
        schema_registry: None,
        topics: InternalTopics::default(),
        formats: TopicFormats::default(),
        shards: SHARDS,
        listen,
        tls: None,
        access: ApiAccess::Local,
        max_clock_skew: std::time::Duration::from_secs(60),
        archive: crate::config::ArchiveConfig::default(),
        letters: LetterConfig {
            keep: std::time::Duration::from_secs(30 * 24 * 3600),
            dialects: AddedDialects::default(),
        },
        traces: None,
        metrics_push: None,
        buckets: None,
        slow_operation: saga_base::operations::SLOW,
        outbound: saga_resilience::outbound::AddressPolicy::default(),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::load_files;
    use saga_core::definition::participants::MissingVariablePolicy;
    use std::collections::BTreeSet;

    fn read_again(path: &Path) -> ParticipantCatalog {
        embedded(&std::fs::read_to_string(path).expect("the file is there")).expect("it holds")
    }

    fn shipped(folder: &str, ending: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let entries = std::fs::read_dir(folder).expect("a shipped folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(ending)).collect()
    }

    fn names(texts: &[(&str, &str)]) -> BTreeSet<String> {
        texts.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn everything_that_ships_is_embedded() {
        assert_eq!(names(&SAGAS), shipped("sagas", ".saga.yaml"));
        assert_eq!(names(&saga_schemas::DOMAIN_EVENTS), shipped("schemas", ".avsc"));
    }

    #[test]
    fn the_files_hold_and_the_participants_are_those_that_ship() {
        let files = files(&DefinitionSource::Shipped, SocketAddr::from(([127, 0, 0, 1], 9001))).expect("files");
        let loaded = load_files(&files, &|_| None).expect("the embedded files hold");
        let checked = files.check(&InternalTopics::default(), MissingVariablePolicy::Refused);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let shipped = embedded(SHIPPED_PARTICIPANTS).expect("it ships");
        assert_eq!(loaded.played, shipped.names().collect::<Vec<_>>());
    }

    #[test]
    fn the_written_configuration_can_be_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listen = SocketAddr::from(([127, 0, 0, 1], 8081));
        let made = DevFolder::make(&folder.path().join("a folder")).expect("made");
        let config = config(&made, "127.0.0.1:9092", listen);
        let [kafka, registry] = [9092, 8085].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let addresses = DevAddresses { kafka, registry, listen };
        made.write_configs(&config, &addresses, &DefinitionSource::Shipped).expect("written");
        let sources =
            crate::config::ConfigSources { file: Some(&made.config()), env: Default::default(), flags: Vec::new() };
        let read = crate::config::load(&sources).expect("the configuration holds");
        assert_eq!((read.listen, read.shards, read.kafka.bootstrap_servers), (listen, SHARDS, "127.0.0.1:9092".into()));
        assert!(read.store.place().ends_with("saga.db"), "{:?}", read.store);
        let judged_by = DefinitionFiles::of_folders(&read.sagas, &read.schemas).expect("the files are there");
        let loaded = load_files(&judged_by, &|_| None).expect("they hold");
        assert_eq!((loaded.plans.len(), judged_by.schemas.len()), (SAGAS.len(), saga_schemas::DOMAIN_EVENTS.len()));
        let own = DefinitionSource::Folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas"));
        made.write_configs(&config, &addresses, &own).expect("written");
        let sources =
            crate::config::ConfigSources { file: Some(&made.config()), env: Default::default(), flags: Vec::new() };
        let read_own = crate::config::load(&sources).expect("the configuration holds");
        assert!(!read_own.sagas.starts_with(&made.0) && read_own.sagas.is_absolute(), "{:?}", read_own.sagas);
        assert_eq!((made.kafka_port(), made.registry_port()), (Some(9092), Some(8085)));
        let sources =
            crate::config::ConfigSources { file: Some(&made.beside()), env: Default::default(), flags: Vec::new() };
        let beside = crate::config::load(&sources).expect("that of an engine beside it holds");
        assert_ne!((beside.store, beside.topics, beside.kafka.group), (read.store, read.topics, config.kafka.group));
    }

    #[test]
    fn samples_stand_in_for_participants_that_are_where_they_ship() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write(
            "participants.yaml",
            &SHIPPED_PARTICIPANTS.replace("http://localhost:9001}\n", "http://localhost:7001}\n"),
        );
        write("a.saga.yaml", SAGAS[0].1);
        let definitions = DefinitionSource::Folder(folder.path().to_owned());
        let files = files(&definitions, SocketAddr::from(([127, 0, 0, 1], 5))).expect("the folder can be read");
        let loaded = load_files(&files, &|_| None).expect("it holds");
        assert_eq!(loaded.played, ["accounts", "inventory", "shipping", "travel"]);
        let address = |name: &str| format!("{:?}", loaded.participants.get(name).expect("there").transport);
        assert!(address("payments").contains("localhost:7001"), "moved, so somebody's own");
        assert!(address("travel").contains("127.0.0.1:5"), "where the sample listens");
        let watched = loaded.participants_file.expect("it is read again when it changes");
        let again = read_again(&watched.path).with_stand_ins(&watched.stand_ins.expect("samples stand in"));
        assert_eq!(again, (loaded.participants, loaded.played), "and is the same then");
    }
}
