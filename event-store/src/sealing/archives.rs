//! What leaves a store whose rows are sealed: the rows go as they are, and their data keys stay.

use super::{cache::KnownKey, opening::KeyUse, sealed_store::SealedStore};
use crate::{
    ArchiveContent, ArchiveRecord, ArchiveReplacement, ArchivedErasure, DetachOutcome, LeavingRule, PendingErasure,
    RemovedPortion, RowPosition, StartPeriod, StoreArchives, StoreError, StreamBatch, StreamRow, StreamStanding,
    cipher::SealedPart,
};
use async_trait::async_trait;
use uuid::Uuid;

#[async_trait]
impl StoreArchives for SealedStore {
    async fn add_partitions(&self, width_ms: i64, until_ms: i64) -> Result<u32, StoreError> {
        self.inner.add_partitions(width_ms, until_ms).await
    }

    async fn partitions(&self) -> Result<Vec<StartPeriod>, StoreError> {
        self.inner.partitions().await
    }

    async fn lease_archiving(&self, holder: Uuid) -> Result<bool, StoreError> {
        self.inner.lease_archiving(holder).await
    }

    async fn release_archiving(&self, holder: Uuid) -> Result<(), StoreError> {
        self.inner.release_archiving(holder).await
    }

    async fn archives(&self) -> Result<Vec<ArchiveRecord>, StoreError> {
        self.inner.archives().await
    }

    async fn begin_archive(&self, period: StartPeriod, at_ms: i64) -> Result<i64, StoreError> {
        self.inner.begin_archive(period, at_ms).await
    }

    async fn withdraw_archive(&self, number: i64) -> Result<(), StoreError> {
        self.inner.withdraw_archive(number).await
    }

    async fn record_archive(&self, number: i64, content: &ArchiveContent) -> Result<bool, StoreError> {
        self.inner.record_archive(number, content).await
    }

    async fn remove_archived(&self, portion: &RemovedPortion) -> Result<u64, StoreError> {
        self.inner.remove_archived(portion).await
    }

    async fn end_archive(&self, number: i64, at_ms: i64) -> Result<(), StoreError> {
        self.inner.end_archive(number, at_ms).await
    }

    async fn leaving(
        &self,
        period: StartPeriod,
        rules: &[LeavingRule],
        after: Uuid,
        limit: u32,
    ) -> Result<Vec<StreamStanding>, StoreError> {
        self.inner.leaving(period, rules, after, limit).await
    }

    async fn standings(&self, streams: &[Uuid]) -> Result<Vec<StreamStanding>, StoreError> {
        self.inner.standings(streams).await
    }

    async fn staying(&self, period: StartPeriod, rules: &[LeavingRule], most: u32) -> Result<u64, StoreError> {
        self.inner.staying(period, rules, most).await
    }

    async fn forget_feed(&self, limit: u32) -> Result<u64, StoreError> {
        self.inner.forget_feed(limit).await
    }

    async fn scan_stored(
        &self,
        after: RowPosition,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.inner.scan_stored(after, limit, max_bytes).await
    }

    async fn read_stored_within(&self, streams: &[Uuid], max_bytes: u64) -> Result<StreamBatch, StoreError> {
        self.inner.read_stored_within(streams, max_bytes).await
    }

    async fn open_archived(&self, rows: Vec<(Uuid, StreamRow)>) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.opener.open(rows, &[SealedPart::Payload], KeyUse::Once).await
    }

    async fn erase_archived(&self, erasure: &ArchivedErasure) -> Result<bool, StoreError> {
        let recorded = self.inner.erase_archived(erasure).await?;
        if recorded {
            self.opener.cache.put(erasure.erased.summary.stream, KnownKey::None);
        }
        Ok(recorded)
    }

    async fn pending_erasures(&self, after: Uuid, limit: u32) -> Result<Vec<PendingErasure>, StoreError> {
        self.inner.pending_erasures(after, limit).await
    }

    async fn pending_erasure(&self, stream: Uuid) -> Result<Option<PendingErasure>, StoreError> {
        self.inner.pending_erasure(stream).await
    }

    async fn end_erasures(&self, streams: &[Uuid]) -> Result<(), StoreError> {
        self.inner.end_erasures(streams).await
    }

    async fn replace_archive(&self, replacement: &ArchiveReplacement) -> Result<bool, StoreError> {
        self.inner.replace_archive(replacement).await
    }

    async fn forget_replaced(&self, number: i64, replaced: &str) -> Result<(), StoreError> {
        self.inner.forget_replaced(number, replaced).await
    }

    async fn watch_partition(&self, period: StartPeriod) -> Result<(), StoreError> {
        self.inner.watch_partition(period).await
    }

    async fn detach_partition(
        &self,
        number: i64,
        period: StartPeriod,
        kept: &[Uuid],
        content: &ArchiveContent,
        at_ms: i64,
    ) -> Result<DetachOutcome, StoreError> {
        self.inner.detach_partition(number, period, kept, content, at_ms).await
    }
}
