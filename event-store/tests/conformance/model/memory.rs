//! What a store does, in memory and without any thought of speed.

use saga_event_store::{
    AppendOutcome, MarkOutcome, NewStreamKey, ShardEpoch, StreamAppend, StreamMark, StreamRow, StreamSnapshot,
    StreamSummary, SummaryUpdate,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A mistake that the model makes on purpose: the comparison has to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelMistake {
    /// It makes none.
    None,
    /// An older epoch may write.
    IgnoresEpochs,
    /// A repeat under the same append id is a conflict.
    ForgetsAppendIds,
    /// A version may be left out.
    AllowsGaps,
    /// A forgotten key stays taken.
    KeepsForgottenKeys,
    /// A mark changes streams that have ended.
    MarksWhatHasEnded,
    /// A note that is added again has another number.
    AddsNotesTwice,
}

/// The row of a stream in the read model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelSummary {
    pub(crate) shard: u16,
    pub(crate) is_open: bool,
    pub(crate) shown: StreamSummary,
}

/// A store in memory.
#[derive(Clone, Debug)]
pub(crate) struct ModelStore {
    mistake: ModelMistake,
    epochs: BTreeMap<u16, ShardEpoch>,
    pub(crate) rows: BTreeMap<Uuid, Vec<StreamRow>>,
    pub(crate) outlines: BTreeMap<(Uuid, u32), Vec<u8>>,
    pub(crate) keys: BTreeMap<(String, String), (Uuid, NewStreamKey)>,
    pub(crate) shown: BTreeMap<Uuid, ModelSummary>,
    pub(crate) notes: BTreeMap<String, Vec<(Uuid, String)>>,
    pub(crate) documents: BTreeMap<String, String>,
    pub(crate) snapshots: BTreeMap<Uuid, StreamSnapshot>,
}

impl ModelStore {
    pub(crate) fn new(mistake: ModelMistake) -> ModelStore {
        ModelStore {
            mistake,
            epochs: BTreeMap::new(),
            rows: BTreeMap::new(),
            outlines: BTreeMap::new(),
            keys: BTreeMap::new(),
            shown: BTreeMap::new(),
            notes: BTreeMap::new(),
            documents: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    pub(crate) fn epoch(&self, shard: u16) -> ShardEpoch {
        self.epochs.get(&shard).copied().unwrap_or(ShardEpoch(0))
    }

    /// Nobody holds a shard that was never claimed.
    fn holds(&self, shard: u16, epoch: ShardEpoch) -> bool {
        self.epochs.get(&shard) == Some(&epoch)
    }

    /// The store chooses the epoch; it has to be higher than all before it.
    pub(crate) fn claimed(&mut self, shard: u16, epoch: ShardEpoch) -> bool {
        let is_higher = epoch > self.epoch(shard);
        self.epochs.insert(shard, epoch);
        is_higher
    }

    pub(crate) fn last_version(&self, stream: Uuid) -> u32 {
        self.rows.get(&stream).and_then(|rows| rows.last()).map_or(0, |row| row.version)
    }

    pub(crate) fn append(&mut self, append: &StreamAppend) -> AppendOutcome {
        let rows = self.rows.get(&append.stream).map_or(&[][..], Vec::as_slice);
        let row = rows.iter().find(|row| row.version == append.version);
        let is_repeat = row.is_some_and(|row| row.append_id == append.append_id);
        if is_repeat && self.mistake != ModelMistake::ForgetsAppendIds {
            return AppendOutcome::Committed;
        }
        if !self.holds(append.shard, append.epoch) && self.mistake != ModelMistake::IgnoresEpochs {
            return AppendOutcome::Fenced;
        }
        let name = (append.category.clone(), append.key.clone());
        let taken = append.new_key.as_ref().and_then(|_| self.keys.get(&name));
        if let Some((stream, key)) = taken.filter(|(stream, _)| *stream != append.stream) {
            return AppendOutcome::DuplicateKey { stream: *stream, payload_hash: key.payload_hash };
        }
        let follows = append.version == self.last_version(append.stream) + 1;
        let may_leave_out = self.mistake == ModelMistake::AllowsGaps && append.version > 1;
        if row.is_some() || !(follows || may_leave_out) {
            return AppendOutcome::Conflict;
        }
        self.write(append, name);
        AppendOutcome::Committed
    }

    fn write(&mut self, append: &StreamAppend, name: (String, String)) {
        if let Some(key) = &append.new_key {
            self.keys.insert(name, (append.stream, key.clone()));
        }
        if let Some(outline) = &append.outline {
            self.outlines.insert((append.stream, append.version), outline.clone());
        }
        self.rows.entry(append.stream).or_default().push(StreamRow {
            version: append.version,
            recorded_at_ms: append.recorded_at_ms,
            append_id: append.append_id,
            payload: append.payload.clone(),
        });
        if let Some(summary) = &append.summary {
            self.show(append, summary);
        }
    }

    fn show(&mut self, append: &StreamAppend, summary: &SummaryUpdate) {
        let first = self.shown.get(&append.stream).map(|known| known.shown.clone());
        let (category, key, started_at_ms) = match first {
            Some(first) => (first.category, first.key, first.started_at_ms),
            None => (append.category.clone(), append.key.clone(), summary.started_at_ms),
        };
        let shown = StreamSummary {
            erased_at_ms: None,
            stream: append.stream,
            category,
            key,
            document: summary.document.clone(),
            status: summary.status.clone(),
            step: summary.step.clone(),
            reason: summary.reason.clone(),
            started_at_ms,
            updated_at_ms: append.recorded_at_ms,
            waits_on: summary.waits_on.clone(),
            flags: summary.flags.clone(),
            code: summary.code.clone(),
        };
        self.shown.insert(append.stream, ModelSummary { shard: append.shard, is_open: summary.open, shown });
    }

    pub(crate) fn mark(&mut self, mark: &StreamMark) -> MarkOutcome {
        if !self.holds(mark.shard, mark.epoch) {
            return MarkOutcome::Fenced;
        }
        let marks_all = self.mistake == ModelMistake::MarksWhatHasEnded;
        let known = self.shown.get_mut(&mark.stream);
        if let Some(known) = known.filter(|known| known.shard == mark.shard && (known.is_open || marks_all)) {
            let now = (mark.status.clone(), mark.reason.clone(), mark.code.clone());
            let shown = &mut known.shown;
            if (&shown.status, &shown.reason, &shown.code) != (&now.0, &now.1, &now.2) {
                (shown.status, shown.reason, shown.code) = now;
                shown.updated_at_ms = mark.at_ms;
                shown.waits_on.clear();
            }
        }
        MarkOutcome::Shown
    }

    /// How many keys are forgotten.
    pub(crate) fn sweep(&mut self, category: &str, ended_before_ms: i64) -> u64 {
        let is_over = |stream: &Uuid| {
            let shown = self.shown.get(stream);
            shown.is_some_and(|known| !known.is_open && known.shown.updated_at_ms < ended_before_ms)
        };
        let goes = |(of, _): &(String, String), stream: &Uuid| of == category && is_over(stream);
        let forgotten: Vec<_> =
            self.keys.iter().filter(|(name, (stream, _))| goes(name, stream)).map(|(name, _)| name.clone()).collect();
        if self.mistake != ModelMistake::KeepsForgottenKeys {
            forgotten.iter().for_each(|name| drop(self.keys.remove(name)));
        }
        forgotten.len() as u64
    }

    /// The number of the note.
    pub(crate) fn add_note(&mut self, topic: &str, id: Uuid, body: &str) -> i64 {
        let notes = self.notes.entry(topic.to_owned()).or_default();
        let known = notes.iter().position(|(known, _)| *known == id);
        if let Some(at) = known.filter(|_| self.mistake != ModelMistake::AddsNotesTwice) {
            return at as i64 + 1;
        }
        notes.push((id, body.to_owned()));
        notes.len() as i64
    }
}
