//! What is wrong with an archive file, and what to do.

use super::ARCHIVE_FORMAT;
use crate::StoreError;
use std::{io, path::PathBuf};
use uuid::Uuid;

/// An archive file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system did not do what it was asked.
    #[error("the archive {} cannot be read or written: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is no archive of sagas: it does not begin as one. Name a file that `saga archive run` wrote", .0.display())]
    NoArchive(PathBuf),
    /// Another build wrote the file.
    #[error(
        "the archive {} has the format version {found}, this build reads version {ARCHIVE_FORMAT}: use a build that is \
         at least as new as the one that wrote it",
        file.display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// The version that it names.
        found: u32,
    },
    /// The file has no end.
    #[error(
        "the archive {} ends in the middle: {sagas} sagas are whole, the last of them is {}. Take the file from a \
         backup; until then `--damaged` reads the whole ones",
        file.display(),
        last.map_or_else(|| "none".to_owned(), |last| last.to_string())
    )]
    Truncated {
        /// The file.
        file: PathBuf,
        /// The last saga that is whole; `None`: none is.
        last: Option<Uuid>,
        /// How many sagas are whole.
        sagas: u64,
    },
    /// The bytes are not those that were written.
    #[error(
        "the archive {} was changed after it was written: its SHA-256 is {found}, expected {expected}. {sagas} sagas up \
         to {} are readable with `--damaged`; take the file from a backup",
        file.display(),
        last.map_or_else(|| "none".to_owned(), |last| last.to_string())
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The sum that the file names.
        expected: String,
        /// The sum of its bytes.
        found: String,
        /// The last saga before the damage.
        last: Option<Uuid>,
        /// How many sagas are before the damage.
        sagas: u64,
    },
    /// A part of the file cannot be read.
    #[error(
        "the archive {} is damaged between the sagas {first} and {last}: {reason}. Take the file from a backup; the \
         other sagas can be read",
        file.display()
    )]
    Block {
        /// The file.
        file: PathBuf,
        /// The first saga of the part.
        first: Uuid,
        /// The last saga of the part.
        last: Uuid,
        /// What is wrong.
        reason: String,
    },
}

impl From<ArchiveError> for StoreError {
    fn from(error: ArchiveError) -> StoreError {
        match error {
            ArchiveError::Io { .. } => StoreError::Unusable(error.to_string()),
            ArchiveError::NoArchive(_)
            | ArchiveError::Version { .. }
            | ArchiveError::Truncated { .. }
            | ArchiveError::Checksum { .. }
            | ArchiveError::Block { .. } => StoreError::Damaged(error.to_string()),
        }
    }
}
