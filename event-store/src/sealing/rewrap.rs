//! Rotation of key-encryption keys: the current one wraps the data keys that a previous one has wrapped.

use super::{
    keyed::{RewrappedKey, StoredDataKey},
    opening::RowOpener,
};
use crate::{KeyEncryptionKey, StoreError};
use uuid::Uuid;

/// Data keys that are looked at in one transaction: some milliseconds of work.
const PAGE: u32 = 1000;

impl RowOpener {
    /// One pass over all data keys, if the store knows of another key than the current one. A pass that finds nothing
    /// to wrap again removes the ids of the other keys.
    pub(super) async fn rewrap(&self) -> Result<u64, StoreError> {
        let Some(current) = &self.ring.current else { return Ok(0) };
        let id = current.id();
        self.store.use_key_id(&id).await?;
        if self.store.key_ids().await? == [id.as_str()] {
            return Ok(0);
        }
        let rewrapped = self.rewrap_all(current).await?;
        if rewrapped == 0 {
            self.store.retire_key_ids(&id).await?;
        }
        Ok(rewrapped)
    }

    async fn rewrap_all(&self, current: &KeyEncryptionKey) -> Result<u64, StoreError> {
        let (mut rewrapped, mut after) = (0, Uuid::nil());
        loop {
            let page = self.store.data_key_page(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(rewrapped) };
            after = last.stream;
            rewrapped += self.rewrap_page(current, &page).await?;
        }
    }

    async fn rewrap_page(&self, current: &KeyEncryptionKey, page: &[StoredDataKey]) -> Result<u64, StoreError> {
        let id = current.id();
        let again = |it: &StoredDataKey| {
            let now = self.unwrapped(it)?.wrapped(current, it.stream);
            Ok(RewrappedKey { stream: it.stream, before: it.wrapped.clone(), now })
        };
        let others = page.iter().filter(|it| it.wrapped.key_id().as_ref() != Some(&id));
        let again = others.map(again).collect::<Result<Vec<_>, StoreError>>()?;
        if again.is_empty() { Ok(0) } else { self.store.rewrap(&again).await }
    }
}
