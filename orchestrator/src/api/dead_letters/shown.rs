//! Letters as JSON.

use crate::dead_letters::{CauseView, readable};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use saga_core::{
    definition::SensitivePaths,
    time::{Timestamp, rfc3339},
};
use saga_engine::journal::payloads::{HIDDEN, PayloadDetail};
use saga_engine::letters::{LetterDetail, letter_place};
use saga_event_store::{LetterGroup, StoredLetter, StoredLetterAct};
use saga_wire::{dead_letter::OriginalContent, payload_edit::AvroValue};
use serde::Serialize;
use serde_json::{Value, json};

/// A letter in a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LetterLineView {
    /// `partition/offset`, with the topic before where it is not the usual one.
    pub(crate) place: String,
    pub(crate) number: i64,
    pub(crate) letter: String,
    pub(crate) written_at: String,
    pub(crate) code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saga: Option<String>,
    /// The saga that a reply is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saga_id: Option<String>,
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
    /// `usual`: the usual topic of dead letters.
    pub(crate) fn of(stored: StoredLetter, usual: &str) -> LetterLineView {
        let StoredLetter { number, place, letter, status, change, has_edit } = stored;
        let origin = letter.origin.map(|origin| format!("{}/{}/{}", origin.topic, origin.partition, origin.offset));
        LetterLineView {
            place: letter_place(&place, usual),
            number,
            letter: letter.id,
            written_at: at(letter.written_at_ms),
            code: letter.code,
            origin,
            saga: letter.definition,
            saga_id: letter.stream.map(|stream| stream.to_string()),
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

pub(super) fn detail(detail: LetterDetail, usual: &str, payloads: PayloadDetail, sensitive: &SensitivePaths) -> Value {
    let content = |record: &OriginalContent, avro: Option<&AvroValue>| match payloads {
        PayloadDetail::Hidden => json!(HIDDEN),
        PayloadDetail::Full | PayloadDetail::Short => masked(content(record, avro), sensitive),
    };
    let LetterDetail { letter, found, avro, edit, acts } = detail;
    let mut shown = json!({
        "letter": LetterLineView::of(letter, usual),
        "acts": acts.iter().map(act).collect::<Vec<_>>(),
    });
    match found {
        Ok(found) => {
            shown["original"] = content(&found.original, avro.as_ref());
            shown["writtenBy"] = json!(found.dialect.as_str());
        }
        Err(why) => shown["gone"] = json!(why),
    }
    if let Some((edit, avro)) = edit {
        shown["edit"] = content(&edit, avro.as_ref());
    }
    shown
}

/// The same with masks in its value. A value that cannot be read may have anything in it, and is left out; a masked one
/// has no bytes, so that nobody edits the masks into it.
fn masked(mut content: Value, sensitive: &SensitivePaths) -> Value {
    if sensitive.is_empty() || content["value"].is_null() {
        return content;
    }
    let text = content["value"]["text"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut avro = content["value"].get_mut("avro").and_then(|avro| avro.get_mut("value")).map(Value::take);
    let before = (text.clone(), avro.clone());
    let text = text.map(|mut value| {
        sensitive.mask(&mut value);
        value
    });
    avro.iter_mut().for_each(|value| sensitive.mask(value));
    let is_read = text.is_some() || avro.is_some();
    if is_read && text == before.0 && avro == before.1 {
        if let Some(avro) = avro {
            content["value"]["avro"]["value"] = avro;
        }
        return content;
    }
    let shown = avro.or(text).map_or_else(|| json!(UNREAD), |value| json!(value.to_string()));
    content["value"] = json!({"masked": true, "text": shown});
    content
}

/// The value of a record as text, if masks are in it.
pub(in crate::api) fn masked_text(
    record: &OriginalContent,
    avro: Option<&AvroValue>,
    sensitive: &SensitivePaths,
) -> Option<String> {
    let value = masked(content(record, avro), sensitive)["value"].take();
    (value["masked"] == true).then(|| value["text"].as_str().unwrap_or_default().to_owned())
}

/// What stands for a value that cannot be read.
const UNREAD: &str = "(masked: it cannot be read, and its definition has sensitive values)";

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

/// Bytes in base64, and as text where they are text; a value in Avro also as it is edited.
fn content(content: &OriginalContent, avro: Option<&AvroValue>) -> Value {
    let bytes = |bytes: Option<&[u8]>| match bytes {
        None => Value::Null,
        Some(bytes) => json!({"base64": STANDARD.encode(bytes), "text": readable(bytes)}),
    };
    let header = |(name, value): &(String, Option<_>)| json!({"name": name, "value": bytes(value.as_deref())});
    let mut shown = json!({
        "key": bytes(content.key.as_deref()),
        "value": bytes(content.value.as_deref()),
        "headers": content.headers.iter().map(header).collect::<Vec<_>>(),
    });
    if let Some(avro) = avro {
        shown["value"]["avro"] = avro_shown(avro);
    }
    shown
}

fn avro_shown(avro: &AvroValue) -> Value {
    match avro {
        AvroValue::Read { schema, value } => json!({"schema": schema, "value": value}),
        AvroValue::Unfit { schema, .. } => json!({"schema": schema, "unread": told_of_avro(avro)}),
        AvroValue::NoSchema { .. } => json!({"unread": told_of_avro(avro)}),
    }
}

/// What is said of a value in Avro: by which schema it is, or why it cannot be read and how to mend it all the same.
pub(in crate::api) fn told_of_avro(avro: &AvroValue) -> String {
    match avro {
        AvroValue::Read { schema, .. } => format!("in Avro, by the schema {schema}"),
        AvroValue::Unfit { schema, why } => format!(
            "in Avro, and not what its schema {schema} says: {why}. `saga dlq edit --json FILE` takes the whole value as \
             JSON and encodes it by that schema, `--file FILE` takes its bytes"
        ),
        AvroValue::NoSchema { why } => format!(
            "in Avro, and its schema cannot be had: {why}. `saga dlq edit --file FILE` takes the bytes of another value, \
             `--header` another header"
        ),
    }
}

pub(super) fn groups(groups: &[LetterGroup]) -> Value {
    let all: i64 = groups.iter().map(|group| group.letters).sum();
    let open: i64 = groups.iter().map(|group| group.open).sum();
    json!({"letters": all, "open": open, "groups": CauseView::of_all(groups)})
}

fn at(ms: i64) -> String {
    rfc3339(Timestamp(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::definition;

    fn masked_text(value: &str) -> Value {
        let text = "saga: a\ntrigger: {topic: t, key: \"${ event.id }\"}\nsensitive: [iban]\n\
                    steps:\n  - {step: tell, do: p.Tell, readOnly: true}\n";
        let parsed = definition::parse("a.saga.yaml", text, None, None).expect("a definition");
        let content = json!({"key": null, "value": {"base64": "AAAA", "text": value}, "headers": []});
        masked(content, &parsed.definition.sensitive)["value"].clone()
    }

    #[test]
    fn a_value_with_something_sensitive_has_no_bytes() {
        let shown = masked_text(r#"{"iban": "CANARY", "id": 7}"#);
        assert!(shown["masked"] == true && shown["base64"].is_null() && !shown.to_string().contains("CANARY"));
        assert!(shown["text"].as_str().is_some_and(|text| text.contains("\"id\":7")), "{shown}");
        let unread = masked_text("iban: CANARY");
        assert!(unread["masked"] == true && unread["base64"].is_null(), "{unread}");
        assert_eq!(masked_text(r#"{"id": 7}"#)["base64"], "AAAA", "nothing in it is sensitive");
    }
}
