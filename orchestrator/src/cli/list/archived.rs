//! Sagas that have left the event store, from the files of archives, block by block.

use super::{ListArgs, PAGE, table};
use crate::cli::{output, selection::known_saga};
use anyhow::{Context as _, bail};
use saga_engine::journal::reading::SagaLine;
use saga_event_store::{
    ArchiveState, EventStore, StreamSummary,
    archive::{ArchiveError, ArchiveFile, recorded_file},
};
use std::process::ExitCode;

/// Options of lists that files have no index for; the others choose while all blocks are read.
const OF_THE_STORE: [&str; 7] =
    ["--step", "--code", "--older-than", "--started-within", "--waiting-on", "--incidents", "--incident"];

/// The newest archives first; in each the oldest saga first.
pub(super) async fn list(store: &dyn EventStore, args: &ListArgs) -> anyhow::Result<ExitCode> {
    refuse_other_options(args)?;
    let folder = args.store.archive_folder()?;
    let archives = store.archives().await?;
    let mut printer = ArchivedPrinter {
        args,
        left: if args.all { u32::MAX } else { args.limit },
        page: Vec::new(),
        header: table::TableHeader::Shown,
    };
    for archive in archives.iter().rev().filter(|it| it.state != ArchiveState::Writing) {
        let Some(file) = archive.content.file.as_deref() else { continue };
        if args.selection.saga.as_ref().is_some_and(|saga| !archive.content.categories.contains(saga)) {
            continue;
        }
        let folder = folder.as_deref().context("no folder of archives is configured: set `archive.folder`")?;
        if printer.take(&ArchiveFile::open(&recorded_file(folder, file))?)? {
            output::note("hint: there may be more sagas: --limit N shows more, --all shows all");
            break;
        }
    }
    if let (Some(saga), true) = (&args.selection.saga, printer.has_nothing()) {
        known_saga(store, saga).await?;
    }
    printer.print()?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_other_options(args: &ListArgs) -> anyhow::Result<()> {
    let given = args.selection.options();
    match given.iter().find(|(name, _)| OF_THE_STORE.contains(name)) {
        Some((name, _)) => bail!("{name} does not choose among archived sagas: use --saga, --status and --key"),
        None => Ok(()),
    }
}

struct ArchivedPrinter<'a> {
    args: &'a ListArgs,
    left: u32,
    page: Vec<SagaLine>,
    header: table::TableHeader,
}

impl ArchivedPrinter<'_> {
    fn has_nothing(&self) -> bool {
        self.page.is_empty() && self.header == table::TableHeader::Shown
    }

    /// Takes the wanted sagas of a file; whether these are as many as are wanted. A damaged block is told, and hinders
    /// no other.
    fn take(&mut self, file: &ArchiveFile) -> anyhow::Result<bool> {
        for block in file.streams() {
            let block = match block {
                Ok(block) => block,
                Err(error @ ArchiveError::Block { .. }) => {
                    output::note(&error.to_string());
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for stream in block {
                if !self.is_wanted(&stream.summary) {
                    continue;
                }
                if self.left == 0 {
                    return Ok(true);
                }
                self.left -= 1;
                self.page.push(SagaLine::from(stream.summary));
                if self.page.len() >= PAGE as usize {
                    self.print()?;
                }
            }
        }
        Ok(false)
    }

    fn is_wanted(&self, saga: &StreamSummary) -> bool {
        let ListArgs { selection, definition, key, .. } = self.args;
        let has_status = || selection.status.iter().any(|status| status.as_str() == saga.status);
        selection.saga.as_ref().is_none_or(|name| *name == saga.category)
            && (selection.status.is_empty() || has_status())
            && key.as_ref().is_none_or(|key| *key == saga.key)
            && definition.as_ref().is_none_or(|hash| saga.document.starts_with(hash))
    }

    fn print(&mut self) -> anyhow::Result<()> {
        if !self.page.is_empty() || self.has_nothing() {
            output::many(&self.page, self.args.output, |page| table::lines(page, self.header))?;
        }
        self.page.clear();
        self.header = table::TableHeader::Left;
        Ok(())
    }
}
