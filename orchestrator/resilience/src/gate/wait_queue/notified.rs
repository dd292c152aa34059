//! Commands that were notified and have not asked for a permit yet.

use saga_guards::MonotonicTime;
use std::{collections::BTreeMap, time::Duration};

/// For so long a notified command counts as one that will ask: its saga is read from the journal first. A shard that
/// does not read its signals must not hold all other commands back.
pub(in crate::gate) const NOTIFICATION_TTL: Duration = Duration::from_secs(5);

/// Each notified command by its number, with the time of its notification.
#[derive(Debug, Default)]
pub(super) struct NotifiedCommands {
    since: BTreeMap<u64, MonotonicTime>,
    last: u64,
}

impl NotifiedCommands {
    /// Adds a command that was notified at `now`, and returns its number.
    pub(super) fn add(&mut self, now: MonotonicTime) -> u64 {
        self.last += 1;
        self.since.insert(self.last, now);
        self.last
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.since.remove(&number);
    }

    pub(super) fn count(&self, now: MonotonicTime) -> u32 {
        let recent = self.since.values().filter(|since| now.since(**since) < NOTIFICATION_TTL);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }
}
