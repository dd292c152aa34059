//! Where ended sagas go, and how the store is divided by time.

use std::{path::PathBuf, time::Duration};

/// The shortest and the longest period of a partition. Shorter ones make so many partitions that appends pay for them;
/// a longer one leaves the store too late.
const SHORTEST: Duration = Duration::from_secs(24 * 3600);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// What an engine does with sagas that ended long ago, beside what their definitions say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveConfig {
    /// Folder of the archive files; `None`: no saga is archived.
    pub folder: Option<PathBuf>,
    /// Time of starts that one partition of the store has.
    pub partition: Duration,
}

/// The default of `archive.partition`.
pub(super) const PARTITION: &str = "7d";

/// Reads `archive.partition`.
pub(super) fn partition(text: &str) -> Option<Duration> {
    let width = saga_core::definition::span(text).ok()?;
    (SHORTEST..=LONGEST).contains(&width).then_some(width)
}

impl Default for ArchiveConfig {
    fn default() -> ArchiveConfig {
        ArchiveConfig { folder: None, partition: partition(PARTITION).expect("the default is in bounds") }
    }
}
