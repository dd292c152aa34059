//! Commands that read journals read archives, too.

use crate::cli::{output, store::StoreReadArgs};
use clap::Args;
use saga_core::id::SagaId;
use saga_event_store::{
    ArchiveState, EventStore, JournalReader, StoreError,
    archive::{ArchiveFile, ArchiveReader, OpenedArchive},
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

/// The archive in `folder` that has the saga, and the saga; `None`: none on record has it. An id is looked for in the
/// archives of its time: one block of about a megabyte for each. A key is looked for among the keys that the store
/// keeps, so not after `keepKeys`.
pub(in crate::cli) async fn archived(
    store: &dyn EventStore,
    folder: Option<&Path>,
    name: &str,
    definition: Option<&str>,
) -> anyhow::Result<Option<(ArchiveReader, SagaId)>> {
    let archives = store.archives().await?;
    let ids = match name.parse::<SagaId>() {
        Ok(id) => vec![id],
        Err(_) => of_key(store, &archives, name, definition).await?,
    };
    for id in ids {
        let started_ms = id.started_at().0;
        let may_have = |it: &&saga_event_store::ArchiveRecord| {
            it.state != ArchiveState::Writing && it.period.from_ms <= started_ms && started_ms < it.period.to_ms
        };
        for file in archives.iter().rev().filter(may_have).filter_map(|it| it.content.file.as_deref()) {
            let Some(folder) = folder else {
                anyhow::bail!(
                    "the saga {id} may be in the archive {file}, and no folder of archives is configured: \
                     set `archive.folder`"
                );
            };
            let reader = ArchiveReader::of(vec![ArchiveFile::open(&folder.join(file))?])?;
            if reader.stream(id.uuid()).await?.is_some() {
                output::note(&format!("the saga is in the archive {file}"));
                return Ok(Some((reader, id)));
            }
        }
    }
    Ok(None)
}

/// The sagas that have the key, of the definitions that have archives.
async fn of_key(
    store: &dyn EventStore,
    archives: &[saga_event_store::ArchiveRecord],
    key: &str,
    definition: Option<&str>,
) -> Result<Vec<SagaId>, StoreError> {
    let mut definitions: Vec<&str> = match definition {
        Some(name) => vec![name],
        None => archives.iter().flat_map(|it| it.content.categories.iter().map(String::as_str)).collect(),
    };
    definitions.sort_unstable();
    definitions.dedup();
    let mut ids = Vec::new();
    for name in definitions {
        ids.extend(store.key_holder(name, key).await?.and_then(|it| SagaId::from_uuid(it.stream)));
    }
    Ok(ids)
}
