//! Sagas that have left the store: which file has one.

use saga_core::id::SagaId;
use saga_event_store::{
    ArchiveRecord, ArchiveState, EventStore, StoreError,
    archive::{ArchiveError, ArchiveFile, ArchiveReader, recorded_file},
};
use std::path::Path;

/// A saga in an archive.
#[derive(Clone, Debug)]
pub struct LeftSaga {
    /// Its id.
    pub id: SagaId,
    /// The name of the file on record that has it.
    pub file: String,
    /// Reads it. If it was erased and the file is not written anew yet, it is read without its content.
    pub archive: ArchiveReader,
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

/// The saga that `name` means among those that have left; `None`: no archive on record has it. An id is looked for in
/// the archives of its time: one block of about a megabyte for each. A key is looked for among the keys that the store
/// keeps, so not after `keepKeys`.
///
/// # Errors
/// When the store does not answer, or a file that may have the saga cannot be read.
pub async fn find(
    store: &dyn EventStore,
    folder: Option<&Path>,
    name: &str,
    definition: Option<&str>,
) -> Result<Option<LeftSaga>, LeftSagaError> {
    let archives = store.archives().await?;
    let ids = match name.parse::<SagaId>() {
        Ok(id) => vec![id],
        Err(_) => of_key(store, &archives, name, definition).await?,
    };
    for id in ids {
        if let Some(found) = among(store, &archives, folder, id).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
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
    for file in archives.iter().rev().filter(|it| may_have(it, id)).filter_map(|it| it.content.file.as_deref()) {
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
        return Ok(Some(LeftSaga { id, file: file.to_owned(), archive }));
    }
    Ok(None)
}

/// Whether the file of an archive may have the saga, by the time when that began.
pub(super) fn may_have(archive: &ArchiveRecord, id: SagaId) -> bool {
    let started_ms = id.started_at().0;
    let period = archive.period;
    archive.state != ArchiveState::Writing && period.from_ms <= started_ms && started_ms < period.to_ms
}

/// The sagas that have the key, of the definitions that have archives.
async fn of_key(
    store: &dyn EventStore,
    archives: &[ArchiveRecord],
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
