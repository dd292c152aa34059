//! The store gets partitions for sagas that will start, before they start.

use crate::journal::JournalAccess;
use saga_base::clock::EngineClock;
use std::time::Duration;
use tracing::{info, warn};

/// Periods that have their partitions in advance: with the shortest width, a day, they last longer than a weekend
/// during which the database refuses to create any.
const AHEAD: u32 = 4;

/// Creates partitions in advance. A cheap handle.
#[derive(Clone, Debug)]
pub struct PartitionKeeper {
    journal: JournalAccess,
    clock: EngineClock,
    width: Duration,
}

impl PartitionKeeper {
    pub(crate) fn new(journal: JournalAccess, clock: EngineClock, width: Duration) -> PartitionKeeper {
        PartitionKeeper { journal, clock, width }
    }

    /// Creates the partitions of the next periods that do not exist. If the store refuses, the log says so; sagas start
    /// all the same, and the next call tries again.
    pub async fn keep_ahead(&self) {
        let width_ms = i64::try_from(self.width.as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.clock.now().0.saturating_add(width_ms.saturating_mul(i64::from(AHEAD)));
        match self.journal.store().add_partitions(width_ms, until_ms).await {
            Ok(0) => {}
            Ok(added) => info!(added, "partitions of the event store are created for the time to come"),
            Err(error) => warn!(
                %error,
                "no partitions are created for the time to come; sagas start all the same, and the next try is later"
            ),
        }
    }
}
