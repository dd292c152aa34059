//! Letters as JSON.

use crate::dead_letters::readable;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_core::time::{Timestamp, rfc3339};
use saga_engine::letters::LetterDetail;
use saga_event_store::{LetterGroup, StoredLetter, StoredLetterAct};
use saga_wire::dead_letter::OriginalContent;
use serde::Serialize;
use serde_json::{Value, json};

/// A letter in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LetterLineView {
    /// `partition/offset`.
    pub(crate) place: String,
    pub(crate) number: i64,
    pub(crate) letter: String,
    pub(crate) written_at: String,
    pub(crate) code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saga: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) message: String,
    pub(crate) fingerprint: String,
    pub(crate) redrives: u32,
    pub(crate) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<String>,
    pub(crate) edited: bool,
}

impl LetterLineView {
    pub(crate) fn of(stored: StoredLetter) -> LetterLineView {
        let StoredLetter { number, place, letter, status, change, has_edit } = stored;
        let origin = letter.origin.map(|origin| format!("{}/{}/{}", origin.topic, origin.partition, origin.offset));
        LetterLineView {
            place: format!("{}/{}", place.partition, place.offset),
            number,
            letter: letter.id,
            written_at: at(letter.written_at_ms),
            code: letter.code,
            origin,
            saga: letter.definition,
            key: letter.key,
            message: letter.message,
            fingerprint: letter.fingerprint,
            redrives: letter.redrives,
            status: status.as_str(),
            changed_at: change.as_ref().map(|change| at(change.at_ms)),
            who: change.as_ref().map(|change| change.who.clone()),
            why: change.as_ref().map(|change| change.why.clone()),
            result: change.and_then(|change| change.result),
            edited: has_edit,
        }
    }
}

pub(super) fn detail(detail: LetterDetail) -> Value {
    let LetterDetail { letter, found, edit, acts } = detail;
    let mut shown = json!({
        "letter": LetterLineView::of(letter),
        "acts": acts.iter().map(act).collect::<Vec<_>>(),
    });
    match found {
        Ok(found) => {
            shown["original"] = content(&found.original);
            shown["writtenBy"] = json!(found.dialect.as_str());
        }
        Err(why) => shown["gone"] = json!(why),
    }
    if let Some(edit) = edit {
        shown["edit"] = content(&edit);
    }
    shown
}

fn act(act: &StoredLetterAct) -> Value {
    json!({
        "at": at(act.at_ms),
        "who": act.who,
        "action": act.action,
        "reason": act.why,
        "result": act.result,
        "id": act.id,
    })
}

/// Bytes in base64, and as text where they are text.
fn content(content: &OriginalContent) -> Value {
    let bytes = |bytes: Option<&[u8]>| match bytes {
        None => Value::Null,
        Some(bytes) => json!({"base64": STANDARD.encode(bytes), "text": readable(bytes)}),
    };
    let header = |(name, value): &(String, Option<_>)| json!({"name": name, "value": bytes(value.as_deref())});
    json!({
        "key": bytes(content.key.as_deref()),
        "value": bytes(content.value.as_deref()),
        "headers": content.headers.iter().map(header).collect::<Vec<_>>(),
    })
}

pub(super) fn groups(groups: &[LetterGroup]) -> Value {
    let all: i64 = groups.iter().map(|group| group.letters).sum();
    let open: i64 = groups.iter().map(|group| group.open).sum();
    let lines: Vec<Value> = groups.iter().map(|group| line(group, all)).collect();
    json!({"letters": all, "open": open, "groups": lines})
}

fn line(group: &LetterGroup, all: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = if all == 0 { 0.0 } else { (group.letters as f64 / all as f64 * 1000.0).round() / 10.0 };
    json!({
        "fingerprint": group.fingerprint,
        "code": group.code,
        "saga": group.definition,
        "topic": group.origin_topic,
        "message": group.message,
        "letters": group.letters,
        "open": group.open,
        "sharePercent": share,
        "firstAt": at(group.first_ms),
        "lastAt": at(group.last_ms),
        "lastDay": group.recent,
        "dayBefore": group.before,
        "isNew": group.recent > 0 && group.recent == group.letters,
    })
}

fn at(ms: i64) -> String {
    rfc3339(Timestamp(ms))
}
