//! Commands that read journals read archives, too.

use crate::cli::{output, selection::known_among, store::StoreReadArgs};
use anyhow::bail;
use clap::Args;
use saga_core::id::SagaId;
use saga_engine::archiving::left::{self, LeftSagaLookup};
use saga_event_store::{
    EventStore, JournalReader, OpenedArchive,
    archive::{ArchiveFile, ArchiveReader},
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fmt,
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
    /// The archives, and those of them that end in the middle; `None`: none are named. Each file is proved by its
    /// SHA-256 first, unless damaged ones are wanted.
    ///
    /// # Errors
    /// When a file cannot be read, or no file has a saga of a definition that is called `saga`.
    pub(in crate::cli) async fn open(
        &self,
        store: &StoreReadArgs,
        saga: Option<&str>,
    ) -> anyhow::Result<Option<(Arc<dyn JournalReader>, Vec<CutArchive>)>> {
        let Some(path) = &self.archive else { return Ok(None) };
        let reader = if self.damaged { ArchiveReader::open_damaged(path)? } else { ArchiveReader::open(path)? };
        if self.damaged {
            output::note("of damaged archives only the whole sagas are read");
        } else {
            reader.files().iter().try_for_each(ArchiveFile::check)?;
        }
        if let Some(saga) = saga {
            known_saga(reader.files(), saga)?;
        }
        let cut = reader.files().iter().filter(|file| !file.is_whole()).map(CutArchive::of).collect();
        let journals: Arc<dyn JournalReader> = match self.with_keys {
            true => Arc::new(OpenedArchive::new(reader, store.open().await?)),
            false => Arc::new(reader),
        };
        Ok(Some((journals, cut)))
    }
}

/// A mistyped name of a definition is an error. What a damaged block has is not known.
fn known_saga(files: &[ArchiveFile], name: &str) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for block in files.iter().flat_map(ArchiveFile::streams).flatten() {
        known.extend(block.into_iter().map(|stream| stream.summary.category));
        if known.contains(name) {
            return Ok(());
        }
    }
    known_among(&known, name)
}

/// An archive that ends in the middle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct CutArchive {
    file: String,
    /// Whole sagas in it.
    sagas: u64,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_saga: Option<String>,
}

impl CutArchive {
    fn of(file: &ArchiveFile) -> CutArchive {
        CutArchive {
            file: file.path().display().to_string(),
            sagas: file.totals().sagas,
            last_saga: file.last_stream().map(|last| last.to_string()),
        }
    }
}

impl fmt::Display for CutArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CutArchive { file, sagas, last_saga } = self;
        let last = last_saga.as_ref().map(|last| format!(", the last one is {last}")).unwrap_or_default();
        write!(f, "{file} ends in the middle: {sagas} whole sagas are in it{last}; those behind them are lost")
    }
}

/// The archive in `folder` that has the saga, and the saga; `None`: none on record has it.
pub(in crate::cli) async fn archived(
    store: &dyn EventStore,
    folder: Option<&Path>,
    name: &str,
    definition: Option<&str>,
) -> anyhow::Result<Option<(ArchiveReader, SagaId)>> {
    match left::find(store, folder, name, definition).await? {
        LeftSagaLookup::None => Ok(None),
        LeftSagaLookup::Several(sagas) => {
            let ids: String = sagas.iter().map(|(id, saga)| format!("  {id} ({saga})\n")).collect();
            bail!("archives have several sagas with the key `{name}`:\n{ids}hint: `--saga NAME` chooses one")
        }
        LeftSagaLookup::One(left) => {
            output::note(&left.to_string());
            note_earlier(name, &left.earlier);
            Ok(Some((left.archive, left.id)))
        }
    }
}

/// Says that a key named the newest of several sagas.
pub(in crate::cli) fn note_earlier(key: &str, earlier: &[SagaId]) {
    if !earlier.is_empty() {
        let ids = earlier.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        output::note(&format!("this is the newest saga with the key `{key}`; older sagas with this key: {ids}"));
    }
}
