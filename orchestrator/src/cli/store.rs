//! The event store, for commands that read it and talk to no engine.

use super::{ConfigFileArgs, output};
use crate::config::{self, ConfigSources, EngineConfig};
use anyhow::Context;
use clap::Args;
use saga_event_store::{EventStore, StoreAccess, StoreError};
use std::{path::PathBuf, sync::Arc};

/// Options that name an event store.
#[derive(Debug, Args)]
pub(super) struct StoreReadArgs {
    #[command(flatten)]
    pub(super) file: ConfigFileArgs,
    /// Address of the event store [default: the key store of the configuration]
    #[arg(long, value_name = "ADDRESS")]
    store: Option<String>,
}

impl StoreReadArgs {
    /// The folder of archives, if the configuration names one.
    pub(super) fn archive_folder(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(self.config()?.archive.folder)
    }

    /// The configuration that the arguments name.
    pub(super) fn config(&self) -> anyhow::Result<EngineConfig> {
        Ok(config::load(&self.sources())?)
    }

    /// Opens the store for reading, and notes on stderr when no configuration names one.
    pub(super) async fn open(&self) -> anyhow::Result<Arc<dyn EventStore>> {
        let sources = self.sources();
        let config = config::load(&sources)?;
        if !config::names(&sources, "store") {
            let place = config.store.place();
            output::note(&format!("the configuration names no event store; this is the default, {place}"));
        }
        config.open_store(StoreAccess::Read).await.context("the event store cannot be read (key `store`)")
    }

    /// Opens the store for a command that writes beside engines. An SQLite file that an engine has is
    /// [`saga_event_store::StoreError::Locked`].
    pub(super) async fn open_to_write(&self) -> anyhow::Result<Result<Arc<dyn EventStore>, StoreError>> {
        open_to_write(&self.config()?).await
    }

    fn sources(&self) -> ConfigSources<'_> {
        let flags = self.store.clone().map(|store| vec![("store", store)]).unwrap_or_default();
        ConfigSources::of_process(self.file.config.as_deref(), flags)
    }
}

/// Opens a store that is there, with the number of shards that it has. Only the start of an engine creates or changes
/// tables.
///
/// # Errors
/// When there is no store, or its tables are those of another build; `Ok(Err(_))` when it is there and cannot be
/// written.
pub(super) async fn open_to_write(config: &EngineConfig) -> anyhow::Result<Result<Arc<dyn EventStore>, StoreError>> {
    let found = config.open_store(StoreAccess::Read).await.context("the event store cannot be read (key `store`)")?;
    let shards = found.identity().shards;
    drop(found);
    Ok(config.open_store(StoreAccess::Write { shards }).await)
}
