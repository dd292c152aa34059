//! Acts of people that no other record has: on jobs, projections, the list of sagas, archives, topics.
//!
//! An act is on record before it has an effect: an effect without a record cannot be. If the process ends in between,
//! the record says what was asked for, and the act can be repeated.

use saga_core::{
    act_author::{ActAuthor, ActOrigin},
    time::Timestamp,
};
use saga_event_store::{EventStore, NewNote, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The log's topic in the event store.
pub(crate) const ACT_LOG: &str = "operator-acts";

/// Bytes of a text in a record: several of them fit a note, also when JSON writes each as several.
const TEXT_BYTES: usize = 2_000;

/// What an act was done to that is no saga, participant, definition or dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActedPart {
    /// A job on sagas.
    Job,
    /// A job on dead letters.
    LetterJob,
    /// A projection.
    Projection,
    /// The list of sagas.
    SagaList,
    /// The configuration of participants.
    Participants,
    /// The archives of sagas that have ended.
    Archives,
    /// A topic of Kafka.
    Topic,
    /// A session of a browser.
    Session,
    /// The content of a saga or of a dead letter, which somebody saw.
    Content,
}

impl ActedPart {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ActedPart::Job => "job",
            ActedPart::LetterJob => "job on dead letters",
            ActedPart::Projection => "projection",
            ActedPart::SagaList => "list of sagas",
            ActedPart::Participants => "participants",
            ActedPart::Archives => "archives",
            ActedPart::Topic => "topic",
            ActedPart::Session => "session",
            ActedPart::Content => "content",
        }
    }
}

/// An act as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartAct {
    /// The operator.
    pub who: String,
    /// The operator's reason; empty: none was given.
    pub reason: String,
    /// What was done, in words.
    pub action: String,
    /// What kind of part it was done to.
    pub kind: ActedPart,
    /// The name or id of that part.
    pub name: String,
    /// From where the act came.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
    /// How the part stood before; null: it is not known.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// How it stands after.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
}

impl PartAct {
    /// An act of which nothing is known but this.
    #[must_use]
    pub fn new(by: &ActAuthor, action: &str, kind: ActedPart, name: &str) -> PartAct {
        let text = |text: &str| {
            let text = text.replace('\0', "\u{fffd}");
            text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()
        };
        PartAct {
            who: text(&by.who),
            reason: text(&by.reason),
            action: text(action),
            kind,
            name: text(name),
            origin: by.origin.bounded(),
            before: Value::Null,
            after: Value::Null,
        }
    }

    /// Puts the act on record. Its effect comes after.
    ///
    /// # Errors
    /// When the store does not answer: then the act is not done.
    pub async fn record(&self, store: &dyn EventStore, at: Timestamp) -> Result<Uuid, StoreError> {
        let id = Uuid::new_v4();
        let body = serde_json::to_string(self).map_err(|error| StoreError::Unusable(error.to_string()))?;
        store.add_note(&NewNote { id, topic: ACT_LOG.to_owned(), body, at_ms: at.0 }).await?;
        Ok(id)
    }
}
