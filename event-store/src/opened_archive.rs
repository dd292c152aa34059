//! Archives with the keys of their store.

use crate::{
    EventStore, JournalReader, RowPosition, StoreError, StoredAct, StreamRow, StreamSnapshot, StreamSummary,
    archive::ArchiveReader,
};
use async_trait::async_trait;
use std::sync::Arc;
use uuid::Uuid;

/// Archives whose encrypted rows are opened with the keys that the store keeps.
#[derive(Debug)]
pub struct OpenedArchive {
    archive: ArchiveReader,
    store: Arc<dyn EventStore>,
}

impl OpenedArchive {
    /// Reads `archive` with the keys of `store`.
    #[must_use]
    pub fn new(archive: ArchiveReader, store: Arc<dyn EventStore>) -> OpenedArchive {
        OpenedArchive { archive, store }
    }
}

#[async_trait]
impl JournalReader for OpenedArchive {
    async fn read(&self, stream: Uuid) -> Result<Vec<StreamRow>, StoreError> {
        let rows = self.archive.read(stream).await?.into_iter().map(|row| (stream, row)).collect();
        Ok(self.store.open_archived(rows).await?.into_iter().map(|(_, row)| row).collect())
    }

    async fn scan(&self, after: RowPosition, limit: u32, max_bytes: u64) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        self.store.open_archived(self.archive.scan(after, limit, max_bytes).await?).await
    }

    async fn next_stream(&self, after: Uuid) -> Result<Option<Uuid>, StoreError> {
        self.archive.next_stream(after).await
    }

    async fn summaries(&self, streams: &[Uuid]) -> Result<Vec<StreamSummary>, StoreError> {
        self.archive.summaries(streams).await
    }

    async fn last_version(&self, stream: Uuid) -> Result<Option<u32>, StoreError> {
        self.archive.last_version(stream).await
    }

    async fn summary(&self, stream: Uuid) -> Result<Option<StreamSummary>, StoreError> {
        self.archive.summary(stream).await
    }

    async fn journaled(&self, after: Uuid, limit: u32) -> Result<Vec<(Uuid, bool)>, StoreError> {
        self.archive.journaled(after, limit).await
    }

    async fn acts_between(&self, first: Uuid, last: Uuid) -> Result<Option<Vec<StoredAct>>, StoreError> {
        self.archive.acts_between(first, last).await
    }

    async fn snapshot_versions(&self, streams: &[Uuid]) -> Result<Vec<(Uuid, u32)>, StoreError> {
        self.archive.snapshot_versions(streams).await
    }

    async fn snapshots(&self, streams: &[Uuid]) -> Result<Vec<StreamSnapshot>, StoreError> {
        self.archive.snapshots(streams).await
    }

    async fn get_document(&self, kind: &str, hash: &str) -> Result<Option<String>, StoreError> {
        match self.archive.get_document(kind, hash).await? {
            Some(text) => Ok(Some(text)),
            // The texts of an encrypted saga are not known when it is archived. The store keeps all texts.
            None => self.store.get_document(kind, hash).await,
        }
    }
}
