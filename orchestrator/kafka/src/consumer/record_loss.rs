//! What is lost when a position is not valid.

use super::continuity::ContinuityVerdict;

/// What happened to records that were not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordLoss {
    /// They are gone from the log, by age or size: so many offsets.
    Expired {
        /// Offsets. Those that transactions and compaction leave empty are counted, too.
        records: u64,
    },
    /// The topic has another log: it was deleted and recreated, or its newest records were lost in an election. What
    /// the topic holds now is read whole, from where both logs agree.
    Replaced {
        /// Records of the former log that are known to have been unread. There may have been more.
        records: u64,
    },
}

impl RecordLoss {
    pub(super) fn of(verdict: ContinuityVerdict, expected: i64, resumed: i64, unread: u64) -> RecordLoss {
        match verdict {
            ContinuityVerdict::Fits | ContinuityVerdict::Expired => {
                RecordLoss::Expired { records: u64::try_from(resumed - expected).unwrap_or(0) }
            }
            ContinuityVerdict::Replaced { .. } => RecordLoss::Replaced { records: unread },
        }
    }

    /// Records that are known to be lost.
    #[must_use]
    pub fn records(self) -> u64 {
        match self {
            RecordLoss::Expired { records } | RecordLoss::Replaced { records } => records,
        }
    }
}
