//! Who did what, to which saga, participant or definition, and why: operators' acts, and what deployments changed.
//!
//! The event store has an index of the acts on sagas, so a page costs a page, whatever the number of sagas. The other
//! sources are logs of a few entries for each deployment, act on guards and text.

mod chain;
mod place;
mod sources;

use crate::act_log::ActedPart;
use saga_core::{act_author::ActOrigin, time::Timestamp};
use saga_event_store::{EventStore, StoreError};
use serde::Serialize;
use serde_json::Value;
use sources::PlacedEntry;
use std::{cmp::Reverse, sync::Arc};

pub use chain::{AuditChain, AuditChainCheck, AuditChainError};
pub use place::{AuditPlace, AuditPlaceError};

/// What a reload is on, whatever the path of the file.
const PARTICIPANTS_FILE: &str = "participants.yaml";

/// Which acts are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditRequest {
    /// Acts at this time or later; `None`: of all times.
    pub since: Option<Timestamp>,
    /// Acts of this operator, or of the engine of this name.
    pub who: Option<String>,
    /// Acts on the sagas with this id or key, on the dead letter with this id, on the participant of this name, on the
    /// definition of this name or hash, or on `participants.yaml` or its text with this hash.
    pub on: Option<String>,
    /// Acts before this time; `None`: until now.
    pub until: Option<Timestamp>,
    /// Acts whose text is this, or begins with it and a space: `retry` also finds `retry charge`.
    pub action: Option<String>,
    /// Only acts older than the one at this place; `None`: the newest.
    pub after: Option<AuditPlace>,
    /// At most so many.
    pub limit: usize,
}

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When it was recorded; RFC 3339, UTC.
    pub at: String,
    /// The operator, as the act names them; of a deployment or a reload the engine that has the files.
    pub who: String,
    /// What was done: the act, and the step or the limits that it names.
    pub action: String,
    /// The operator's reason, or why an engine refused a file; empty for a deployment.
    pub reason: String,
    /// What it was done to.
    pub on: AuditTarget,
    /// Id of the act; of a deployment its number.
    pub id: String,
    /// From where the act came: what the login proved, the caller's address and the request.
    #[serde(skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
    /// How what it was done to stood before, as far as it is on record.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// How it stood after it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
}

impl AuditEntry {
    /// What changed, in words for people; empty: it is not on record.
    #[must_use]
    pub fn change_told(&self) -> String {
        match (told(&self.before), told(&self.after)) {
            (None, None) => String::new(),
            (before, after) => format!("{} → {}", before.as_deref().unwrap_or("-"), after.as_deref().unwrap_or("-")),
        }
    }

    /// From where it came, in words for people; empty: it is not on record.
    #[must_use]
    pub fn origin_told(&self) -> String {
        let ActOrigin { subject: _, token, address, request: _ } = &self.origin;
        [token, address].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Digits of a hash that people tell apart.
const HASH_SHOWN: usize = 12;

fn told(standing: &Value) -> Option<String> {
    match standing {
        Value::Null => None,
        Value::String(text) => Some(shortened(text).to_owned()),
        Value::Object(fields) => {
            let word = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("status" | "step" | "mode", Value::String(text)) => text.clone(),
                ("erased", Value::Bool(true)) => "erased".to_owned(),
                (name, Value::String(text)) => format!("{name} {}", shortened(text)),
                (name, other) => format!("{name} {other}"),
            };
            // The status comes first, whatever the order of names.
            let (first, rest): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "status");
            Some(first.into_iter().chain(rest).map(word).collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

fn shortened(text: &str) -> &str {
    let is_hash = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hash { &text[..HASH_SHOWN] } else { text }
}

/// What an act was done to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AuditTarget {
    /// A saga.
    Saga {
        /// Its id.
        id: String,
        /// Its business key.
        key: String,
        /// Version of the row that records the act.
        version: u32,
    },
    /// The guards of a participant.
    Participant {
        /// Its name in participants.yaml.
        name: String,
    },
    /// The participants of an engine.
    Participants {
        /// `participants.yaml`.
        file: String,
        /// SHA-256 of the text that was in effect before; `None`: it is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// SHA-256 of the text that the engine read; `None`: it could not read the file.
        #[serde(skip_serializing_if = "Option::is_none")]
        now: Option<String>,
    },
    /// A dead letter.
    Letter {
        /// Where it is in the topic of dead letters: `partition/offset`.
        place: String,
        /// Its id: `topic/partition/offset` of the original, and the definition.
        letter: String,
        /// What came of the act.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// A part of the installation that has no saga, participant or definition.
    Part {
        /// What it is.
        kind: ActedPart,
        /// Its name or id.
        name: String,
    },
    /// The rows of dead letters.
    Letters {
        /// Those that ended before this time.
        before: String,
    },
    /// A definition.
    Definition {
        /// Its name.
        name: String,
        /// Hash of the text that it has from then on, or had, where it was withdrawn.
        definition: String,
    },
}

impl AuditTarget {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            AuditTarget::Saga { key, .. } => key,
            AuditTarget::Participants { file, .. } => file,
            AuditTarget::Letter { letter, .. } => letter,
            AuditTarget::Letters { before } => before,
            AuditTarget::Participant { name }
            | AuditTarget::Definition { name, .. }
            | AuditTarget::Part { name, .. } => name,
        }
    }
}

/// A page of acts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// The acts, newest first.
    pub entries: Vec<AuditEntry>,
    /// The place of the last one, if there are older ones.
    pub next: Option<AuditPlace>,
    /// Records that could not be read: what they say is missing.
    pub unreadable: Vec<String>,
}

/// A page of what was done, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn audit(store: Arc<dyn EventStore>, wanted: &AuditRequest) -> Result<AuditReport, StoreError> {
    let mut unreadable = Vec::new();
    let mut found = sources::on_sagas(store.as_ref(), wanted).await?;
    found.extend(sources::on_letters(store.as_ref(), wanted).await?);
    found.extend(sources::purges(store.as_ref(), &mut unreadable).await?);
    found.extend(sources::on_guards(store.as_ref()).await?);
    found.extend(sources::on_parts(store.as_ref(), &mut unreadable).await?);
    found.extend(sources::texts(store.as_ref(), &mut unreadable).await?);
    found.extend(sources::pauses(store.as_ref(), &mut unreadable).await?);
    found.extend(sources::reloads(store.as_ref(), &mut unreadable).await?);
    found.extend(sources::deployments(store.as_ref(), wanted, &mut unreadable).await?);
    found.retain(|it| it.is_wanted(wanted));
    found.sort_unstable_by(|one, other| Reverse(&one.place).cmp(&Reverse(&other.place)));
    let has_more = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    let next = found.last().filter(|_| has_more).map(|it: &PlacedEntry| it.place.clone());
    Ok(AuditReport { entries: found.into_iter().map(|it| it.entry).collect(), next, unreadable })
}
