//! Reloads of participants.yaml, as they are on record.

use saga_base::secrets;
use saga_core::{digest, time::Timestamp};
use saga_event_store::{EventStore, MAX_NOTE_BYTES, NewNote, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The log of reloads of all engines.
pub(crate) const RELOAD_LOG: &str = "participants-reloads";

/// Bytes of a reason: far less than a note has, also when JSON writes each as several.
const REASON_BYTES: usize = MAX_NOTE_BYTES / 8;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReloadEffect {
    /// It is in effect.
    Changed,
    /// It was refused whole; what was in effect stays.
    Refused,
}

/// A reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReloadRecord {
    /// The engine that read the file.
    pub(crate) engine: String,
    /// SHA-256 of the text that was in effect; `None`: it is not known.
    pub(crate) before: Option<String>,
    /// SHA-256 of the text that was read; `None`: the file could not be read.
    pub(crate) now: Option<String>,
    /// What became of it.
    pub(crate) effect: ReloadEffect,
    /// Why it was refused; empty: it is in effect.
    pub(crate) reason: String,
}

impl ReloadRecord {
    /// Puts the reload on record.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn add(&self, store: &dyn EventStore, at: Timestamp) -> Result<(), StoreError> {
        let body = serde_json::to_string(self).map_err(|error| StoreError::Unusable(error.to_string()))?;
        let note = NewNote { id: Uuid::new_v4(), topic: RELOAD_LOG.to_owned(), body, at_ms: at.0 };
        store.add_note(&note).await.map(drop)
    }
}

/// What an engine remembers of its reloads.
#[derive(Debug)]
pub(super) struct ReloadMemory {
    engine: String,
    in_effect: Option<String>,
    /// The file that was refused last, and why. It is read again as often as its secrets may have changed.
    refused: Option<(Option<String>, String)>,
}

impl ReloadMemory {
    pub(super) fn new(engine: String, in_effect: Option<String>) -> ReloadMemory {
        ReloadMemory { engine, in_effect, refused: None }
    }

    /// The text with this hash is in effect, and something of it is new.
    pub(super) fn changed(&mut self, now: String) -> ReloadRecord {
        let before = self.in_effect.replace(now.clone());
        self.refused = None;
        self.record(before, Some(now), ReloadEffect::Changed, String::new())
    }

    /// The text with this hash says what is in effect.
    pub(super) fn unchanged(&mut self, now: String) {
        self.in_effect = Some(now);
        self.refused = None;
    }

    /// The file was refused; `None`: it was refused for the same reason before.
    pub(super) fn refused(&mut self, now: Option<String>, reason: &str) -> Option<ReloadRecord> {
        let reason = shown(reason);
        let refused = Some((now.clone(), reason.clone()));
        if self.refused == refused {
            return None;
        }
        self.refused = refused;
        Some(self.record(self.in_effect.clone(), now, ReloadEffect::Refused, reason))
    }

    fn record(
        &self,
        before: Option<String>,
        now: Option<String>,
        effect: ReloadEffect,
        reason: String,
    ) -> ReloadRecord {
        ReloadRecord { engine: self.engine.clone(), before, now, effect, reason }
    }
}

/// The text without secrets, as a store takes it.
fn shown(reason: &str) -> String {
    let reason = secrets::covered(reason).replace('\0', "\u{fffd}");
    reason[..reason.floor_char_boundary(REASON_BYTES)].to_owned()
}

/// SHA-256 of a text in hexadecimal, as `sha256sum` prints it.
pub(super) fn hash_of(text: &str) -> String {
    digest::hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> ReloadMemory {
        ReloadMemory::new("engine-1".into(), Some("a".into()))
    }

    #[test]
    fn a_record_names_what_was_in_effect_before() {
        let mut memory = memory();
        let first = memory.changed("b".into());
        assert_eq!((first.before.as_deref(), first.now.as_deref()), (Some("a"), Some("b")));
        memory.unchanged("c".into());
        let refused = memory.refused(Some("d".into()), "it has errors").expect("a record");
        assert_eq!((refused.before.as_deref(), refused.now.as_deref()), (Some("c"), Some("d")));
        assert_eq!((refused.effect, refused.engine.as_str()), (ReloadEffect::Refused, "engine-1"));
        assert_eq!(memory.changed("e".into()).before.as_deref(), Some("c"), "a refused file is not in effect");
    }

    #[test]
    fn a_file_that_is_refused_again_and_again_is_on_record_once() {
        let mut memory = memory();
        assert!(memory.refused(Some("b".into()), "no secret").is_some());
        assert!(memory.refused(Some("b".into()), "no secret").is_none());
        assert!(memory.refused(Some("b".into()), "another reason").is_some());
        assert!(memory.refused(None, "no file").is_some());
        memory.unchanged("a".into());
        assert!(memory.refused(None, "no file").is_some(), "it could be read meanwhile");
    }

    #[test]
    fn a_hash_is_that_of_sha256sum() {
        assert_eq!(&hash_of("abc")[..16], "ba7816bf8f01cfea");
    }

    #[test]
    fn a_long_reason_fits_a_note() {
        let record = memory().refused(None, &"\u{1}\0".repeat(MAX_NOTE_BYTES)).expect("a record");
        assert!(serde_json::to_string(&record).expect("JSON").len() <= MAX_NOTE_BYTES);
        assert!(!record.reason.contains('\0'));
    }
}
