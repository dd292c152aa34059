//! Sagas that have left the store: which file has one.

use crate::journal::reruns;
use saga_core::{
    id::SagaId,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{
    ArchiveRecord, ArchiveState, EventStore, PendingErasure, StoreError,
    archive::{ArchiveError, ArchiveFile, ArchiveReader, recorded_file},
};
use std::{fmt, path::Path};

/// Sagas of one key that run each other again, as far as they are looked at: more than a person begins.
const MOST_RERUNS: usize = 100;

/// What an operator can still do with a saga that has left the store.
pub const ONLY_ERASED: &str = "of all acts only erase reaches it";

/// A saga in an archive.
#[derive(Clone, Debug)]
pub struct LeftSaga {
    /// Its id.
    pub id: SagaId,
    /// Sagas that had its key before it, newest first, if it was looked for by that key.
    pub earlier: Vec<SagaId>,
    /// The name of the file on record that has it.
    pub file: String,
    /// When its archive was complete.
    pub left_at: Timestamp,
    /// Reads it. If it was erased and the file is not written anew yet, it is read without its content.
    pub archive: ArchiveReader,
}

/// Says that the saga is not in the store, since when, and where it is.
impl fmt::Display for LeftSaga {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftSaga { id, file, left_at, .. } = self;
        write!(f, "the saga {id} left the event store at {}: it is in the archive {file}", rfc3339(*left_at))
    }
}

/// It cannot be told whether an archive has a saga.
#[derive(Debug, thiserror::Error)]
pub enum LeftSagaError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that may have it cannot be read.
    #[error("the saga {saga} may be in an archive that cannot be read: {source}")]
    Archive {
        /// The saga.
        saga: SagaId,
        /// What is wrong with the file.
        source: ArchiveError,
    },
    /// A file may have it, and nobody says where files are.
    #[error(
        "the saga {saga} may be in the archive {file}, and no folder of archives is configured: set `archive.folder`"
    )]
    NoFolder {
        /// The saga.
        saga: SagaId,
        /// The file that may have it.
        file: String,
    },
}

/// What a name stands for among the sagas that have left the store.
#[derive(Clone, Debug)]
pub enum LeftSagaLookup {
    /// One saga: the one with this id, or the newest of its key.
    One(Box<LeftSaga>),
    /// No archive on record has it.
    None,
    /// Of different definitions: the newest saga of each, and the name of the definition.
    Several(Vec<(SagaId, String)>),
}

/// What `name` means among the sagas that have left. An id is looked for in the archives of its time: one block of
/// about a megabyte for each. A key means the newest of its sagas, as in the store. It is looked for among the keys
/// that the store keeps, so not after `keepKeys`. A key may read as an id.
///
/// # Errors
/// When the store does not answer, or a file that may have the saga cannot be read.
pub async fn find(
    store: &dyn EventStore,
    folder: Option<&Path>,
    name: &str,
    definition: Option<&str>,
) -> Result<LeftSagaLookup, LeftSagaError> {
    let archives = store.archives().await?;
    if let Ok(id) = name.parse::<SagaId>()
        && let Some(left) = among(store, &archives, folder, id).await?
    {
        return Ok(LeftSagaLookup::One(Box::new(left)));
    }
    of_key(store, &archives, folder, (name, definition)).await
}

/// How many sagas are at most in archives that fit: all of an archive with a saga of the definition, if one is named,
/// whose period has starts between the two times.
///
/// # Errors
/// When the store does not answer.
pub async fn count_at_most(
    store: &dyn EventStore,
    saga: Option<&str>,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
) -> Result<u64, StoreError> {
    let has = |it: &&ArchiveRecord| {
        it.content.file.is_some()
            && saga.is_none_or(|name| it.content.categories.iter().any(|has| has == name))
            && since.is_none_or(|since| it.period.to_ms > since.0)
            && until.is_none_or(|until| it.period.from_ms < until.0)
    };
    Ok(store.archives().await?.iter().filter(has).map(|it| it.content.streams).sum())
}

/// Of erased sagas those whose content a file may still have, because its archive is of their time.
#[must_use]
pub fn in_files(erasures: &[PendingErasure], archives: &[ArchiveRecord]) -> usize {
    let is_in_file = |id: SagaId| archives.iter().any(|it| it.content.file.is_some() && may_have(it, id));
    erasures.iter().filter_map(|it| SagaId::from_uuid(it.stream)).filter(|id| is_in_file(*id)).count()
}

/// The saga with this id.
///
/// # Errors
/// As [`find`].
pub async fn find_id(
    store: &dyn EventStore,
    folder: Option<&Path>,
    id: SagaId,
) -> Result<Option<LeftSaga>, LeftSagaError> {
    among(store, &store.archives().await?, folder, id).await
}

async fn among(
    store: &dyn EventStore,
    archives: &[ArchiveRecord],
    folder: Option<&Path>,
    id: SagaId,
) -> Result<Option<LeftSaga>, LeftSagaError> {
    for record in archives.iter().rev().filter(|it| may_have(it, id)) {
        let Some(file) = record.content.file.as_deref() else { continue };
        let Some(folder) = folder else { return Err(LeftSagaError::NoFolder { saga: id, file: file.to_owned() }) };
        let open = || ArchiveReader::of(vec![ArchiveFile::open(&recorded_file(folder, file))?]);
        let archive = open().map_err(|source| LeftSagaError::Archive { saga: id, source })?;
        if archive.stream(id.uuid()).await?.is_none() {
            continue;
        }
        let pending = store.pending_erasure(id.uuid()).await?.and_then(|it| it.erased);
        let archive = match pending {
            Some(erased) => archive.with_erased(erased),
            None => archive,
        };
        let left_at = Timestamp(record.ended_ms.unwrap_or(record.begun_ms));
        return Ok(Some(LeftSaga { id, earlier: Vec::new(), file: file.to_owned(), left_at, archive }));
    }
    Ok(None)
}

/// Whether the file of an archive may have the saga, by the time when that began.
pub(super) fn may_have(archive: &ArchiveRecord, id: SagaId) -> bool {
    let started_ms = id.started_at().0;
    let period = archive.period;
    archive.state != ArchiveState::Writing && period.from_ms <= started_ms && started_ms < period.to_ms
}

/// The newest saga of the key, of each definition.
async fn of_key(
    store: &dyn EventStore,
    archives: &[ArchiveRecord],
    folder: Option<&Path>,
    (key, definition): (&str, Option<&str>),
) -> Result<LeftSagaLookup, LeftSagaError> {
    let mut found: Vec<(LeftSaga, String)> = Vec::new();
    for name in categories(archives, definition) {
        if let Some(newest) = newest(store, archives, folder, (name, key)).await? {
            found.push((newest, name.to_owned()));
        }
    }
    if found.len() > 1 {
        return Ok(LeftSagaLookup::Several(found.into_iter().map(|(left, name)| (left.id, name)).collect()));
    }
    Ok(found.pop().map_or(LeftSagaLookup::None, |(left, _)| LeftSagaLookup::One(Box::new(left))))
}

/// The definitions whose sagas are looked for.
fn categories<'a>(archives: &'a [ArchiveRecord], definition: Option<&'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = match definition {
        Some(name) => vec![name],
        None => archives.iter().flat_map(|it| it.content.categories.iter().map(String::as_str)).collect(),
    };
    names.sort_unstable();
    names.dedup();
    names
}

/// The newest saga of the definition `name` with the key that an archive has.
async fn newest(
    store: &dyn EventStore,
    archives: &[ArchiveRecord],
    folder: Option<&Path>,
    (name, key): (&str, &str),
) -> Result<Option<LeftSaga>, LeftSagaError> {
    let mut ids = with_key(store, name, key).await?;
    while let Some(id) = ids.pop() {
        if let Some(left) = among(store, archives, folder, id).await? {
            ids.reverse();
            return Ok(Some(LeftSaga { earlier: ids, ..left }));
        }
    }
    Ok(None)
}

/// The sagas that have the key, oldest first: the one that the trigger began, and those that run it again.
async fn with_key(store: &dyn EventStore, name: &str, key: &str) -> Result<Vec<SagaId>, StoreError> {
    let mut ids = Vec::new();
    let mut next = store.key_holder(name, key).await?.and_then(|it| SagaId::from_uuid(it.stream));
    while let Some(id) = next.filter(|_| ids.len() < MOST_RERUNS) {
        ids.push(id);
        next = reruns::of(store, name, id).await?.map(|rerun| rerun.id);
    }
    Ok(ids)
}
