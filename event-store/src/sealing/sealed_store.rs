//! The store that its users see when encryption is configured.

use super::{
    cache::{DataKeyCache, KnownKey},
    keyed::DataKeyStore,
    lacks_key,
    opening::{KeyUse, RowOpener},
};
use crate::{
    ActQuery, AppendOutcome, AttendanceRecord, ChangeOutcome, CommitConfirmation, DataKey, DatabaseActivity,
    EventStore, FeedError, FeedExtent, FeedPage, FeedPosition, JournalReader, KeyRing, KeySweep, KeySweepOutcome,
    MarkOutcome, NewNote, NewStreamKey, NoteNumber, ProjectedRow, ProjectionChange, ProjectionGeneration,
    ProjectionStart, RepairOutcome, RowPosition, SessionUsage, ShardAttendance, ShardEpoch, StepBack, StoreAccess,
    StoreError, StoreIdentity, StoreProjections, StoredAct, StoredNote, StreamAppend, StreamBatch, StreamDimension,
    StreamErasure, StreamFilter, StreamFlagCount, StreamGroup, StreamKeyHolder, StreamMark, StreamRepair, StreamRow,
    StreamSnapshot, StreamStatusCount, StreamSummary, WaitTarget,
    cipher::{SealedPart, SealedPlace, is_sealed, open, seal},
    limits::check_batch,
};
use async_trait::async_trait;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;
use uuid::Uuid;

/// A store whose rows are sealed. Streams that began without encryption stay plain.
#[derive(Debug)]
pub(crate) struct SealedStore {
    pub(super) inner: Arc<dyn DataKeyStore>,
    pub(super) opener: RowOpener,
}

impl SealedStore {
    /// Seals what is written to `inner` from now on. If the store was opened to write, it notes that the current key is
    /// in use.
    ///
    /// # Errors
    /// [`StoreError::Keys`] when the store has data keys that a key wraps which is not in `ring`.
    pub(crate) async fn over(
        inner: Arc<dyn DataKeyStore>,
        ring: KeyRing,
        access: StoreAccess,
    ) -> Result<SealedStore, StoreError> {
        require_keys(inner.as_ref(), &ring).await?;
        if let (StoreAccess::Write { .. }, Some(current)) = (access, &ring.current) {
            inner.use_key_id(&current.id()).await?;
        }
        let opener = RowOpener { store: Arc::clone(&inner), ring, cache: DataKeyCache::default() };
        Ok(SealedStore { inner, opener })
    }

    async fn sealed(&self, batch: &[StreamAppend]) -> Result<Vec<StreamAppend>, StoreError> {
        let continued = batch.iter().filter(|append| append.new_key.is_none()).map(|append| append.stream);
        let keys = self.opener.keys(continued, KeyUse::Again).await?;
        Ok(batch.iter().map(|append| self.sealed_append(append, &keys)).collect())
    }

    fn sealed_append(&self, append: &StreamAppend, keys: &HashMap<Uuid, KnownKey>) -> StreamAppend {
        match (&append.new_key, &self.opener.ring.current) {
            (Some(new_key), Some(current)) => {
                let wrapped = new_key.data_key.wrapped(current, append.stream);
                let new_key = NewStreamKey { wrapped: Some(wrapped), ..new_key.clone() };
                StreamAppend { new_key: Some(new_key.clone()), ..with_key(append, &new_key.data_key) }
            }
            (Some(_), None) => append.clone(),
            (None, _) => match keys.get(&append.stream).and_then(KnownKey::key) {
                Some(key) => with_key(append, key),
                None => append.clone(),
            },
        }
    }

    /// A repeat of the first append carries the same data key, so the one of a committed append is the stored one.
    fn remember(&self, batch: &[StreamAppend], answers: &[AppendOutcome]) {
        let committed = batch.iter().zip(answers).filter(|(_, answer)| **answer == AppendOutcome::Committed);
        for (append, _) in committed {
            let Some(new_key) = &append.new_key else { continue };
            let known = match &self.opener.ring.current {
                Some(_) => KnownKey::Key(new_key.data_key.clone()),
                None => KnownKey::None,
            };
            self.opener.cache.put(append.stream, known);
        }
    }

    async fn opened(&self, batch: StreamBatch, parts: &[SealedPart]) -> Result<StreamBatch, StoreError> {
        Ok(StreamBatch { rows: self.opener.open(batch.rows, parts, KeyUse::Again).await?, left: batch.left })
    }
}

/// # Errors
/// [`StoreError::Keys`] when a key-encryption key that the store needs is not in `ring`.
pub(crate) async fn require_keys(store: &dyn DataKeyStore, ring: &KeyRing) -> Result<(), StoreError> {
    let needed = store.key_ids().await?;
    match needed.iter().find(|id| ring.find(id).is_none()) {
        Some(id) => Err(lacks_key(id, ring)),
        None => Ok(()),
    }
}

fn with_key(append: &StreamAppend, key: &DataKey) -> StreamAppend {
    let place = SealedPlace { stream: append.stream, version: append.version };
    StreamAppend {
        payload: seal(key, place, SealedPart::Payload, &append.payload),
        outline: append.outline.as_ref().map(|outline| seal(key, place, SealedPart::Outline, outline)),
        ..append.clone()
    }
}

const WHOLE: &[SealedPart] = &[SealedPart::Payload];
const OUTLINED: &[SealedPart] = &[SealedPart::Payload, SealedPart::Outline];

#[async_trait]
impl JournalReader for SealedStore {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        let rows = self.inner.read(stream).await?.into_iter().map(|row| (stream, row)).collect();
        let opened = self.opener.open(rows, WHOLE, KeyUse::Again).await?;
        Ok(opened.into_iter().map(|(_, row)| row).collect())
    }

    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.opener.open(self.inner.scan(after, limit, max_bytes).await?, WHOLE, KeyUse::Once).await
    }

    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.inner.next_stream(after).await
    }

    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        self.inner.summaries(streams).await
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError> {
        self.inner.last_version(stream).await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        self.inner.summary(stream).await
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
        self.inner.get_document(kind, hash).await
    }

    async fn journaled(&self, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        self.inner.journaled(after, limit).await
    }

    async fn acts_between(&self, first: Uuid, last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        self.inner.acts_between(first, last).await
    }

    async fn snapshot_versions(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        self.inner.snapshot_versions(streams).await
    }

    /// A snapshot that cannot be opened is as good as none: its stream may have been erased.
    async fn snapshots(&self, streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        let stored = self.inner.snapshots(streams).await?;
        let sealed = stored.iter().filter(|it| is_sealed(&it.state)).map(|it| it.stream);
        let keys = self.opener.keys(sealed, KeyUse::Again).await?;
        let opened = stored.into_iter().filter_map(|mut it| {
            if is_sealed(&it.state) {
                let key = keys.get(&it.stream).and_then(KnownKey::key)?;
                let place = SealedPlace { stream: it.stream, version: it.version };
                it.state = open(key, place, &[SealedPart::Snapshot], it.state).ok()?;
            }
            Some(it)
        });
        Ok(opened.collect())
    }
}

/// Rows of projections have no payloads: nothing of them is sealed.
#[async_trait]
impl StoreProjections for SealedStore {
    async fn projections(&self) -> Result<Vec<ProjectionGeneration>, StoreError> {
        self.inner.projections().await
    }

    async fn begin_projection(&self, start: &ProjectionStart) -> Result<(), StoreError> {
        self.inner.begin_projection(start).await
    }

    async fn projected(&self, name: &str, generation: i64, keys: &[String]) -> Result<Vec<ProjectedRow>, StoreError> {
        self.inner.projected(name, generation, keys).await
    }

    async fn projection_page(
        &self,
        name: &str,
        generation: i64,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<ProjectedRow>, StoreError> {
        self.inner.projection_page(name, generation, prefix, after, limit).await
    }

    async fn apply_projection(&self, change: &ProjectionChange) -> Result<ChangeOutcome, StoreError> {
        self.inner.apply_projection(change).await
    }

    async fn switch_projection(&self, name: &str, generation: i64) -> Result<bool, StoreError> {
        self.inner.switch_projection(name, generation).await
    }

    async fn fail_projection(&self, name: &str, generation: i64, problem: &str) -> Result<(), StoreError> {
        self.inner.fail_projection(name, generation, problem).await
    }

    async fn drop_projection(&self, name: &str, generation: i64, limit: u32) -> Result<u64, StoreError> {
        self.inner.drop_projection(name, generation, limit).await
    }
}

#[async_trait]
impl EventStore for SealedStore {
    async fn append(&self, batch: &[StreamAppend]) -> Result<Vec<AppendOutcome>, StoreError> {
        check_batch(batch)?;
        let answers = self.inner.append(&self.sealed(batch).await?).await?;
        self.remember(batch, &answers);
        Ok(answers)
    }

    async fn read_from(&self, stream: Uuid, version: u32) -> Result<Vec<StreamRow>, StoreError> {
        let rows = self.inner.read_from(stream, version).await?.into_iter().map(|row| (stream, row)).collect();
        let opened = self.opener.open(rows, WHOLE, KeyUse::Again).await?;
        Ok(opened.into_iter().map(|(_, row)| row).collect())
    }

    async fn put_snapshot(&self, snapshot: &StreamSnapshot) -> Result<(), StoreError> {
        let keys = self.opener.keys([snapshot.stream], KeyUse::Again).await?;
        let Some(key) = keys.get(&snapshot.stream).and_then(KnownKey::key) else {
            return self.inner.put_snapshot(snapshot).await;
        };
        let place = SealedPlace { stream: snapshot.stream, version: snapshot.version };
        let state = seal(key, place, SealedPart::Snapshot, &snapshot.state);
        self.inner.put_snapshot(&StreamSnapshot { state, ..snapshot.clone() }).await
    }

    async fn remove_snapshots(&self, streams: &[Uuid]) -> Result<u64, StoreError> {
        self.inner.remove_snapshots(streams).await
    }

    async fn read_many(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.opener.open(self.inner.read_many(streams).await?, WHOLE, KeyUse::Again).await
    }

    async fn read_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        self.opened(self.inner.read_within(streams, max_bytes).await?, WHOLE).await
    }

    async fn outlines_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        self.opened(self.inner.outlines_within(streams, max_bytes).await?, OUTLINED).await
    }

    async fn feed(&self, after: FeedPosition, limit: u32, max_bytes: u64) -> Result<FeedPage, FeedError> {
        let FeedPage { mut rows, extent } = self.inner.feed(after, limit, max_bytes).await?;
        let taken = rows.iter_mut().filter_map(|it| Some((it.stream, it.row.take()?))).collect();
        let opened = self.opener.open(taken, WHOLE, KeyUse::Once).await?;
        let mut opened =
            opened.into_iter().map(|(stream, row)| ((stream, row.version), row)).collect::<HashMap<_, _>>();
        rows.iter_mut().for_each(|it| it.row = opened.remove(&(it.stream, it.version)));
        Ok(FeedPage { rows, extent })
    }

    async fn feed_extent(&self) -> Result<FeedExtent, StoreError> {
        self.inner.feed_extent().await
    }

    /// What remains is not sealed.
    async fn erase(&self, erasure: &StreamErasure) -> Result<AppendOutcome, StoreError> {
        let answer = self.inner.erase(erasure).await?;
        if answer == AppendOutcome::Committed {
            self.opener.cache.put(erasure.append.stream, KnownKey::None);
        }
        Ok(answer)
    }

    async fn rewrap_data_keys(&self) -> Result<u64, StoreError> {
        self.opener.rewrap().await
    }

    fn identity(&self) -> StoreIdentity {
        self.inner.identity()
    }

    async fn claim(&self, shard: u16, owner: &str) -> Result<ShardEpoch, StoreError> {
        self.inner.claim(shard, owner).await
    }

    async fn attend(&self, all: &[AttendanceRecord]) -> Result<(), StoreError> {
        self.inner.attend(all).await
    }

    async fn attendance(&self, shard: u16) -> Result<ShardAttendance, StoreError> {
        self.inner.attendance(shard).await
    }

    async fn clock_ms(&self) -> Result<i64, StoreError> {
        self.inner.clock_ms().await
    }

    async fn mark(&self, mark: &StreamMark) -> Result<MarkOutcome, StoreError> {
        self.inner.mark(mark).await
    }

    async fn repair(&self, repair: &StreamRepair) -> Result<RepairOutcome, StoreError> {
        self.inner.repair(repair).await
    }

    async fn open_streams(&self, shard: u16, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        self.inner.open_streams(shard, after, limit).await
    }

    async fn key_holder(&self, category: &str, key: &str) -> Result<Option<StreamKeyHolder>, StoreError> {
        self.inner.key_holder(category, key).await
    }

    async fn list(&self, filter: &StreamFilter) -> Result<Vec<StreamSummary>, StoreError> {
        self.inner.list(filter).await
    }

    async fn stream_below(&self, before: Option<Uuid>, places: u32) -> Result<Option<Uuid>, StoreError> {
        self.inner.stream_below(before, places).await
    }

    async fn tally(&self, filter: &StreamFilter, by: &[StreamDimension]) -> Result<Vec<StreamGroup>, StoreError> {
        self.inner.tally(filter, by).await
    }

    async fn counts(&self) -> Result<Vec<(String, String, i64)>, StoreError> {
        self.inner.counts().await
    }

    async fn waiting_counts(&self) -> Result<Vec<(WaitTarget, i64)>, StoreError> {
        self.inner.waiting_counts().await
    }

    async fn forget_keys(&self, sweep: &KeySweep) -> Result<KeySweepOutcome, StoreError> {
        self.inner.forget_keys(sweep).await
    }

    async fn standing(&self) -> Result<Vec<StreamStatusCount>, StoreError> {
        self.inner.standing().await
    }

    async fn flagged(&self) -> Result<Vec<StreamFlagCount>, StoreError> {
        self.inner.flagged().await
    }

    fn sessions(&self) -> SessionUsage {
        self.inner.sessions()
    }

    async fn put_document(&self, kind: &str, hash: &str, body: &str) -> Result<(), StoreError> {
        self.inner.put_document(kind, hash, body).await
    }

    async fn add_note(&self, note: &NewNote) -> Result<NoteNumber, StoreError> {
        self.inner.add_note(note).await
    }

    async fn notes(&self, topic: &str, after: NoteNumber, limit: u32) -> Result<Vec<StoredNote>, StoreError> {
        self.inner.notes(topic, after, limit).await
    }

    async fn acts(&self, wanted: &ActQuery) -> Result<Vec<StoredAct>, StoreError> {
        self.inner.acts(wanted).await
    }

    async fn heartbeat(&self, owner: &str, at_ms: i64) -> Result<(), StoreError> {
        self.inner.heartbeat(owner, at_ms).await
    }

    fn steps_back(&self) -> watch::Receiver<Option<Arc<StepBack>>> {
        self.inner.steps_back()
    }

    fn confirmed(&self) -> Option<CommitConfirmation> {
        self.inner.confirmed()
    }

    async fn compare(&self, all: &[CommitConfirmation]) -> Result<Vec<usize>, StoreError> {
        self.inner.compare(all).await
    }

    async fn activity(&self) -> Result<DatabaseActivity, StoreError> {
        self.inner.activity().await
    }
}
