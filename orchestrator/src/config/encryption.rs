//! The key-encryption keys of the event store: the configuration says where they are, never what they are.

use super::ConfigValidator;
use saga_event_store::{KeyEncryptionKey, KeyRing};

/// The key that wraps the data keys of new sagas.
pub(super) const CURRENT: &str = "store.encryption.key";
/// Keys from before a rotation.
pub(super) const PREVIOUS: &str = "store.encryption.previous";

impl ConfigValidator<'_> {
    /// The keys that the configuration names. Their texts are remembered as secrets.
    pub(super) fn encryption(&mut self) -> KeyRing {
        let current = self.keys(CURRENT);
        if current.len() > 1 {
            self.wrong(CURRENT, &format!("expected one key; `{PREVIOUS}` takes the others"));
        }
        KeyRing { current: current.into_iter().next(), previous: self.keys(PREVIOUS) }
    }

    fn keys(&mut self, key: &str) -> Vec<KeyEncryptionKey> {
        let Some(value) = self.layers.get(key).map(|it| it.value.clone()) else { return Vec::new() };
        let keys = value.split(',').filter_map(|place| self.key_bytes_at(key, place.trim()));
        keys.map(KeyEncryptionKey::new).collect()
    }
}
