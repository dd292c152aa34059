//! Archive files: streams that left a store, with all that a reader needs. `docs/archive-format.md` describes the
//! format.
//!
//! A file is a sequence of zstd frames, so that `zstd -dc FILE` prints it as lines of JSON.

mod error;
mod file;
mod folder;
mod line;
mod name;
mod writer;

pub use error::ArchiveError;
pub use file::{ArchiveFile, ArchiveTotals};
pub use folder::ArchiveReader;
pub use line::{ArchiveHeader, ArchivedDocument, ArchivedStream};
pub use name::{archive_name, recorded_file};
pub use writer::{ArchiveWriter, FinishedArchive};

/// The version of the format that this build writes, and the only one that it reads.
pub const ARCHIVE_FORMAT: u32 = 1;
/// The end of the names of archive files.
pub const ARCHIVE_SUFFIX: &str = ".saga.zst";

#[cfg(test)]
mod tests;
