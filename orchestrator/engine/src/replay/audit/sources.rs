//! Where acts are on record: the index of acts on sagas, the logs of acts on guards, of texts and of reloads, and the
//! log of what engines published.

use super::{
    AuditEntry, AuditRequest, AuditTarget, PARTICIPANTS_FILE,
    place::{AuditPlace, AuditSource},
};
use crate::{
    definition_lookup::{DefinitionTextRecord, RESTORE_LOG, TEXT_LOG},
    definition_pauses::{self, PAUSE_LOG, PauseRecord},
    definition_rollout::recorded::{self, DefinitionChangeKind},
    journal::reading::{self, SagaQuery},
    letters::{PURGE_LOG, PurgeRecord},
    notes::whole_log,
    overrides,
    reload::record::{RELOAD_LOG, ReloadEffect, ReloadRecord},
};
use saga_core::{
    id::SagaId,
    time::{Timestamp, from_rfc3339, rfc3339},
};
use saga_event_store::{
    ActPosition, ActQuery, ActSelection, EventStore, LetterActQuery, MAX_ACTS, StoreError, StoredAct, StoredLetterAct,
    StoredNote,
};
use uuid::Uuid;

/// An act and its place.
#[derive(Clone, Debug)]
pub(super) struct PlacedEntry {
    pub(super) place: AuditPlace,
    pub(super) entry: AuditEntry,
}

impl PlacedEntry {
    pub(super) fn is_wanted(&self, wanted: &AuditRequest) -> bool {
        let AuditRequest { since, who, on, after, limit: _ } = wanted;
        since.is_none_or(|since| self.place.at() >= since)
            && after.as_ref().is_none_or(|after| self.place < *after)
            && who.as_ref().is_none_or(|who| *who == self.entry.who)
            && on.as_ref().is_none_or(|on| is_on(&self.entry.on, on))
    }
}

fn is_on(target: &AuditTarget, on: &str) -> bool {
    match target {
        AuditTarget::Saga { id, key, .. } => id == on || key == on,
        AuditTarget::Participant { name } => name == on,
        AuditTarget::Letter { letter, .. } => letter == on,
        AuditTarget::Letters { .. } => false,
        AuditTarget::Definition { name, definition } => name == on || definition == on,
        AuditTarget::Participants { file, before, now } => {
            file == on || [before, now].into_iter().flatten().any(|hash| hash == on)
        }
    }
}

/// The most sagas of one key that are looked at, the newest ones: a key is taken again only after long.
const MOST_OF_A_KEY: u32 = 200;

/// One more than a page, so that the caller sees whether there are more.
pub(super) async fn on_sagas(store: &dyn EventStore, wanted: &AuditRequest) -> Result<Vec<PlacedEntry>, StoreError> {
    let limit = u32::try_from(wanted.limit).unwrap_or(MAX_ACTS).saturating_add(1);
    let page = |scope| ActQuery {
        scope,
        since_ms: wanted.since.map_or(i64::MIN, |since| since.0),
        before: wanted.after.as_ref().map_or(ActPosition::END, AuditPlace::in_index),
        limit,
    };
    let Some(on) = &wanted.on else {
        let scope = wanted.who.clone().map_or(ActSelection::All, ActSelection::By);
        return Ok(store.acts(&page(scope)).await?.into_iter().map(on_saga).collect());
    };
    let mut found = Vec::new();
    for stream in streams(store, on).await? {
        // The acts on one saga are few, so whose they are is looked at here.
        let query = ActQuery { limit: MAX_ACTS, ..page(ActSelection::On(stream)) };
        found.extend(store.acts(&query).await?.into_iter().map(on_saga));
    }
    Ok(found)
}

/// The sagas with this id or key.
async fn streams(store: &dyn EventStore, on: &str) -> Result<Vec<Uuid>, StoreError> {
    if let Ok(saga) = on.parse::<SagaId>() {
        return Ok(vec![saga.uuid()]);
    }
    let of_key = SagaQuery { key: Some(on.to_owned()), limit: MOST_OF_A_KEY, ..SagaQuery::default() };
    let lines = reading::list(store, &of_key).await?;
    Ok(lines.iter().filter_map(|line| line.id.parse::<SagaId>().ok()).map(SagaId::uuid).collect())
}

fn on_saga(stored: StoredAct) -> PlacedEntry {
    let StoredAct { position: ActPosition { at_ms, stream, version }, key, act } = stored;
    let at = Timestamp(at_ms);
    let id = SagaId::from_uuid(stream).map_or_else(|| stream.to_string(), |saga| saga.to_string());
    let on = AuditTarget::Saga { id, key, version };
    let entry = AuditEntry { at: rfc3339(at), who: act.who, action: act.action, reason: act.reason, on, id: act.id };
    PlacedEntry { place: AuditPlace::new(at, AuditSource::Saga(stream, version)), entry }
}

/// One more than a page, so that the caller sees whether there are more.
pub(super) async fn on_letters(store: &dyn EventStore, wanted: &AuditRequest) -> Result<Vec<PlacedEntry>, StoreError> {
    let query = LetterActQuery {
        who: wanted.who.clone(),
        letter: wanted.on.clone(),
        since_ms: wanted.since.map_or(i64::MIN, |since| since.0),
        before: wanted.after.as_ref().map_or((i64::MAX, i64::MAX), AuditPlace::among_letters),
        limit: u32::try_from(wanted.limit).unwrap_or(MAX_ACTS).saturating_add(1),
    };
    Ok(store.letter_acts(&query).await?.into_iter().map(on_letter).collect())
}

fn on_letter(act: StoredLetterAct) -> PlacedEntry {
    let at = Timestamp(act.at_ms);
    let place = format!("{}/{}/{}", act.place.topic, act.place.partition, act.place.offset);
    let on = AuditTarget::Letter { place, letter: act.letter, result: act.result };
    let entry = AuditEntry { at: rfc3339(at), who: act.who, action: act.action, reason: act.why, on, id: act.id };
    PlacedEntry { place: AuditPlace::new(at, AuditSource::Letter(act.number)), entry }
}

/// Removals of rows of dead letters by operators.
pub(super) async fn purges(
    store: &dyn EventStore,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    log(store, PURGE_LOG, purge, unreadable).await
}

fn purge(note: &StoredNote) -> Option<PlacedEntry> {
    let said: PurgeRecord = serde_json::from_str(&note.body).ok()?;
    let at = Timestamp(note.at_ms);
    let entry = AuditEntry {
        at: rfc3339(at),
        who: said.who,
        action: "purge dead letters".to_owned(),
        reason: said.reason,
        on: AuditTarget::Letters { before: rfc3339(Timestamp(said.ended_before_ms)) },
        id: note.id.to_string(),
    };
    Some(PlacedEntry { place: AuditPlace::new(at, AuditSource::Purge(note.number.0)), entry })
}

pub(super) async fn on_guards(store: &dyn EventStore) -> Result<Vec<PlacedEntry>, StoreError> {
    let acts = overrides::on_record(store).await?.into_iter();
    Ok(acts
        .map(|recorded| {
            let at = from_rfc3339(&recorded.at).unwrap_or_default();
            let entry = AuditEntry {
                at: recorded.at,
                who: recorded.act.who.clone(),
                action: format!("guard {}", recorded.act.action.as_str()),
                reason: recorded.act.reason.clone(),
                on: AuditTarget::Participant { name: recorded.act.participant.clone() },
                id: recorded.id.to_string(),
            };
            PlacedEntry { place: AuditPlace::new(at, AuditSource::Guard(recorded.number)), entry }
        })
        .collect())
}

/// Texts that operators brought to move sagas to them, and texts that they put back.
pub(super) async fn texts(
    store: &dyn EventStore,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    let brought = |note: &StoredNote| text(note, "store definition", AuditSource::Text(note.number.0));
    let put_back = |note: &StoredNote| text(note, "restore definition", AuditSource::Restore(note.number.0));
    let mut found = log(store, TEXT_LOG, brought, unreadable).await?;
    found.extend(log(store, RESTORE_LOG, put_back, unreadable).await?);
    Ok(found)
}

/// Pauses of definitions, and their ends.
pub(super) async fn pauses(
    store: &dyn EventStore,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    log(store, PAUSE_LOG, pause, unreadable).await
}

fn pause(note: &StoredNote) -> Option<PlacedEntry> {
    let PauseRecord { name, definition, action, who, reason } = definition_pauses::read(note)?;
    let on = AuditTarget::Definition { name, definition };
    let entry = of_note(note, &format!("{} definition", action.as_str()), on);
    Some(noted(note, AuditEntry { who, reason, ..entry }, AuditSource::Pause(note.number.0)))
}

/// Reloads of participants.yaml.
pub(super) async fn reloads(
    store: &dyn EventStore,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    log(store, RELOAD_LOG, reload, unreadable).await
}

/// All entries of a log, oldest first.
async fn log(
    store: &dyn EventStore,
    topic: &'static str,
    read: impl Fn(&StoredNote) -> Option<PlacedEntry>,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    let mut found = Vec::new();
    whole_log::each(store, topic, |note| match read(&note) {
        Some(entry) => found.push(entry),
        None => unreadable.push(format!("note {} of {topic}", note.number.0)),
    })
    .await?;
    Ok(found)
}

fn text(note: &StoredNote, action: &str, source: AuditSource) -> Option<PlacedEntry> {
    let DefinitionTextRecord { name, definition, who, reason } = serde_json::from_str(&note.body).ok()?;
    let on = AuditTarget::Definition { name, definition };
    Some(noted(note, AuditEntry { who, reason, ..of_note(note, action, on) }, source))
}

fn reload(note: &StoredNote) -> Option<PlacedEntry> {
    let ReloadRecord { engine, before, now, effect, reason } = serde_json::from_str(&note.body).ok()?;
    let action = match effect {
        ReloadEffect::Changed => "reload participants",
        ReloadEffect::Refused => "refuse participants",
    };
    let on = AuditTarget::Participants { file: PARTICIPANTS_FILE.to_owned(), before, now };
    let entry = AuditEntry { who: engine, reason, ..of_note(note, action, on) };
    Some(noted(note, entry, AuditSource::Reload(note.number.0)))
}

/// The entry of a note, without who and why.
fn of_note(note: &StoredNote, action: &str, on: AuditTarget) -> AuditEntry {
    let (at, id) = (rfc3339(Timestamp(note.at_ms)), note.id.to_string());
    AuditEntry { at, who: String::new(), action: action.to_owned(), reason: String::new(), on, id }
}

fn noted(note: &StoredNote, entry: AuditEntry, source: AuditSource) -> PlacedEntry {
    PlacedEntry { place: AuditPlace::new(Timestamp(note.at_ms), source), entry }
}

/// What engines published and withdrew as they started.
pub(super) async fn deployments(
    store: &dyn EventStore,
    wanted: &AuditRequest,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    let until = wanted.after.as_ref().map(AuditPlace::at);
    // Of one engine or definition, all have to be looked at: a deployment of another one is no part of the page.
    let is_all = wanted.who.is_none() && wanted.on.is_none();
    let most = if is_all { wanted.limit } else { usize::MAX };
    let changes = recorded::changes(store, (wanted.since, until), most, unreadable).await?;
    Ok(changes
        .into_iter()
        .map(|change| {
            let (action, definition) = match change.kind {
                DefinitionChangeKind::Published { hash } => ("publish definition".to_owned(), hash),
                DefinitionChangeKind::Replaced { hash, by } => (format!("publish definition in place of {hash}"), by),
                DefinitionChangeKind::Withdrawn { hash } => ("withdraw definition".to_owned(), hash),
            };
            let place = AuditPlace::new(change.at, AuditSource::Deployment(change.number, change.name.clone()));
            let on = AuditTarget::Definition { name: change.name, definition };
            let (at, id) = (rfc3339(change.at), change.number.to_string());
            PlacedEntry { place, entry: AuditEntry { at, who: change.by, action, reason: String::new(), on, id } }
        })
        .collect())
}
