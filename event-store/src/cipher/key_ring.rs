//! Key-encryption keys: they come from the configuration and never get into the database.

use ring::{digest, hmac};
use std::fmt;
use uuid::Uuid;

/// Bytes of every key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a key's id.
pub(super) const KEY_ID_BYTES: usize = 8;
const OF_ID: &[u8] = b"saga key id\0";
const OF_STREAM: &[u8] = b"saga data key\0";

/// A key that wraps data keys. Its `Debug` shows the id and not the key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEncryptionKey([u8; KEY_BYTES]);

impl KeyEncryptionKey {
    /// The key with these bytes, which have to come from a generator of random numbers.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> KeyEncryptionKey {
        KeyEncryptionKey(bytes)
    }

    /// The name of the key: 16 hexadecimal digits that follow from its bytes. It tells nothing about them.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.id_bytes())
    }

    pub(super) fn id_bytes(&self) -> [u8; KEY_ID_BYTES] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(OF_ID);
        context.update(&self.0);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&context.finish().as_ref()[..KEY_ID_BYTES]);
        id
    }

    /// The key that wraps the data key of one stream. Each stream has another one, so the number of streams is not
    /// limited by the nonces of one key.
    pub(super) fn for_stream(&self, stream: Uuid) -> [u8; KEY_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(OF_STREAM);
        context.update(stream.as_bytes());
        let mut derived = [0; KEY_BYTES];
        derived.copy_from_slice(context.sign().as_ref());
        derived
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyEncryptionKey").field(&self.id()).finish()
    }
}

/// The key-encryption keys that a process has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    /// Wraps the data keys of new streams; `None`: new streams are not sealed.
    pub current: Option<KeyEncryptionKey>,
    /// Unwrap data keys that they have wrapped, and wrap no others.
    pub previous: Vec<KeyEncryptionKey>,
}

impl KeyRing {
    /// Whether the process has no key at all, as without encryption.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.previous.is_empty()
    }

    /// The key with this id.
    pub(crate) fn find(&self, id: &str) -> Option<&KeyEncryptionKey> {
        self.all().find(|key| key.id() == id)
    }

    /// Ids of all keys of the process, for messages.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.all().map(KeyEncryptionKey::id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &KeyEncryptionKey> {
        self.current.iter().chain(&self.previous)
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids are in databases: they never change.
    #[test]
    fn an_id_follows_from_the_key_and_does_not_show_it() {
        let key = KeyEncryptionKey::new([7; 32]);
        assert_eq!(key.id().len(), 16);
        assert_eq!(key.id(), KeyEncryptionKey::new([7; 32]).id());
        assert_ne!(key.id(), KeyEncryptionKey::new([8; 32]).id());
        assert_eq!(format!("{key:?}"), format!("KeyEncryptionKey({:?})", key.id()));
    }

    #[test]
    fn a_ring_finds_its_keys_by_id() {
        let (one, two) = (KeyEncryptionKey::new([1; 32]), KeyEncryptionKey::new([2; 32]));
        let ring = KeyRing { current: Some(one.clone()), previous: vec![two.clone()] };
        assert_eq!(ring.ids(), [one.id(), two.id()]);
        assert_eq!(ring.find(&two.id()), Some(&two));
        assert_eq!(ring.find("0011223344556677"), None);
        assert!(KeyRing::default().is_empty() && !ring.is_empty());
    }
}
