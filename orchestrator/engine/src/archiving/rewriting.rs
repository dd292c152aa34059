//! Writes files of archives anew without the content of sagas that were erased.
//!
//! The act is on record before this begins, and the store keeps the list of what is to be done, so a process can end at
//! any point: the next pass does it again. A new file is whole, on the disk and proved before the record names it, and
//! the file before is removed after that.

use super::{
    ArchivingError, blocking,
    export::proved,
    left::{self, LeftSagaError},
};
use saga_base::clock::EngineClock;
use saga_core::id::SagaId;
use saga_event_store::{
    ArchiveRecord, ArchiveReplacement, EventStore, MAX_PAGE, PendingErasure, StreamStanding,
    archive::{
        ArchiveError, ArchiveFile, ArchiveReader, ArchiveWriter, ArchivedStream, FinishedArchive, archive_name,
        recorded_file,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::{info, warn};
use uuid::Uuid;

/// Erased sagas that are taken out of files at once: their rows without content are in memory.
const PAGE: u32 = 500;
/// Blocks that are copied at once: well within the time of the right to archive.
const BLOCKS: usize = 64;

/// What is needed to write files anew. Whoever calls holds the right to archive.
#[derive(Clone, Debug)]
pub(super) struct FileRewriter {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) folder: Option<PathBuf>,
    pub(super) clock: EngineClock,
    pub(super) holder: Uuid,
}

impl FileRewriter {
    /// Takes all sagas out of files that were erased and may be there. A file that cannot be written anew is in the log
    /// and stays on the list.
    ///
    /// # Errors
    /// When the store does not answer, or another process took the right to archive over.
    pub(super) async fn finish_erasures(&self) -> Result<(), ArchivingError> {
        self.remove_replaced().await?;
        let mut after = Uuid::nil();
        loop {
            let page = self.store.pending_erasures(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.stream;
            self.erase(page).await?;
        }
    }

    /// Removes the files that a process left which ended after it had put others in their place.
    async fn remove_replaced(&self) -> Result<(), ArchivingError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for record in self.store.archives().await? {
            let (Some(file), Some(replaced)) = (&record.content.file, &record.replaced) else { continue };
            if folder.join(file).exists() {
                self.remove(record.number, folder, replaced).await?;
            } else {
                warn!(%file, %replaced, "the file of an archive is not there, so the one before it is kept");
            }
        }
        Ok(())
    }

    async fn remove(&self, number: i64, folder: &Path, replaced: &str) -> Result<(), ArchivingError> {
        let path = folder.join(replaced);
        blocking(move || ArchiveFile::remove(&path)).await??;
        Ok(self.store.forget_replaced(number, replaced).await?)
    }

    async fn erase(&self, page: Vec<PendingErasure>) -> Result<(), ArchivingError> {
        let mut hindered = BTreeSet::new();
        for record in self.store.archives().await? {
            let is_in =
                |it: &&PendingErasure| SagaId::from_uuid(it.stream).is_some_and(|id| left::may_have(&record, id));
            let wanted: Vec<&PendingErasure> = page.iter().filter(is_in).collect();
            let Some(file) = record.content.file.as_deref().filter(|_| !wanted.is_empty()) else { continue };
            if let Err(error) = self.clear(&record, file, &wanted).await {
                warn!(archive = file, %error, "erased sagas may still have content in the archive; the next try is later");
                hindered.extend(wanted.iter().map(|it| it.stream));
            }
        }
        let done: Vec<Uuid> = page.iter().map(|it| it.stream).filter(|it| !hindered.contains(it)).collect();
        for done in done.chunks(MAX_PAGE as usize) {
            self.store.end_erasures(done).await?;
        }
        Ok(())
    }

    /// Writes a file anew if it has content of these sagas.
    async fn clear(
        &self,
        record: &ArchiveRecord,
        file: &str,
        wanted: &[&PendingErasure],
    ) -> Result<(), ArchivingError> {
        let Some(folder) = &self.folder else {
            return Err(ArchivingError::NoFolder(record.content.categories.join(", ")));
        };
        let source = recorded_file(folder, file);
        let opened = source.clone();
        let reader = blocking(move || ArchiveReader::of(vec![ArchiveFile::open(&opened)?])).await??;
        let mut without = BTreeMap::new();
        for erasure in wanted {
            let Some(there) = reader.stream(erasure.stream).await? else { continue };
            if let Some(erased) = self.erased(erasure).await?.filter(|erased| *erased != there) {
                without.insert(erasure.stream, erased);
            }
        }
        if without.is_empty() { Ok(()) } else { self.replace(record, file, &source, without).await }
    }

    /// The saga as files are to have it.
    async fn erased(&self, erasure: &PendingErasure) -> Result<Option<ArchivedStream>, ArchivingError> {
        if let Some(erased) = &erasure.erased {
            return Ok(Some(erased.clone()));
        }
        let rows = self.store.read_stored_within(&[erasure.stream], u64::MAX).await?.rows;
        if let Some(StreamStanding { summary, shard, .. }) = self.store.standings(&[erasure.stream]).await?.pop() {
            return Ok(Some(ArchivedStream { summary, shard, rows: rows.into_iter().map(|(_, row)| row).collect() }));
        }
        // It has left since, so the newest file has it without its content.
        let Some(id) = SagaId::from_uuid(erasure.stream) else { return Ok(None) };
        match left::find_id(self.store.as_ref(), self.folder.as_deref(), id).await {
            Ok(Some(left)) => Ok(left.archive.stream(erasure.stream).await?),
            Ok(None) => Ok(None),
            Err(LeftSagaError::Store(error)) => Err(error.into()),
            Err(LeftSagaError::Archive { source, .. }) => Err(source.into()),
            Err(LeftSagaError::NoFolder { file, .. }) => Err(ArchivingError::NoFolder(file)),
        }
    }

    async fn replace(
        &self,
        record: &ArchiveRecord,
        recorded: &str,
        source: &Path,
        without: BTreeMap<Uuid, ArchivedStream>,
    ) -> Result<(), ArchivingError> {
        let sagas = without.len();
        let (file, finished) = self.write(source, without).await?;
        let replaced = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let replacement = ArchiveReplacement {
            number: record.number,
            recorded: recorded.to_owned(),
            replaced: replaced.clone(),
            file: file.clone(),
            rows: finished.rows,
            bytes: finished.bytes,
            sha256: finished.sha256,
        };
        if !self.store.replace_archive(&replacement).await? {
            return Err(ArchivingError::Overtaken(recorded.to_owned()));
        }
        info!(archive = record.number, sagas, file, replaced, "an archive was written anew without what was erased");
        let folder = source.parent().unwrap_or(Path::new("."));
        self.remove(record.number, folder, &replaced).await
    }

    /// Writes the next revision of a file, and reads it again.
    async fn write(
        &self,
        source: &Path,
        without: BTreeMap<Uuid, ArchivedStream>,
    ) -> Result<(String, FinishedArchive), ArchivingError> {
        let (source, now_ms) = (source.to_owned(), self.clock.now().0);
        let mut copy = blocking(move || FileCopy::begin(&source, without, now_ms)).await??;
        loop {
            let (more, is_over) = blocking(move || copy.go_on()).await??;
            copy = more;
            if !self.store.lease_archiving(self.holder).await? {
                return Err(ArchivingError::Overtaken(copy.name));
            }
            if is_over {
                return blocking(move || copy.end()).await?.map_err(ArchivingError::from);
            }
        }
    }
}

/// A file that is being copied without what was erased.
struct FileCopy {
    source: ArchiveFile,
    writer: ArchiveWriter,
    without: BTreeMap<Uuid, ArchivedStream>,
    name: String,
    next: usize,
}

impl FileCopy {
    /// Nothing is taken from a file that was changed.
    fn begin(source: &Path, without: BTreeMap<Uuid, ArchivedStream>, now_ms: i64) -> Result<FileCopy, ArchiveError> {
        let file = ArchiveFile::open(source)?;
        file.check()?;
        let header = file.header();
        let name = archive_name(header.installation, header.number, header.revision.saturating_add(1));
        let mut writer = ArchiveWriter::replace(&source.with_file_name(&name), header, now_ms)?;
        file.documents()?.into_iter().for_each(|document| writer.add_document(document));
        Ok(FileCopy { source: file, writer, without, name, next: 0 })
    }

    /// Copies the next blocks; whether these were the last.
    fn go_on(mut self) -> Result<(FileCopy, bool), ArchiveError> {
        for _ in 0..BLOCKS {
            let Some(block) = self.source.block_at(self.next) else { return Ok((self, true)) };
            self.next += 1;
            for stream in block? {
                self.writer.add(self.without.get(&stream.summary.stream).unwrap_or(&stream))?;
            }
        }
        Ok((self, false))
    }

    fn end(self) -> Result<(String, FinishedArchive), ArchiveError> {
        let finished = self.writer.finish()?;
        proved(&finished)?;
        Ok((self.name, finished))
    }
}
