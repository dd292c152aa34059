//! Where acts are on record: the index of acts on sagas, the logs of acts on guards, of texts and of reloads, and the
//! log of what engines published.

use super::{
    AuditEntry, AuditRequest, AuditTarget, PARTICIPANTS_FILE,
    place::{AuditPlace, AuditSource},
};
use crate::{
    act_log::{ACT_LOG, PartAct},
    definition_lookup::{DefinitionTextRecord, RESTORE_LOG, TEXT_LOG},
    definition_pauses::{self, PAUSE_LOG, PauseAction, PauseRecord},
    definition_rollout::recorded::{self, DefinitionChangeKind},
    journal::reading::{self, SagaQuery},
    letters::{PURGE_LOG, PurgeRecord},
    notes::whole_log,
    overrides,
    reload::record::{RELOAD_LOG, ReloadEffect, ReloadRecord},
};
use saga_core::{
    act_author::ActOrigin,
    id::SagaId,
    time::{Timestamp, from_rfc3339, rfc3339},
};
use saga_event_store::{
    ActPosition, ActQuery, ActSelection, ActSource, EventStore, LetterActQuery, MAX_ACTS, StoreError, StoredAct,
    StoredLetterAct, StoredNote,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An act and its place.
#[derive(Clone, Debug)]
pub(super) struct PlacedEntry {
    pub(super) place: AuditPlace,
    pub(super) entry: AuditEntry,
}

impl PlacedEntry {
    pub(super) fn is_wanted(&self, wanted: &AuditRequest) -> bool {
        let AuditRequest { since, until, who, on, action, after, limit: _ } = wanted;
        since.is_none_or(|since| self.place.at() >= since)
            && until.is_none_or(|until| self.place.at() < until)
            && action.as_ref().is_none_or(|action| is_action(&self.entry.action, action))
            && after.as_ref().is_none_or(|after| self.place < *after)
            && who.as_ref().is_none_or(|who| *who == self.entry.who)
            && on.as_ref().is_none_or(|on| is_on(&self.entry.on, on))
    }
}

/// As the store compares it.
fn is_action(found: &str, wanted: &str) -> bool {
    found.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn is_on(target: &AuditTarget, on: &str) -> bool {
    match target {
        AuditTarget::Saga { id, key, .. } => id == on || key == on,
        AuditTarget::Participant { name } => name == on,
        AuditTarget::Letter { letter, .. } => letter == on,
        AuditTarget::Letters { .. } => false,
        AuditTarget::Part { name, .. } => name == on,
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
        before: wanted.after.as_ref().map_or(ActPosition::END, AuditPlace::in_index).min(before(wanted)),
        action: wanted.action.clone().unwrap_or_default(),
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

/// Acts on sagas at the end of the time that is asked for or later are not before this.
fn before(wanted: &AuditRequest) -> ActPosition {
    wanted.until.map_or(ActPosition::END, |until| ActPosition { at_ms: until.0, stream: Uuid::nil(), version: 0 })
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
    let (origin, before, after) = (origin(act.source), standing(act.before), standing(act.after));
    let (who, action, reason, id) = (act.who, act.action, act.reason, act.id);
    let entry = AuditEntry { at: rfc3339(at), who, action, reason, on, id, origin, before, after };
    PlacedEntry { place: AuditPlace::new(at, AuditSource::Saga(stream, version)), entry }
}

fn origin(source: ActSource) -> ActOrigin {
    let ActSource { subject, token, address, request } = source;
    ActOrigin { subject, token, address, request }
}

/// What the store has as text. A text that is no JSON is shown as it is.
fn standing(text: Option<String>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// One more than a page, so that the caller sees whether there are more.
pub(super) async fn on_letters(store: &dyn EventStore, wanted: &AuditRequest) -> Result<Vec<PlacedEntry>, StoreError> {
    let query = LetterActQuery {
        who: wanted.who.clone(),
        letter: wanted.on.clone(),
        since_ms: wanted.since.map_or(i64::MIN, |since| since.0),
        before: wanted
            .after
            .as_ref()
            .map_or((i64::MAX, i64::MAX), AuditPlace::among_letters)
            .min(wanted.until.map_or((i64::MAX, i64::MAX), |until| (until.0, 0))),
        action: wanted.action.clone().unwrap_or_default(),
        limit: u32::try_from(wanted.limit).unwrap_or(MAX_ACTS).saturating_add(1),
    };
    Ok(store.letter_acts(&query).await?.into_iter().map(on_letter).collect())
}

fn on_letter(act: StoredLetterAct) -> PlacedEntry {
    let at = Timestamp(act.at_ms);
    let place = format!("{}/{}/{}", act.place.topic, act.place.partition, act.place.offset);
    let on = AuditTarget::Letter { place, letter: act.letter, result: act.result };
    let (origin, before, after) = (origin(act.source), standing(act.before), standing(act.after));
    let (who, action, reason, id) = (act.who, act.action, act.why, act.id);
    let entry = AuditEntry { at: rfc3339(at), who, action, reason, on, id, origin, before, after };
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
        origin: said.origin,
        before: Value::Null,
        after: Value::Null,
    };
    Some(PlacedEntry { place: AuditPlace::new(at, AuditSource::Purge(note.number.0)), entry })
}

pub(super) async fn on_guards(store: &dyn EventStore) -> Result<Vec<PlacedEntry>, StoreError> {
    let acts = overrides::on_record(store).await?.into_iter();
    let mut in_force = BTreeMap::new();
    Ok(acts
        .map(|recorded| {
            let (before, after) = overrides::change(&mut in_force, &recorded);
            let at = from_rfc3339(&recorded.at).unwrap_or_default();
            let entry = AuditEntry {
                at: recorded.at,
                who: recorded.act.who.clone(),
                action: format!("guard {}", recorded.act.action.as_str()),
                reason: recorded.act.reason.clone(),
                on: AuditTarget::Participant { name: recorded.act.participant.clone() },
                id: recorded.id.to_string(),
                origin: recorded.act.origin,
                before: json!(before),
                after: json!(after),
            };
            PlacedEntry { place: AuditPlace::new(at, AuditSource::Guard(recorded.number)), entry }
        })
        .collect())
}

/// Acts on what is no saga, participant, definition or dead letter.
pub(super) async fn on_parts(
    store: &dyn EventStore,
    unreadable: &mut Vec<String>,
) -> Result<Vec<PlacedEntry>, StoreError> {
    log(store, ACT_LOG, on_part, unreadable).await
}

fn on_part(note: &StoredNote) -> Option<PlacedEntry> {
    let PartAct { who, reason, action, kind, name, origin, before, after } = serde_json::from_str(&note.body).ok()?;
    let on = AuditTarget::Part { kind, name };
    let entry = AuditEntry { who, reason, origin, before, after, ..of_note(note, &action, on) };
    Some(noted(note, entry, AuditSource::Part(note.number.0)))
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
    let PauseRecord { name, definition, action, who, reason, origin } = definition_pauses::read(note)?;
    let on = AuditTarget::Definition { name, definition };
    let after = json!({"starts": match action {
        PauseAction::Pause => "paused",
        PauseAction::Resume => "started",
    }});
    let entry = of_note(note, &format!("{} definition", action.as_str()), on);
    Some(noted(note, AuditEntry { who, reason, origin, after, ..entry }, AuditSource::Pause(note.number.0)))
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
    let DefinitionTextRecord { name, definition, who, reason, origin, before } =
        serde_json::from_str(&note.body).ok()?;
    let (before, after) = (json!(before), json!(definition));
    let on = AuditTarget::Definition { name, definition };
    Some(noted(note, AuditEntry { who, reason, origin, before, after, ..of_note(note, action, on) }, source))
}

fn reload(note: &StoredNote) -> Option<PlacedEntry> {
    let ReloadRecord { engine, before, now, effect, reason } = serde_json::from_str(&note.body).ok()?;
    let action = match effect {
        ReloadEffect::Changed => "reload participants",
        ReloadEffect::Refused => "refuse participants",
    };
    let (hash_before, hash_after) = (json!(before), json!(now));
    let on = AuditTarget::Participants { file: PARTICIPANTS_FILE.to_owned(), before, now };
    let entry = AuditEntry { who: engine, reason, before: hash_before, after: hash_after, ..of_note(note, action, on) };
    Some(noted(note, entry, AuditSource::Reload(note.number.0)))
}

/// The entry of a note, without who and why.
fn of_note(note: &StoredNote, action: &str, on: AuditTarget) -> AuditEntry {
    let (at, id) = (rfc3339(Timestamp(note.at_ms)), note.id.to_string());
    AuditEntry {
        at,
        who: String::new(),
        action: action.to_owned(),
        reason: String::new(),
        on,
        id,
        origin: ActOrigin::default(),
        before: Value::Null,
        after: Value::Null,
    }
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
            let (action, definition, before, after) = match change.kind {
                DefinitionChangeKind::Published { hash } => {
                    ("publish definition".to_owned(), hash.clone(), Value::Null, json!(hash))
                }
                DefinitionChangeKind::Replaced { hash, by } => {
                    (format!("publish definition in place of {hash}"), by.clone(), json!(hash), json!(by))
                }
                DefinitionChangeKind::Withdrawn { hash } => {
                    ("withdraw definition".to_owned(), hash.clone(), json!(hash), Value::Null)
                }
            };
            let place = AuditPlace::new(change.at, AuditSource::Deployment(change.number, change.name.clone()));
            let on = AuditTarget::Definition { name: change.name, definition };
            let (at, id) = (rfc3339(change.at), change.number.to_string());
            let (who, reason, origin) = (change.by, String::new(), ActOrigin::default());
            PlacedEntry { place, entry: AuditEntry { at, who, action, reason, on, id, origin, before, after } }
        })
        .collect())
}
