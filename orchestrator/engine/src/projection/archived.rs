//! Sagas that have left the store: the archive files of its table `archives`, as a rebuild reads them.

use saga_event_store::{
    ArchiveRecord, ArchiveState, EventStore, StoreError,
    archive::{ArchiveError, ArchiveFile, ArchiveReader},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

/// An archive that a rebuild does without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOutArchive {
    /// The number of the archive.
    pub archive: i64,
    /// The name of its file.
    pub file: String,
    /// Why the file cannot be read.
    pub reason: String,
}

impl fmt::Display for LeftOutArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archive {} ({}): {}", self.archive, self.file, self.reason)
    }
}

/// What is done about archives whose files are missing or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingArchives {
    /// Nothing is built. Every file is proved by its SHA-256 before the rebuild begins.
    Refused,
    /// They are left out, and the projection says so.
    LeftOut,
}

/// Where the archives of a store are, and what is done about those that are not.
#[derive(Clone, Debug)]
pub struct ArchiveFolder {
    /// The folder; `None`: none is configured.
    pub folder: Option<PathBuf>,
    /// What is done about missing ones.
    pub missing: MissingArchives,
}

/// Archives of a store after some number.
#[derive(Debug)]
pub(super) struct ArchiveSurvey {
    /// The highest number that the store has on record; the number before if it has none.
    pub(super) until: i64,
    /// Those whose files cannot be read here.
    pub(super) unreadable: Vec<LeftOutArchive>,
}

/// Which files are open.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ArchiveRange {
    after: i64,
    until: i64,
    but: BTreeSet<i64>,
}

/// Opens archive files, and keeps those of two ranges open: what is being read, and what has been read before.
#[derive(Debug)]
pub(super) struct ArchiveShelf {
    pub(super) folder: ArchiveFolder,
    opened: Vec<(ArchiveRange, ArchiveReader)>,
}

/// Ranges that stay open.
const KEPT_RANGES: usize = 3;

impl ArchiveShelf {
    pub(super) fn new(folder: ArchiveFolder) -> ArchiveShelf {
        ArchiveShelf { folder, opened: Vec::new() }
    }

    /// Looks at all archives after number `after`.
    pub(super) async fn survey(&self, store: &dyn EventStore, after: i64) -> Result<ArchiveSurvey, StoreError> {
        let mut survey = ArchiveSurvey { until: after, unreadable: Vec::new() };
        for record in recorded(store, after, i64::MAX).await? {
            survey.until = survey.until.max(record.number);
            if let Err(left_out) = self.open(record, self.folder.missing).await? {
                survey.unreadable.push(left_out);
            }
        }
        Ok(survey)
    }

    /// The streams of the archives after `after` and up to `until`, without those in `but`. `Ok(Err(_))`: a file cannot
    /// be read here.
    pub(super) async fn range(
        &mut self,
        store: &dyn EventStore,
        (after, until): (i64, i64),
        but: &[LeftOutArchive],
    ) -> Result<Result<ArchiveReader, LeftOutArchive>, StoreError> {
        let range = ArchiveRange { after, until, but: but.iter().map(|it| it.archive).collect() };
        if let Some((_, reader)) = self.opened.iter().find(|(opened, _)| *opened == range) {
            return Ok(Ok(reader.clone()));
        }
        let mut files = Vec::new();
        for record in recorded(store, after, until).await? {
            if range.but.contains(&record.number) {
                continue;
            }
            // The survey has proved it, if that was wanted.
            match self.open(record, MissingArchives::LeftOut).await? {
                Ok(file) => files.extend(file),
                Err(left_out) => return Ok(Err(left_out)),
            }
        }
        let reader = blocking(move || ArchiveReader::of(files)).await??;
        self.opened.truncate(KEPT_RANGES - 1);
        self.opened.insert(0, (range, reader.clone()));
        Ok(Ok(reader))
    }

    /// Closes all files.
    pub(super) fn close(&mut self) {
        self.opened.clear();
    }

    /// The file of an archive; none: all its streams were dropped.
    async fn open(
        &self,
        record: ArchiveRecord,
        missing: MissingArchives,
    ) -> Result<Result<Option<ArchiveFile>, LeftOutArchive>, StoreError> {
        let Some(name) = record.content.file else { return Ok(Ok(None)) };
        let left_out = |reason: String| LeftOutArchive { archive: record.number, file: name.clone(), reason };
        let Some(folder) = &self.folder.folder else {
            return Ok(Err(left_out("no folder of archives is configured (key `archive.folder`)".to_owned())));
        };
        let (path, sha256) = (folder.join(&name), record.content.sha256);
        let opened = blocking(move || proved(&path, sha256.as_deref(), missing)).await?;
        Ok(opened.map(Some).map_err(left_out))
    }
}

/// # Errors
/// Why the file cannot be read.
fn proved(path: &Path, sha256: Option<&str>, missing: MissingArchives) -> Result<ArchiveFile, String> {
    let told = |error: ArchiveError| error.to_string();
    let file = ArchiveFile::open(path).map_err(told)?;
    let found = file.sha256();
    if let Some(expected) = sha256.filter(|expected| *expected != found) {
        return Err(format!("the file is another one: its SHA-256 is {found}, expected {expected}"));
    }
    file.documents().map_err(told)?;
    match missing {
        MissingArchives::Refused => file.check().map_err(told)?,
        // An engine has other work to do. A damaged part is found when it is read.
        MissingArchives::LeftOut => {}
    }
    Ok(file)
}

/// The archives whose streams have left the store, or are about to, by their numbers.
async fn recorded(store: &dyn EventStore, after: i64, until: i64) -> Result<Vec<ArchiveRecord>, StoreError> {
    let mut all = store.archives().await?;
    all.retain(|it| it.state != ArchiveState::Writing && it.number > after && it.number <= until);
    Ok(all)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    let failed = |error: tokio::task::JoinError| StoreError::Unavailable(format!("the reading of an archive: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// The archives that the store says are left out.
pub(super) fn left_out(stored: Option<&str>) -> Vec<LeftOutArchive> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The form that the store keeps; `None`: none is left out.
pub(super) fn stored(left_out: &[LeftOutArchive]) -> Option<String> {
    (!left_out.is_empty()).then(|| serde_json::to_string(left_out).unwrap_or_default())
}
