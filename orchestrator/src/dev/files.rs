//! What `saga dev` runs by: the shipped definitions, embedded, and a configuration for this run.

use crate::{
    config::{Config, Kafka, Topics},
    startup::Files,
};
use saga_core::definition::Source;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Few, so that a start is quick; a store keeps the number that it was made with.
pub(super) const SHARDS: u16 = 8;

const SAGAS: [(&str, &str); 4] = [
    ("money-transfer.saga.yaml", include_str!("../../../sagas/money-transfer.saga.yaml")),
    ("order-fulfillment.saga.yaml", include_str!("../../../sagas/order-fulfillment.saga.yaml")),
    ("subscription-signup.saga.yaml", include_str!("../../../sagas/subscription-signup.saga.yaml")),
    ("travel-booking.saga.yaml", include_str!("../../../sagas/travel-booking.saga.yaml")),
];
const PARTICIPANTS: &str = include_str!("participants.yaml");
/// Stands in [`PARTICIPANTS`] for the address that the run has.
const ADDRESS: &str = "PARTICIPANTS";

/// The folder of a run and of those before it.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if it is not there, hidden from version control.
    pub(super) fn make(path: &Path) -> io::Result<Folder> {
        std::fs::create_dir_all(path)?;
        std::fs::write(path.join(".gitignore"), "*\n")?;
        Ok(Folder(path.to_owned()))
    }

    pub(super) fn store(&self) -> PathBuf {
        self.0.join("saga.db")
    }

    pub(super) fn store_address(&self) -> String {
        format!("sqlite:{}", self.store().display())
    }

    pub(super) fn memory(&self) -> PathBuf {
        self.0.join("participants.db")
    }

    /// The configuration with which `saga list` and its like find this run.
    pub(super) fn config(&self) -> PathBuf {
        self.0.join("config.yaml")
    }

    pub(super) fn write_config(&self, config: &Config, listen: SocketAddr) -> io::Result<()> {
        let text = format!(
            "# Written by `saga dev` at each start, for `saga list`, `show` and `history`.\n\
             kafka: {{bootstrapServers: \"{}\"}}\nstore: sqlite:./saga.db\nshards: {}\napi: {{listen: \"{listen}\"}}\n",
            config.kafka.bootstrap_servers, config.shards
        );
        std::fs::write(self.config(), text)
    }
}

/// Definitions, schemas, and participants that listen at `address`.
pub(super) fn files(address: SocketAddr) -> Files {
    let sources = |texts: &[(&str, &str)]| texts.iter().map(|(name, text)| Source::new(*name, *text)).collect();
    let participants = PARTICIPANTS.replace(ADDRESS, &address.to_string());
    Files {
        sagas: sources(&SAGAS),
        participants: Some(Source::new("participants.yaml", participants)),
        schemas: sources(&saga_schemas::DOMAIN_EVENTS),
        participants_file: None,
        unreadable: Vec::new(),
    }
}

/// Everything as it is by default but for where this run keeps its things.
pub(super) fn config(folder: &Folder, bootstrap_servers: &str, listen: SocketAddr) -> Config {
    Config {
        kafka: Kafka {
            bootstrap_servers: bootstrap_servers.to_owned(),
            group: "saga-dev".into(),
            instance_id: None,
            properties: BTreeMap::new(),
        },
        store: folder.store_address(),
        // Definitions are embedded; nothing is read from here.
        sagas: PathBuf::new(),
        schemas: PathBuf::new(),
        topics: Topics::default(),
        shards: SHARDS,
        listen,
        max_clock_skew: std::time::Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::load_files;
    use saga_core::definition::{Library, participants};
    use std::collections::BTreeSet;

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
        let files = files(SocketAddr::from(([127, 0, 0, 1], 9001)));
        let loaded = load_files(&files, &|_| None).expect("the embedded files hold");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let ship = include_str!("../../../sagas/participants.yaml");
        let shipped = participants::parse("participants.yaml", ship, &|_| None).expect("it ships");
        let ours = Library::read(&[], files.participants.as_ref(), &[], &|_| None).participants;
        assert_eq!(ours.names().collect::<Vec<_>>(), shipped.names().collect::<Vec<_>>());
    }

    #[test]
    fn the_written_configuration_can_be_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listen = SocketAddr::from(([127, 0, 0, 1], 8081));
        let made = Folder::make(&folder.path().join("a folder")).expect("made");
        let config = config(&made, "127.0.0.1:9092", listen);
        made.write_config(&config, listen).expect("written");
        let sources = crate::config::Sources { file: Some(&made.config()), env: Default::default(), flags: Vec::new() };
        let read = crate::config::load(&sources).expect("the configuration holds");
        assert_eq!((read.listen, read.shards, read.kafka.bootstrap_servers), (listen, SHARDS, "127.0.0.1:9092".into()));
        assert_eq!(
            Path::new(read.store.trim_start_matches("sqlite:")).file_name(),
            Some(std::ffi::OsStr::new("saga.db"))
        );
    }
}
