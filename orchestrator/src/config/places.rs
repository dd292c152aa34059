//! Where secrets are: a configuration names their places.

use super::ConfigValidator;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_base::secrets;
use std::path::{Path, PathBuf};

const A_KEY: &str = "32 random bytes in base64, as `openssl rand -base64 32` prints them";

/// Where a secret is.
pub(super) enum SecretPlace {
    /// In the environment variable with this name.
    Variable(String),
    /// In this file.
    File(PathBuf),
}

impl SecretPlace {
    /// The place that `text` names: `env:NAME`, or `file:PATH` with paths that begin at `base`.
    pub(super) fn of(text: &str, base: &Path) -> Option<SecretPlace> {
        match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
            (Some(name), _) if !name.is_empty() => Some(SecretPlace::Variable(name.to_owned())),
            (_, Some(path)) if !path.is_empty() => Some(SecretPlace::File(base.join(path))),
            (_, _) => None,
        }
    }

    pub(super) fn shown(&self) -> String {
        match self {
            SecretPlace::Variable(name) => format!("the environment variable `{name}`"),
            SecretPlace::File(path) => format!("the file {}", path.display()),
        }
    }
}

impl ConfigValidator<'_> {
    /// The text at the place that `written` names, and the place; no log shows the text from now on. `what` is `key` or
    /// `secret`.
    pub(super) fn secret_at(&mut self, key: &str, written: &str, what: &str) -> Option<(SecretPlace, String)> {
        let Some(place) = SecretPlace::of(written, self.layers.base_of(key)) else {
            // The value may be the secret itself, so it is not shown.
            self.wrong(key, &format!("expected the place of a {what}: `env:NAME` or `file:PATH`"));
            return None;
        };
        let text = self.text_at(key, &place)?;
        secrets::remember([text.clone()]);
        Some((place, text))
    }

    /// The 32 bytes at the place that `written` names.
    pub(super) fn key_bytes_at(&mut self, key: &str, written: &str) -> Option<[u8; 32]> {
        let (place, text) = self.secret_at(key, written, "key")?;
        let bytes = STANDARD.decode(&text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if bytes.is_none() {
            self.wrong(key, &format!("{} has no key: expected {A_KEY}", place.shown()));
        }
        bytes
    }

    /// The text at the place, without white space around it; `None`: it cannot be read, which is a problem of this
    /// machine and not of the file.
    fn text_at(&mut self, key: &str, place: &SecretPlace) -> Option<String> {
        let read = match place {
            SecretPlace::Variable(name) => self.layers.env.get(name).cloned().ok_or_else(|| "is not set".to_owned()),
            SecretPlace::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {}", error.kind()))
            }
        };
        match read {
            Ok(text) => Some(text.trim().to_owned()),
            Err(why) => {
                let told = self.told(key, &format!("{} {why}", place.shown()));
                self.unset.push(told.clone());
                self.errors.push(told);
                None
            }
        }
    }

    pub(super) fn wrong(&mut self, key: &str, why: &str) {
        let told = self.told(key, why);
        self.errors.push(told);
    }

    fn told(&self, key: &str, why: &str) -> String {
        let source = self.layers.get(key).map_or("default", |setting| &setting.source);
        format!("{source}: `{key}`: {why}")
    }
}
