//! Finds the data keys of streams, and opens rows.

use super::{
    cache::{DataKeyCache, KnownKey},
    keyed::{DataKeyStore, StoredDataKey},
    lacks_key,
};
use crate::{
    DataKey, KeyRing, StoreError, StreamRow,
    cipher::{self, SealedPart, SealedPlace},
    is_sealed,
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Whether the keys that a call needs are kept for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// The stream is being worked on: its next row needs the key again.
    Again,
    /// All streams of the store pass by, and would push out the keys that are needed again.
    Once,
}

/// The keys of a process, and where the data keys are.
#[derive(Debug)]
pub(super) struct RowOpener {
    pub(super) store: Arc<dyn DataKeyStore>,
    pub(super) ring: KeyRing,
    pub(super) cache: DataKeyCache,
}

impl RowOpener {
    /// What is known about the keys of these streams: from memory, else from the database, in one query.
    ///
    /// # Errors
    /// [`StoreError::Keys`] when the process lacks the key that wraps one of them.
    pub(super) async fn keys(
        &self,
        streams: impl IntoIterator<Item = Uuid>,
        needed: KeyUse,
    ) -> Result<HashMap<Uuid, KnownKey>, StoreError> {
        let mut known = HashMap::new();
        let mut asked = Vec::new();
        for stream in streams.into_iter().collect::<BTreeSet<_>>() {
            match self.cache.get(stream) {
                Some(key) => drop(known.insert(stream, key)),
                None => asked.push(stream),
            }
        }
        if asked.is_empty() {
            return Ok(known);
        }
        let mut found = self.load(&asked).await?;
        for stream in asked {
            let key = found.remove(&stream).map_or(KnownKey::None, KnownKey::Key);
            if needed == KeyUse::Again {
                self.cache.put(stream, key.clone());
            }
            known.insert(stream, key);
        }
        Ok(known)
    }

    async fn load(&self, streams: &[Uuid]) -> Result<HashMap<Uuid, DataKey>, StoreError> {
        let stored = self.store.data_keys(streams).await?;
        stored.iter().map(|it| Ok((it.stream, self.unwrapped(it)?))).collect()
    }

    pub(super) fn unwrapped(&self, stored: &StoredDataKey) -> Result<DataKey, StoreError> {
        let damaged = || StoreError::Damaged(format!("the data key of {} cannot be unwrapped", stored.stream));
        let id = stored.wrapped.key_id().ok_or_else(damaged)?;
        let key = self.ring.find(&id).ok_or_else(|| lacks_key(&id, &self.ring))?;
        stored.wrapped.unwrap(key, stored.stream).ok_or_else(damaged)
    }

    /// Opens the sealed rows among `rows`. Rows that are not sealed stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first row that cannot be opened; [`StoreError::Keys`] as [`RowOpener::keys`].
    pub(super) async fn open(
        &self,
        mut rows: Vec<(Uuid, StreamRow)>,
        parts: &[SealedPart],
        needed: KeyUse,
    ) -> Result<Vec<(Uuid, StreamRow)>, StoreError> {
        let sealed = rows.iter().filter(|(_, row)| is_sealed(&row.payload)).map(|(stream, _)| *stream);
        let keys = self.keys(sealed, needed).await?;
        let mut erased: HashMap<Uuid, Vec<StreamRow>> = HashMap::new();
        for (stream, row) in rows.iter_mut().filter(|(_, row)| is_sealed(&row.payload)) {
            match keys.get(stream).and_then(KnownKey::key) {
                Some(key) => row.payload = opened(key, *stream, row, parts)?,
                None => row.payload = self.erased_meanwhile(&mut erased, *stream, row.version).await?,
            }
        }
        Ok(rows)
    }

    /// A stream can be erased between the reading of its row and of its key. Then the store has the row without its
    /// content.
    async fn erased_meanwhile(
        &self,
        erased: &mut HashMap<Uuid, Vec<StreamRow>>,
        stream: Uuid,
        version: u32,
    ) -> Result<Vec<u8>, StoreError> {
        if let std::collections::hash_map::Entry::Vacant(unread) = erased.entry(stream) {
            unread.insert(self.store.read(stream).await?);
        }
        let rows = erased.get(&stream).map(Vec::as_slice).unwrap_or_default();
        let plain = rows.iter().find(|row| row.version == version && !is_sealed(&row.payload));
        plain.map(|row| row.payload.clone()).ok_or_else(|| {
            StoreError::Damaged(format!("row {stream}/{version} is sealed, and the store has no data key for it"))
        })
    }
}

fn opened(key: &DataKey, stream: Uuid, row: &mut StreamRow, parts: &[SealedPart]) -> Result<Vec<u8>, StoreError> {
    let place = SealedPlace { stream, version: row.version };
    let opened = cipher::open(key, place, parts, std::mem::take(&mut row.payload));
    opened.map_err(|error| StoreError::Damaged(format!("row {stream}/{} cannot be opened: {error}", row.version)))
}
