//! A store and the model beside each other: each operation has the same answer, and both have the same state.

use super::{
    drawn::{AppendFate, DrawnAppend, DrawnVersion, DrawnWriter, STREAMS, StoreOperation},
    memory::{ModelMistake, ModelStore},
};
use crate::{
    cases::cancelling::dropped_after,
    place::{Place, Store},
    streams::{CATEGORY, STARTED_MS, hash_of, next_id},
};
use anyhow::{Context, Result, ensure};
use saga_event_store::{
    AppendOutcome, KeySweep, MarkOutcome, NewNote, NewStreamKey, NoteNumber, RowPosition, ShardEpoch, StoreError,
    StreamAppend, StreamFilter, StreamMark, StreamSnapshot, SummaryUpdate, WaitTarget,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Shards that the streams of a case are in.
const SHARDS: u16 = 3;
/// Tries of one append whose answer is lost again and again: each try loses it only once.
const MOST_TRIES: usize = 20;
/// In the words of the store's user; the last one is an end.
const STATUSES: [&str; 4] = ["running", "waiting", "parked", "completed"];

/// How the connections of a store are broken, where it has any.
pub(crate) type CutStatement = Option<&'static str>;

/// One case.
pub(crate) struct ComparedStores<'a> {
    place: &'a dyn Place,
    store: Store,
    model: ModelStore,
    cut: CutStatement,
    streams: Vec<Uuid>,
    /// The key that each stream has or wants.
    keys: Vec<String>,
    /// The last append to each stream that was sent.
    sent: Vec<Option<StreamAppend>>,
    ticks: i64,
}

fn shard_of(stream: usize) -> u16 {
    u16::try_from(stream).unwrap_or_default() % SHARDS
}

fn waits(status: usize) -> Vec<WaitTarget> {
    let target = WaitTarget::new("breaker", "payments").expect("words");
    if status == 1 { vec![target] } else { Vec::new() }
}

impl<'a> ComparedStores<'a> {
    /// On a store that has nothing yet.
    pub(crate) async fn new(
        place: &'a dyn Place,
        cut: CutStatement,
        mistake: ModelMistake,
    ) -> Result<ComparedStores<'a>> {
        let store = place.engine().await?;
        let streams = (0..STREAMS).map(|stream| next_id(shard_of(stream))).collect();
        let (keys, sent) = (vec![String::new(); STREAMS], vec![None; STREAMS]);
        Ok(ComparedStores { place, store, model: ModelStore::new(mistake), cut, streams, keys, sent, ticks: 0 })
    }

    /// # Errors
    /// Where store and model differ.
    pub(crate) async fn run(&mut self, operations: &[StoreOperation]) -> Result<()> {
        for (at, operation) in operations.iter().enumerate() {
            self.performed(operation).await.with_context(|| format!("operation {at}: {operation:?}"))?;
            if at % 8 == 7 {
                self.is_alike(&self.model).await.with_context(|| format!("after operation {at}: {operation:?}"))?;
            }
        }
        self.is_alike(&self.model).await.context("at the end")
    }

    async fn performed(&mut self, operation: &StoreOperation) -> Result<()> {
        match operation {
            StoreOperation::Claim { shard } => self.claim(*shard).await,
            StoreOperation::Append { batch, fate } => self.append(batch, *fate).await,
            StoreOperation::Race { one, other } => self.race(one, other).await,
            StoreOperation::Mark { stream, writer, status } => self.mark(*stream, *writer, *status).await,
            StoreOperation::Sweep { old, limit } => self.sweep(*old, *limit).await,
            StoreOperation::Note { topic, id } => self.note(*topic, *id).await,
            StoreOperation::Document { hash, body } => self.document(*hash, *body).await,
            StoreOperation::Snapshot { stream } => self.snapshot(*stream).await,
            StoreOperation::RemoveSnapshot { stream } => self.remove_snapshot(*stream).await,
        }
    }

    async fn claim(&mut self, shard: u16) -> Result<()> {
        let epoch = self.again(async |store| store.claim(shard, "model").await).await?;
        ensure!(self.model.claimed(shard, epoch), "{epoch:?} is not higher than all before it");
        Ok(())
    }

    /// The call, until its answer is not lost.
    async fn again<T>(&self, call: impl AsyncFn(&Store) -> Result<T, StoreError>) -> Result<T> {
        for _ in 0..MOST_TRIES {
            match call(&self.store).await {
                Err(error) if error.is_transient() => {}
                answer => return Ok(answer?),
            }
        }
        anyhow::bail!("no answer in {MOST_TRIES} tries")
    }

    /// The appends that are drawn: each stream and each new key once, as the store asks.
    fn batch(&mut self, drawn: &[DrawnAppend]) -> Vec<StreamAppend> {
        let (mut streams, mut keys) = (BTreeSet::new(), BTreeSet::new());
        let mut batch = Vec::new();
        for drawn in drawn {
            let Some(append) = self.append_of(*drawn) else { continue };
            let is_new_key = append.new_key.is_none() || keys.insert(append.key.clone());
            if is_new_key && streams.insert(append.stream) {
                batch.push(append);
            }
        }
        batch
    }

    fn append_of(&mut self, drawn: DrawnAppend) -> Option<StreamAppend> {
        let DrawnAppend::New { stream, version, writer, key, status } = drawn else {
            let DrawnAppend::Repeat { stream } = drawn else { return None };
            return self.sent[stream].clone();
        };
        self.ticks += 1;
        let last = self.model.last_version(self.streams[stream]);
        let version = match version {
            DrawnVersion::Next => last + 1,
            DrawnVersion::Taken => last.max(1),
            DrawnVersion::Skipping => last + 2,
        };
        if last == 0 {
            self.keys[stream] = format!("key-{key}");
        }
        let at = STARTED_MS + self.ticks;
        let payload = format!("payload {}", self.ticks).into_bytes();
        let key = self.keys[stream].clone();
        Some(StreamAppend {
            append_id: Uuid::new_v4(),
            shard: shard_of(stream),
            epoch: self.epoch_of(shard_of(stream), writer),
            stream: self.streams[stream],
            version,
            recorded_at_ms: at,
            outline: (self.ticks % 3 == 0).then(|| b"outline".to_vec()),
            payload,
            category: CATEGORY.to_owned(),
            new_key: (version == 1)
                .then(|| NewStreamKey::new(CATEGORY, key.as_str(), hash_of(&format!("{key}{}", self.ticks)))),
            key,
            summary: status.map(|status| summary(status, at)),
            act: None,
        })
    }

    fn epoch_of(&self, shard: u16, writer: DrawnWriter) -> ShardEpoch {
        let ShardEpoch(now) = self.model.epoch(shard);
        match writer {
            DrawnWriter::Owner => ShardEpoch(now),
            DrawnWriter::Former => ShardEpoch(now - 1),
        }
    }

    fn sends(&mut self, batch: &[StreamAppend]) {
        for append in batch {
            let at = self.streams.iter().position(|stream| *stream == append.stream);
            self.sent[at.expect("a stream of the case")] = Some(append.clone());
        }
    }

    async fn append(&mut self, drawn: &[DrawnAppend], fate: AppendFate) -> Result<()> {
        let batch = self.batch(drawn);
        self.sends(&batch);
        match fate {
            AppendFate::Answered => {}
            AppendFate::Dropped(looks) => drop(dropped_after(looks, self.store.append(&batch)).await),
            AppendFate::Cut => {
                if let Some(cut) = self.cut {
                    // Whatever the answer is, it need not have come.
                    let (_, cut) = tokio::join!(self.store.append(&batch), self.place.run(cut));
                    cut?;
                }
            }
        }
        let found = self.again(async |store| store.append(&batch).await).await?;
        let expected: Vec<AppendOutcome> = batch.iter().map(|append| self.model.append(append)).collect();
        ensure!(found == expected, "the store answers {found:?}, expected {expected:?}");
        Ok(())
    }

    /// The answers have to be those of the appends one after the other, in some order.
    async fn race(&mut self, one: &[DrawnAppend], other: &[DrawnAppend]) -> Result<()> {
        let (one, other) = (self.batch(one), self.batch(other));
        self.sends(&one);
        let (first, second) = tokio::join!(
            self.again(async |store| store.append(&one).await),
            self.again(async |store| store.append(&other).await)
        );
        let found: Vec<AppendOutcome> = first?.into_iter().chain(second?).collect();
        let all: Vec<&StreamAppend> = one.iter().chain(&other).collect();
        let mut told = None;
        for order in orders(all.len()) {
            let mut model = self.model.clone();
            let mut expected = vec![AppendOutcome::Conflict; all.len()];
            order.iter().for_each(|at| expected[*at] = model.append(all[*at]));
            if expected != found {
                continue;
            }
            match self.is_alike(&model).await {
                Ok(()) => {
                    self.model = model;
                    return Ok(());
                }
                Err(error) => told = Some(error),
            }
        }
        let found = format!("no order of the appends gives {found:?}");
        Err(told.map_or_else(|| anyhow::anyhow!(found.clone()), |error| error.context(found.clone())))
    }

    async fn mark(&mut self, stream: usize, writer: DrawnWriter, status: usize) -> Result<()> {
        self.ticks += 1;
        let mark = StreamMark {
            shard: shard_of(stream),
            epoch: self.epoch_of(shard_of(stream), writer),
            stream: self.streams[stream],
            status: STATUSES[status].to_owned(),
            reason: Some("marked".to_owned()),
            code: (status == 2).then(|| "unreadable".to_owned()),
            at_ms: STARTED_MS + self.ticks,
        };
        let found: MarkOutcome = self.again(async |store| store.mark(&mark).await).await?;
        let expected = self.model.mark(&mark);
        ensure!(found == expected, "the store answers {found:?}, expected {expected:?}");
        Ok(())
    }

    async fn sweep(&mut self, old: usize, limit: u32) -> Result<()> {
        let ended_before_ms = STARTED_MS + i64::try_from(old)?;
        let (mut after, mut forgotten) = (None, 0);
        loop {
            let sweep = KeySweep { category: CATEGORY.to_owned(), ended_before_ms, after: after.clone(), limit };
            let page = self.again(async |store| store.forget_keys(&sweep).await).await?;
            forgotten += page.forgotten;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected = self.model.sweep(CATEGORY, ended_before_ms);
        ensure!(forgotten == expected, "{forgotten} keys are forgotten, expected {expected}");
        Ok(())
    }

    async fn note(&mut self, topic: usize, id: usize) -> Result<()> {
        let (topic, id) = (format!("topic-{topic}"), Uuid::from_u128(id as u128 + 1));
        self.ticks += 1;
        let note = NewNote { topic: topic.clone(), id, at_ms: self.ticks, body: format!("note {}", self.ticks) };
        let found = self.again(async |store| store.add_note(&note).await).await?;
        let expected = NoteNumber(self.model.add_note(&topic, id, &note.body));
        ensure!(found == expected, "the note has {found:?}, expected {expected:?}");
        Ok(())
    }

    async fn document(&mut self, hash: usize, body: usize) -> Result<()> {
        let (hash, body) = (format!("d{hash}"), format!("body {body}"));
        self.again(async |store| store.put_document("saga", &hash, &body).await).await?;
        self.model.documents.insert(hash, body);
        Ok(())
    }

    async fn snapshot(&mut self, stream: usize) -> Result<()> {
        let stream = self.streams[stream];
        let Some(row) = self.model.rows.get(&stream).and_then(|rows| rows.last()).cloned() else { return Ok(()) };
        let (version, append_id, state) = (row.version, row.append_id, row.payload);
        let snapshot = StreamSnapshot { stream, version, append_id, format: 1, state };
        self.again(async |store| store.put_snapshot(&snapshot).await).await?;
        self.model.snapshots.insert(stream, snapshot);
        Ok(())
    }

    async fn remove_snapshot(&mut self, stream: usize) -> Result<()> {
        let stream = self.streams[stream];
        let found = self.again(async |store| store.remove_snapshots(&[stream]).await).await?;
        let expected = u64::from(self.model.snapshots.remove(&stream).is_some());
        ensure!(found == expected, "{found} snapshots are removed, expected {expected}");
        Ok(())
    }

    /// Everything that can be read is the same.
    async fn is_alike(&self, model: &ModelStore) -> Result<()> {
        self.rows_are_alike(model).await?;
        self.lists_are_alike(model).await?;
        self.logs_are_alike(model).await
    }

    async fn rows_are_alike(&self, model: &ModelStore) -> Result<()> {
        let store = &self.store;
        let expected: Vec<_> =
            model.rows.iter().flat_map(|(stream, rows)| rows.iter().map(|row| (*stream, row.clone()))).collect();
        let found = self.again(async |store| store.scan(RowPosition::default(), 1_000, 1 << 30).await).await?;
        ensure!(found == expected, "the scan has {found:?}, expected {expected:?}");
        let found = store.read_many(&self.streams).await?;
        ensure!(found == expected, "the streams have {found:?}, expected {expected:?}");
        let outlined = |(stream, mut row): (Uuid, saga_event_store::StreamRow)| {
            row.payload = model.outlines.get(&(stream, row.version)).cloned().unwrap_or(row.payload);
            (stream, row)
        };
        let expected: Vec<_> = expected.into_iter().map(outlined).collect();
        let found = store.outlines_within(&self.streams, 1 << 30).await?.rows;
        ensure!(found == expected, "the outlines are {found:?}, expected {expected:?}");
        for stream in &self.streams {
            let expected = Some(model.last_version(*stream)).filter(|version| *version > 0);
            ensure!(store.last_version(*stream).await? == expected, "the last version of {stream} is not {expected:?}");
            let from = store.read_from(*stream, 2).await?;
            let rows = model.rows.get(stream).map_or(&[][..], Vec::as_slice);
            ensure!(from.iter().eq(rows.iter().skip(1)), "from version 2 on {stream} has {from:?}");
        }
        let found = self.place.rows("stream_keys").await?;
        ensure!(found == i64::try_from(model.keys.len())?, "{found} keys are taken, expected {:?}", model.keys);
        let mut found = store.snapshots(&self.streams).await?;
        found.sort_unstable_by_key(|snapshot| snapshot.stream);
        ensure!(found.iter().eq(model.snapshots.values()), "the snapshots are {found:?}");
        Ok(())
    }

    async fn lists_are_alike(&self, model: &ModelStore) -> Result<()> {
        let store = &self.store;
        let all = StreamFilter { limit: 1_000, ..StreamFilter::default() };
        let running = StreamFilter { statuses: vec!["running".to_owned()], ..all.clone() };
        let keyed = StreamFilter { key: Some("key-0".to_owned()), ..all.clone() };
        for filter in [&all, &StreamFilter { only_open: true, ..all.clone() }, &running, &keyed] {
            let is_wanted = |known: &&super::memory::ModelSummary| {
                (known.is_open || !filter.only_open)
                    && (filter.statuses.is_empty() || filter.statuses.contains(&known.shown.status))
                    && filter.key.as_ref().is_none_or(|key| known.shown.key == *key)
            };
            let expected: Vec<_> =
                model.shown.values().rev().filter(is_wanted).map(|known| known.shown.clone()).collect();
            let found = store.list(filter).await?;
            ensure!(found == expected, "the list {filter:?} is {found:?}, expected {expected:?}");
        }
        for shard in 0..SHARDS {
            let open = |(_, known): &(&Uuid, &super::memory::ModelSummary)| known.is_open && known.shard == shard;
            let expected: Vec<Uuid> = model.shown.iter().filter(open).map(|(stream, _)| *stream).collect();
            let found = store.open_streams(shard, None, 1_000).await?;
            ensure!(found == expected, "shard {shard} has the open streams {found:?}, expected {expected:?}");
        }
        let waiting = model.shown.values().filter(|known| !known.shown.waits_on.is_empty()).count();
        let found: i64 = store.waiting_counts().await?.iter().map(|(_, streams)| streams).sum();
        ensure!(found == i64::try_from(waiting)?, "{found} streams wait, expected {waiting}");
        let found = store.journaled(Uuid::nil(), 1_000).await?;
        let expected = model.shown.keys().map(|stream| (*stream, model.last_version(*stream) > 0));
        ensure!(found.iter().copied().eq(expected), "the read model has {found:?}");
        Ok(())
    }

    async fn logs_are_alike(&self, model: &ModelStore) -> Result<()> {
        for (topic, expected) in &model.notes {
            let found = self.store.notes(topic, NoteNumber(0), 100).await?;
            let numbers = found.iter().map(|note| note.number.0).eq(1..=i64::try_from(expected.len())?);
            let notes: Vec<_> = found.iter().map(|note| (note.id, note.body.clone())).collect();
            ensure!(numbers && notes == *expected, "{topic} has {found:?}, expected {expected:?}");
        }
        for (hash, expected) in &model.documents {
            let found = self.store.get_document("saga", hash).await?;
            ensure!(found.as_ref() == Some(expected), "the document {hash} is {found:?}");
        }
        Ok(())
    }
}

fn summary(status: usize, at: i64) -> SummaryUpdate {
    SummaryUpdate {
        document: "d0".repeat(32),
        status: STATUSES[status].to_owned(),
        open: status < STATUSES.len() - 1,
        step: (status == 1).then(|| "charge".to_owned()),
        reason: (status == 2).then(|| "declined".to_owned()),
        started_at_ms: at,
        waits_on: waits(status),
        flags: if status == 2 { vec!["overdue".to_owned()] } else { Vec::new() },
        code: (status == 2).then(|| "http.422".to_owned()),
    }
}

/// Every order of so many things.
fn orders(things: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..things {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..things).filter(|at| !order.contains(at)).map(|at| [&order[..], &[at]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    orders
}
