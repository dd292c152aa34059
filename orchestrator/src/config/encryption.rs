//! The key-encryption keys of the event store: the configuration says where they are, never what they are.

use super::ConfigValidator;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_base::secrets;
use saga_event_store::{KeyEncryptionKey, KeyRing};
use std::path::PathBuf;

/// The key that wraps the data keys of new sagas.
pub(super) const CURRENT: &str = "store.encryption.key";
/// Keys from before a rotation.
pub(super) const PREVIOUS: &str = "store.encryption.previous";
const A_KEY: &str = "32 random bytes in base64, as `openssl rand -base64 32` prints them";

/// Where a key is.
enum KeyPlace {
    /// In the environment variable with this name.
    Variable(String),
    /// In this file.
    File(PathBuf),
}

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
        let place = match (place.strip_prefix("env:"), place.strip_prefix("file:")) {
            (Some(name), _) if !name.is_empty() => KeyPlace::Variable(name.to_owned()),
            (_, Some(path)) if !path.is_empty() => KeyPlace::File(self.layers.base_of(key).join(path)),
            // The value may be the key itself, so it is not shown.
            (_, _) => {
                self.wrong(key, "expected the place of a key: `env:NAME` or `file:PATH`");
                return None;
            }
        };
        let text = self.text_at(key, &place)?;
        secrets::remember([text.clone()]);
        let read = STANDARD.decode(&text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if read.is_none() {
            self.wrong(key, &format!("{} has no key: expected {A_KEY}", place.shown()));
        }
        read.map(KeyEncryptionKey::new)
    }

    fn text_at(&mut self, key: &str, place: &KeyPlace) -> Option<String> {
        let read = match place {
            KeyPlace::Variable(name) => self.layers.env.get(name).cloned().ok_or_else(|| "is not set".to_owned()),
            KeyPlace::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {}", error.kind()))
            }
        };
        match read {
            Ok(text) => Some(text.trim().to_owned()),
            // A problem of this machine and not of the file.
            Err(why) => {
                let told = self.told(key, &format!("{} {why}", place.shown()));
                self.unset.push(told.clone());
                self.errors.push(told);
                None
            }
        }
    }

    fn wrong(&mut self, key: &str, why: &str) {
        let told = self.told(key, why);
        self.errors.push(told);
    }

    fn told(&self, key: &str, why: &str) -> String {
        let source = self.layers.get(key).map_or("default", |setting| &setting.source);
        format!("{source}: `{key}`: {why}")
    }
}

impl KeyPlace {
    fn shown(&self) -> String {
        match self {
            KeyPlace::Variable(name) => format!("the environment variable `{name}`"),
            KeyPlace::File(path) => format!("the file {}", path.display()),
        }
    }
}
