//! The record of acts in the event store, and what this engine has read of it.

use crate::notes::{
    bookmark::{NoteCursor, NotePage},
    whole_log,
};
use saga_base::{
    clock::EngineClock,
    sync::{MutexGuard, UnpoisonedMutex},
};
use saga_core::time::{Timestamp, from_rfc3339, rfc3339};
use saga_event_store::{EventStore, NewNote, StoredNote};
use saga_resilience::overrides::{GuardAction, OverrideRequest, OverrideState, check_texts};
use saga_resilience::{guard_events::GuardEventKind, registry::GuardRegistry};
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tracing::{info, warn};
use uuid::Uuid;

/// The log's topic in the event store.
const TOPIC: &str = "guards";

/// Between two looks at the record: an act reaches every engine within it, and a look that finds nothing costs one
/// short read of an index.
const EVERY: Duration = Duration::from_secs(2);

/// One act on record.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedOverride {
    /// Its place: 1, 2, 3, …
    pub number: i64,
    /// Its identity: the same id is recorded once.
    pub id: Uuid,
    /// When, RFC 3339, by the clock of the engine that took it.
    pub at: String,
    /// The act as the operator gave it.
    #[serde(flatten)]
    pub act: OverrideRequest,
}

/// Every act on guards that `store` has on record, oldest first. Notes that are no acts are left out.
///
/// # Errors
/// When the store does not answer.
pub async fn on_record(store: &dyn EventStore) -> Result<Vec<RecordedOverride>, saga_event_store::StoreError> {
    let mut all = Vec::new();
    whole_log::each(store, TOPIC, |note| all.extend(read(&note))).await?;
    Ok(all)
}

/// What is in force for a participant, and since which act.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveOverride {
    /// The mode and the limits that are in force together.
    #[serde(flatten)]
    pub given: OverrideState,
    /// When it takes calls again by itself, RFC 3339; `None`: an operator decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The last recorded act that changed the participant's overrides.
    pub by: RecordedOverride,
}

impl ActiveOverride {
    /// The same at a later time: a pause whose time has ended is over.
    fn at(self, now: Timestamp) -> ActiveOverride {
        let is_over = self.until.as_deref().and_then(from_rfc3339).is_some_and(|until| until <= now);
        if is_over { ActiveOverride { given: self.given.after_pause(), until: None, ..self } } else { self }
    }
}

/// The reason why an act was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// No participant of that name is configured.
    #[error("no participant is called `{name}`")]
    NoParticipant {
        /// The name, as the operator gave it.
        name: String,
        /// A suggestion, such as `did you mean …?`; `None` if no name is similar.
        hint: Option<String>,
    },
    /// It cannot be put on record as it is.
    #[error("{0}")]
    Malformed(String),
    /// The store did not take the act.
    #[error(transparent)]
    Store(#[from] saga_event_store::StoreError),
}

/// The record, and the participants whose guards follow it.
#[derive(Debug)]
pub struct OverrideLog {
    store: Arc<dyn EventStore>,
    guarded: Arc<GuardRegistry>,
    /// Held while a page is read and applied, so that acts are applied in their order.
    turn: tokio::sync::Mutex<NoteCursor>,
    in_force: UnpoisonedMutex<BTreeMap<String, ActiveOverride>>,
}

impl OverrideLog {
    /// The record in `store`, of which nothing has been read.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, guarded: Arc<GuardRegistry>) -> OverrideLog {
        OverrideLog { store, guarded, turn: tokio::sync::Mutex::default(), in_force: UnpoisonedMutex::default() }
    }

    /// Reads what is new on record and puts it into effect. When it returns, this engine follows every act that was on
    /// record before. Where the last act that was read is not on record any more, because the store lost it, all is
    /// read anew.
    ///
    /// # Errors
    /// When the store does not answer; what was read by then is in effect.
    pub async fn catch_up(&self) -> Result<(), saga_event_store::StoreError> {
        let mut turn = self.turn.lock().await;
        loop {
            match turn.next(self.store.as_ref(), TOPIC).await? {
                NotePage::Lost => return self.read_anew(&mut turn).await,
                NotePage::New { notes, then, is_last } => {
                    notes.iter().for_each(|note| self.take(note));
                    *turn = then;
                    if is_last {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the store lost was an act like the others: only what is on record holds.
    async fn read_anew(&self, turn: &mut NoteCursor) -> Result<(), saga_event_store::StoreError> {
        warn!(
            "acts on guards are not on record any more: the event store lost them. Those that are hold; do again what \
             is missing"
        );
        let (mut mark, mut in_force, mut is_all) = (NoteCursor::default(), BTreeMap::new(), false);
        while !is_all {
            let NotePage::New { notes, then, is_last } = mark.next(self.store.as_ref(), TOPIC).await? else {
                return Ok(());
            };
            for act in notes.iter().filter_map(read) {
                fold(&mut in_force, act);
            }
            (mark, is_all) = (then, is_last);
        }
        let before = std::mem::replace(&mut *self.all(), in_force);
        let is_gone = |participant: &&String| !self.all().contains_key(*participant);
        for participant in before.keys().filter(is_gone) {
            self.guarded.apply(participant, &OverrideState::default());
        }
        self.reapply();
        *turn = mark;
        Ok(())
    }

    /// Follows the record until the task is aborted. While the store is unavailable, the task calls `missed` and tries
    /// again; what is in force stays.
    pub async fn follow(&self, clock: EngineClock, missed: impl Fn(&saga_event_store::StoreError)) {
        loop {
            // Spread, so that engines that started together do not ask together.
            tokio::time::sleep(EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            if let Err(error) = self.catch_up().await {
                missed(&error);
            }
            self.end_pauses(clock.now());
        }
    }

    /// Lets participants take calls again whose pause has ended by `now`.
    pub fn end_pauses(&self, now: Timestamp) {
        for (participant, active) in self.all().iter_mut() {
            let later = active.clone().at(now);
            if later.until != active.until {
                info!(participant, "the time of a pause has ended: calls are sent again");
                self.guarded.apply(participant, &later.given);
                *active = later;
            }
        }
    }

    /// Puts `act` on record, then into effect here; other engines follow within seconds. Returns its place, and whether
    /// it is in effect here already.
    ///
    /// # Errors
    /// [`OverrideError`]; then it is not on record, unless the store's answer was lost: the same id again is the same
    /// act.
    pub async fn act(&self, id: Uuid, act: &OverrideRequest, at: Timestamp) -> Result<(i64, bool), OverrideError> {
        self.check(act)?;
        let act = &OverrideRequest { origin: act.origin.bounded(), ..act.clone() };
        let body = serde_json::to_string(act).map_err(|error| OverrideError::Malformed(error.to_string()))?;
        let number = self.store.add_note(&NewNote { id, topic: TOPIC.into(), body, at_ms: at.0 }).await?;
        Ok((number.0, self.catch_up().await.is_ok()))
    }

    fn check(&self, act: &OverrideRequest) -> Result<(), OverrideError> {
        check_texts(&act.who, &act.reason).map_err(OverrideError::Malformed)?;
        if act.until.is_some() && act.action != GuardAction::Open {
            return Err(OverrideError::Malformed("only `open` ends by itself".to_owned()));
        }
        if let GuardAction::Set(given) = &act.action {
            given.check().map_err(|error| OverrideError::Malformed(error.to_string()))?;
        }
        let all = self.guarded.names();
        let names = || all.iter().map(String::as_str);
        if names().any(|name| name == act.participant) {
            return Ok(());
        }
        let hint = saga_core::definition::did_you_mean(&act.participant, names());
        Err(OverrideError::NoParticipant { name: act.participant.clone(), hint })
    }

    /// The last `limit` acts, newest first, of one participant or of all. Acts on participants that are not configured
    /// any more are among them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(
        &self,
        participant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RecordedOverride>, saga_event_store::StoreError> {
        let mut last = VecDeque::new();
        let is_wanted = |it: &RecordedOverride| participant.is_none_or(|name| name == it.act.participant);
        whole_log::each(self.store.as_ref(), TOPIC, |note| {
            if let Some(act) = read(&note).filter(is_wanted) {
                last.push_front(act);
                last.truncate(limit);
            }
        })
        .await?;
        Ok(last.into())
    }

    /// What is in force for a participant; `None`: no operator changed anything, or all changes are taken back.
    #[must_use]
    pub fn in_force(&self, participant: &str) -> Option<ActiveOverride> {
        self.all().get(participant).filter(|it| !it.given.is_none()).cloned()
    }

    /// Puts all that is in force into effect once more, for participants that were made anew.
    pub fn reapply(&self) {
        for (participant, in_force) in self.all().iter() {
            self.guarded.apply(participant, &in_force.given);
        }
    }

    fn take(&self, note: &StoredNote) {
        let Some(recorded) = read(note) else { return };
        let participant = recorded.act.participant.clone();
        let given = fold(&mut self.all(), recorded.clone());
        self.guarded.apply(&participant, &given);
        let RecordedOverride { number, act: OverrideRequest { action, who, reason, .. }, .. } = recorded;
        info!(participant, action = action.as_str(), who, reason, "an act on guards is in effect");
        self.guarded.changes().publish(Some(&participant), GuardEventKind::ActApplied { number, action, who, reason });
    }

    /// The overrides that are in force; the map is consistent between any two statements.
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, ActiveOverride>> {
        self.in_force.lock()
    }
}

/// What was in force for the participant before an act and after it, as the acts are gone through in their order.
pub(crate) fn change(
    in_force: &mut BTreeMap<String, ActiveOverride>,
    recorded: &RecordedOverride,
) -> (OverrideState, OverrideState) {
    // A pause that had ended by then was no longer in force.
    let at = from_rfc3339(&recorded.at).unwrap_or_default();
    let before = in_force.get(&recorded.act.participant).cloned().map(|active| active.at(at).given);
    (before.unwrap_or_default(), fold(in_force, recorded.clone()))
}

/// What is in force for its participant after `recorded`.
fn fold(all: &mut BTreeMap<String, ActiveOverride>, recorded: RecordedOverride) -> OverrideState {
    let participant = recorded.act.participant.clone();
    // An act says what changes from its time on, so a pause that had ended by then is over in any process.
    let at = from_rfc3339(&recorded.at).unwrap_or_default();
    let before = all.remove(&participant).map(|active| active.at(at));
    let (given, until) = before.map_or_else(Default::default, |active| (active.given, active.until));
    let given = given.after(&recorded.act.action);
    let until = match &recorded.act.action {
        GuardAction::Open => recorded.act.until.clone(),
        GuardAction::Set(_) => until,
        GuardAction::Close | GuardAction::Reset | GuardAction::MetricsOnly => None,
    };
    all.insert(participant, ActiveOverride { given: given.clone(), until, by: recorded });
    given
}

/// `None`: written by a build that knows more, which the log says.
fn read(note: &StoredNote) -> Option<RecordedOverride> {
    match serde_json::from_str(&note.body) {
        Ok(act) => {
            Some(RecordedOverride { number: note.number.0, id: note.id, at: rfc3339(Timestamp(note.at_ms)), act })
        }
        Err(error) => {
            warn!(number = note.number.0, %error, "an act on guards cannot be read and is left out: a newer build \
             wrote it");
            None
        }
    }
}

#[cfg(test)]
mod tests;
