//! Encryption at rest: each stream has a data key, which seals the payloads and outlines of the stream. Key-encryption
//! keys from the configuration wrap the data keys. Without its data key nobody can read a stream, so the store erases a
//! stream by deleting that key.
//!
//! [`SealedStore`] is in front of a store and does all this. Its users see plain bytes.

mod archives;
mod cache;
mod keyed;
mod letters;
mod opening;
mod rewrap;
mod sealed_store;

pub(crate) use keyed::{DataKeyStore, LetterReader, RewrappedKey, StoredDataKey};
pub(crate) use sealed_store::{SealedStore, require_keys};

use crate::{KeyRing, StoreError};

/// The store needs the key-encryption key `id`, which is not in `ring`.
fn lacks_key(id: &str, ring: &KeyRing) -> StoreError {
    let has = match ring.ids().as_slice() {
        [] => "has no key".to_owned(),
        ids => format!("has {}", ids.join(", ")),
    };
    StoreError::Keys(format!(
        "the store has data keys that the key {id} wraps, and the configuration {has}: \
         set `store.encryption.key` or `store.encryption.previous` to the place of the key {id}"
    ))
}
