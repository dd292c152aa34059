//! What this process knows to be committed.

use crate::{ConfirmedAppend, Epoch};
use std::collections::{BTreeMap, VecDeque};

/// Appends since the last heartbeat that are remembered, one of each batch. A lagging server lacks the end of the log; calls that run side by side may be answered in
/// another order than they stand there, so the newest alone is not enough, and as many as there are sessions would be.
pub(super) const REMEMBERED: usize = 64;

/// One append that was confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Rises with each that was confirmed.
    pub(super) order: u64,
    pub(super) append: ConfirmedAppend,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// How often the database stepped back.
    pub(super) steps: u64,
    pub(super) claims: BTreeMap<u16, (Epoch, String)>,
    /// How many appends were confirmed.
    pub(super) confirmed: u64,
    pub(super) appends: VecDeque<Mark>,
    /// Number and time of the last heartbeat.
    pub(super) beat: Option<(i64, i64)>,
    pub(super) timeline: Option<i64>,
    /// The highest epoch of each shard that was ever claimed here.
    pub(super) highest: BTreeMap<u16, Epoch>,
    /// The epochs up to which what was decided rests on what is gone.
    pub(super) fenced: BTreeMap<u16, Epoch>,
}

impl Known {
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
