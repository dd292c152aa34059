//! Commands that read journals read archives, too.

use crate::cli::{output, store::StoreReadArgs};
use clap::Args;
use saga_core::id::SagaId;
use saga_engine::archiving::left::{self, LeftSaga};
use saga_event_store::{
    EventStore, JournalReader, OpenedArchive,
    archive::{ArchiveFile, ArchiveReader},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Options that name archives in place of the event store.
#[derive(Debug, Args)]
pub(in crate::cli) struct ArchiveSourceArgs {
    /// Read an archive file, or all files of a folder, in place of the event store
    #[arg(long, value_name = "FILE|FOLDER")]
    archive: Option<PathBuf>,
    /// Read the whole sagas of archives that end in the middle
    #[arg(long, requires = "archive")]
    damaged: bool,
    /// Take the keys of encrypted sagas from the event store
    #[arg(long, requires = "archive")]
    with_keys: bool,
}

impl ArchiveSourceArgs {
    /// The archives; `None`: none are named. Each file is proved by its SHA-256 first, unless damaged ones are wanted.
    pub(in crate::cli) async fn open(&self, store: &StoreReadArgs) -> anyhow::Result<Option<Arc<dyn JournalReader>>> {
        let Some(path) = &self.archive else { return Ok(None) };
        let reader = if self.damaged { ArchiveReader::open_damaged(path)? } else { ArchiveReader::open(path)? };
        if self.damaged {
            output::note("of damaged archives only the whole sagas are read");
        } else {
            reader.files().iter().try_for_each(ArchiveFile::check)?;
        }
        Ok(Some(match self.with_keys {
            true => Arc::new(OpenedArchive::new(reader, store.open().await?)),
            false => Arc::new(reader),
        }))
    }
}

/// The archive in `folder` that has the saga, and the saga; `None`: none on record has it.
pub(in crate::cli) async fn archived(
    store: &dyn EventStore,
    folder: Option<&Path>,
    name: &str,
    definition: Option<&str>,
) -> anyhow::Result<Option<(ArchiveReader, SagaId)>> {
    let found = left::find(store, folder, name, definition).await?;
    Ok(found.map(|LeftSaga { id, file, archive }| {
        output::note(&format!("the saga is in the archive {file}"));
        (archive, id)
    }))
}
