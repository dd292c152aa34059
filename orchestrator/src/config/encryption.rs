//! The key-encryption keys of the event store: the configuration says where they are, never what they are.

use super::{ConfigValidator, places::SecretPlace};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_base::secrets;
use saga_event_store::{KeyEncryptionKey, KeyRing};

/// The key that wraps the data keys of new sagas.
pub(super) const CURRENT: &str = "store.encryption.key";
/// Keys from before a rotation.
pub(super) const PREVIOUS: &str = "store.encryption.previous";
const A_KEY: &str = "32 random bytes in base64, as `openssl rand -base64 32` prints them";

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
        value.split(',').filter_map(|place| self.key_at(key, place.trim())).collect()
    }

    fn key_at(&mut self, key: &str, place: &str) -> Option<KeyEncryptionKey> {
        let Some(place) = SecretPlace::of(place, self.layers.base_of(key)) else {
            // The value may be the key itself, so it is not shown.
            self.wrong(key, "expected the place of a key: `env:NAME` or `file:PATH`");
            return None;
        };
        let text = self.text_at(key, &place)?;
        secrets::remember([text.clone()]);
        let read = STANDARD.decode(&text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if read.is_none() {
            self.wrong(key, &format!("{} has no key: expected {A_KEY}", place.shown()));
        }
        read.map(KeyEncryptionKey::new)
    }
}
