//! Definitions that start no sagas for now, because an operator says so. The truth is a log of notes in the event
//! store: it is the same for every engine, and after every restart. Running sagas go on.

use crate::notes::bookmark::{NoteCursor, NotePage};
use saga_core::{
    act_author::ActOrigin,
    time::{Timestamp, rfc3339},
};
use saga_event_store::{EventStore, NewNote, StoreError, StoredNote};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;
use tracing::{info, warn};
use uuid::Uuid;

/// The log of pauses.
pub(crate) const PAUSE_LOG: &str = "definition-pauses";

/// Between two looks at the record: an act reaches every engine within it.
const EVERY: Duration = Duration::from_secs(2);

/// What an operator does to a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PauseAction {
    /// It starts no sagas any more.
    Pause,
    /// It starts sagas again.
    Resume,
}

impl PauseAction {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PauseAction::Pause => "pause",
            PauseAction::Resume => "resume",
        }
    }
}

/// An act as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PauseRecord {
    /// Name of the definition.
    pub name: String,
    /// Hash of its text on the engine that took the act; empty: it has no file for it.
    pub definition: String,
    /// What is done.
    pub action: PauseAction,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
    /// From where the act came.
    #[serde(default, skip_serializing_if = "ActOrigin::is_unknown")]
    pub origin: ActOrigin,
}

/// A pause that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionPause {
    /// Since when, RFC 3339, by the clock of the engine that took the act.
    pub since: String,
    /// The operator.
    pub who: String,
    /// The operator's reason.
    pub reason: String,
}

/// Pauses in force, by name of the definition.
pub(crate) type PausedDefinitions = BTreeMap<String, DefinitionPause>;

/// The record of pauses, and what is in force.
#[derive(Debug)]
pub(crate) struct PauseLog {
    store: Arc<dyn EventStore>,
    /// Held while a page is read and applied, so that acts are applied in their order.
    turn: tokio::sync::Mutex<NoteCursor>,
    in_force: watch::Sender<PausedDefinitions>,
}

impl PauseLog {
    pub(crate) fn new(store: Arc<dyn EventStore>) -> PauseLog {
        PauseLog { store, turn: tokio::sync::Mutex::default(), in_force: watch::Sender::default() }
    }

    /// Reads what is new on record. When it returns, this engine follows every act that was on record before. Where the
    /// store lost what was read, only what is on record holds.
    ///
    /// # Errors
    /// When the store does not answer; what was read by then is in force.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        let mut turn = self.turn.lock().await;
        let mut in_force = self.in_force.borrow().clone();
        loop {
            match turn.next(self.store.as_ref(), PAUSE_LOG).await? {
                NotePage::Lost => {
                    warn!("the event store lost pauses of definitions: those that are on record hold");
                    (*turn, in_force) = (NoteCursor::default(), PausedDefinitions::new());
                }
                NotePage::New { notes, then, is_last } => {
                    notes.iter().for_each(|note| fold(&mut in_force, note));
                    *turn = then;
                    if is_last {
                        self.in_force.send_if_modified(|before| {
                            let is_other = *before != in_force;
                            *before = in_force;
                            is_other
                        });
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Follows the record until the task is aborted. While the store is unavailable, what is in force stays.
    pub(crate) async fn follow(&self, missed: impl Fn(&StoreError)) {
        loop {
            // Spread, so that engines that started together do not ask together.
            tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            if let Err(error) = self.catch_up().await {
                missed(&error);
            }
        }
    }

    /// Puts an act on record, then into force here; other engines follow within seconds. The same id again is the same
    /// act. Returns whether it is in force here already.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn act(&self, id: Uuid, act: &PauseRecord, at: Timestamp) -> Result<bool, StoreError> {
        let body = serde_json::to_string(act).map_err(|error| StoreError::Unusable(error.to_string()))?;
        self.store.add_note(&NewNote { id, topic: PAUSE_LOG.to_owned(), body, at_ms: at.0 }).await?;
        Ok(self.catch_up().await.is_ok())
    }

    /// Why the definition starts nothing; `None`: it is not paused.
    pub(crate) fn of(&self, definition: &str) -> Option<DefinitionPause> {
        self.in_force.borrow().get(definition).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_force.borrow().is_empty()
    }

    pub(crate) fn all(&self) -> PausedDefinitions {
        self.in_force.borrow().clone()
    }

    /// For a task that waits for the end of a pause.
    pub(crate) fn changes(&self) -> watch::Receiver<PausedDefinitions> {
        self.in_force.subscribe()
    }
}

/// The act of a note; `None`: a build that knows more wrote it.
pub(crate) fn read(note: &StoredNote) -> Option<PauseRecord> {
    serde_json::from_str(&note.body).ok()
}

fn fold(in_force: &mut PausedDefinitions, note: &StoredNote) {
    let Some(PauseRecord { name, definition: _, action, who, reason, origin: _ }) = read(note) else {
        return warn!(
            number = note.number.0,
            "a pause of a definition cannot be read and is left out: a newer build wrote it"
        );
    };
    info!(definition = name, action = action.as_str(), who, reason, "an act on a definition is in effect");
    match action {
        PauseAction::Pause => {
            in_force.insert(name, DefinitionPause { since: rfc3339(Timestamp(note.at_ms)), who, reason });
        }
        PauseAction::Resume => drop(in_force.remove(&name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::NoteNumber;

    fn note(number: i64, action: PauseAction) -> StoredNote {
        let act = PauseRecord {
            name: "order".into(),
            definition: "53ac".into(),
            action,
            who: "ada".into(),
            reason: "a bad release".into(),
            origin: ActOrigin::default(),
        };
        let body = serde_json::to_string(&act).expect("texts are JSON");
        StoredNote { number: NoteNumber(number), id: Uuid::from_u128(1), body, at_ms: 5 }
    }

    #[test]
    fn the_last_act_on_a_definition_holds() {
        let mut in_force = PausedDefinitions::new();
        fold(&mut in_force, &note(1, PauseAction::Pause));
        let pause = in_force.get("order").expect("it is paused");
        assert_eq!((pause.who.as_str(), pause.since.as_str()), ("ada", rfc3339(Timestamp(5)).as_str()));
        fold(&mut in_force, &note(2, PauseAction::Resume));
        assert!(in_force.is_empty());
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let mut in_force = PausedDefinitions::new();
        fold(&mut in_force, &note(1, PauseAction::Pause));
        fold(
            &mut in_force,
            &StoredNote { body: r#"{"name": "order", "action": "drain"}"#.into(), ..note(2, PauseAction::Resume) },
        );
        assert!(in_force.contains_key("order"));
    }
}
