//! What this process knows to be committed.

use crate::{ConfirmedAppend, ShardEpoch};
use std::collections::{BTreeMap, VecDeque};

/// How many appends since the last heartbeat this process remembers, one of each batch. A lagging server does not have
/// the end of the log. Concurrent calls may be answered in another order than the log has, so the newest append alone
/// is not enough. As many as there are sessions would be enough.
pub(super) const REMEMBERED: usize = 64;

/// A confirmed append with its order.
#[derive(Clone, Copy, Debug)]
pub(super) struct WitnessedAppend {
    /// The value of [`PostgresWitnessState::confirmed`] when it was confirmed.
    pub(super) order: u64,
    pub(super) append: ConfirmedAppend,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PostgresWitnessState {
    /// How many steps back this process has seen.
    pub(super) steps: u64,
    pub(super) claims: BTreeMap<u16, (ShardEpoch, String)>,
    /// How many appends were confirmed so far.
    pub(super) confirmed: u64,
    pub(super) appends: VecDeque<WitnessedAppend>,
    /// Number and time of the last confirmed heartbeat.
    pub(super) beat: Option<(i64, i64)>,
    pub(super) timeline: Option<i64>,
    /// The highest epoch of each shard that this process has claimed.
    pub(super) highest: BTreeMap<u16, ShardEpoch>,
    /// For each shard the last epoch before the step back. Decisions under it may follow from lost rows.
    pub(super) fenced: BTreeMap<u16, ShardEpoch>,
}

impl PostgresWitnessState {
    pub(super) fn start_over(&mut self, timeline: Option<i64>) {
        self.steps += 1;
        self.fenced.clone_from(&self.highest);
        self.claims.clear();
        self.appends.clear();
        self.beat = None;
        self.timeline = timeline;
    }

    pub(super) fn last_written_ms(&self) -> i64 {
        let appended = self.appends.iter().map(|mark| mark.append.at_ms);
        appended.chain(self.beat.map(|(_, at_ms)| at_ms)).max().unwrap_or_default()
    }
}
