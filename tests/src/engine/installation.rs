//! What an engine runs on: a folder with its configuration, definitions and participants.

use crate::{kafka::TestKafka, unique};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Few enough to be claimed in a moment, enough that sagas spread.
const SHARDS: u16 = 8;

/// A folder of its own, a group of its own, topics of its own. Several engines can run on one installation.
pub struct EngineInstallation {
    folder: TempDir,
    config: Value,
    env: Vec<(String, String)>,
    inbox: String,
    replies: String,
    dlq: String,
}

impl EngineInstallation {
    /// An installation without sagas, on `kafka` and the store at `store` (`postgres://…` or `sqlite:…`).
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(kafka: &TestKafka, store: &str) -> Result<EngineInstallation> {
        let folder = tempfile::tempdir()?;
        let (inbox, replies, dlq) = (unique("saga.inbox"), unique("saga.replies"), unique("saga.dlq"));
        for name in ["sagas", "schemas"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let config = json!({
            "kafka": {"bootstrapServers": kafka.bootstrap(), "group": unique("engine")},
            "store": store,
            "sagas": folder.path().join("sagas"),
            "schemas": folder.path().join("schemas"),
            "topics": {"inbox": inbox, "replies": replies, "dlq": dlq},
            "shards": SHARDS,
        });
        let installation = EngineInstallation { folder, config, env: Vec::new(), inbox, replies, dlq };
        installation.participants(&json!({}))?;
        Ok(installation)
    }

    /// The same installation with a folder of its own, which has the same files so far: for an engine of another
    /// version.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn another_version(&self) -> Result<EngineInstallation> {
        let folder = tempfile::tempdir()?;
        let mut config = self.config.clone();
        for name in ["sagas", "schemas"] {
            fs::create_dir(folder.path().join(name))?;
            for entry in fs::read_dir(self.folder().join(name))? {
                let path = entry?.path();
                fs::copy(&path, folder.path().join(name).join(path.file_name().context("a file has a name")?))?;
            }
            config[name] = json!(folder.path().join(name));
        }
        let (inbox, replies, dlq) = (self.inbox.clone(), self.replies.clone(), self.dlq.clone());
        Ok(EngineInstallation { folder, config, env: self.env.clone(), inbox, replies, dlq })
    }

    /// Sets `section.key` of the configuration.
    #[must_use]
    pub fn with(mut self, section: &str, key: &str, value: Value) -> EngineInstallation {
        let sections = self.config.as_object_mut().expect("the configuration is made as an object");
        let section = sections.entry(section).or_insert_with(|| Value::Object(Map::new()));
        section[key] = value;
        self
    }

    /// Sets `key` of the configuration, beside all sections.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> EngineInstallation {
        self.config[key] = value;
        self
    }

    /// Sets a variable of the environment in which engines start.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> EngineInstallation {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The environment that was set.
    pub(super) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Removes the definition `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn remove_definition(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.sagas().join(format!("{name}.saga.yaml")))?)
    }

    /// Writes the definition `name`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn definition(&self, name: &str, yaml: &str) -> Result<()> {
        let path = self.sagas().join(format!("{name}.saga.yaml"));
        fs::write(&path, yaml).with_context(|| format!("{}", path.display()))
    }

    /// Writes participants.yaml: an object of participants by name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn participants(&self, participants: &Value) -> Result<()> {
        // JSON is YAML.
        let text = json!({"participants": participants}).to_string();
        Ok(fs::write(self.sagas().join("participants.yaml"), text)?)
    }

    /// Where definitions lie.
    #[must_use]
    pub fn sagas(&self) -> PathBuf {
        self.folder.path().join("sagas")
    }

    /// Where everything lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The inbox topic.
    #[must_use]
    pub fn inbox(&self) -> &str {
        &self.inbox
    }

    /// The topic of replies.
    #[must_use]
    pub fn replies(&self) -> &str {
        &self.replies
    }

    /// The DLQ topic.
    #[must_use]
    pub fn dlq(&self) -> &str {
        &self.dlq
    }

    /// The group of the consumer of triggers and replies.
    #[must_use]
    pub fn group(&self) -> &str {
        self.config["kafka"]["group"].as_str().expect("a new installation has a group")
    }

    /// Writes the configuration of an engine whose API's address is named otherwise, and returns its path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn config(&self) -> Result<PathBuf> {
        self.write_config(0)
    }

    /// Writes the configuration of an engine whose API listens on `port`, and returns its path.
    pub(super) fn write_config(&self, port: u16) -> Result<PathBuf> {
        let mut config = self.config.clone();
        config["api"]["listen"] = json!(format!("127.0.0.1:{port}"));
        let path = self.folder.path().join(format!("config-{port}.yaml"));
        fs::write(&path, config.to_string())?;
        Ok(path)
    }
}
