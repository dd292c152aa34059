//! The row of a record of a topic of dead letters. Pure.

use saga_core::{digest::hex, id::SagaId};
use saga_event_store::{LetterCoordinates, MAX_LETTER_MESSAGE_BYTES, MAX_LETTER_TEXT_BYTES, NewLetter};
use saga_wire::{KafkaRecord, dead_letter::FoundLetter};
use sha2::{Digest, Sha256};

/// What takes the place of a code for records that are no dead letters of a known kind.
const FOREIGN: &str = "foreign";

/// The row of any record. Total: what another program wrote has a row, too.
#[must_use]
pub fn letter_row(record: &KafkaRecord) -> NewLetter {
    match FoundLetter::read(record) {
        Ok(letter) => of_letter(record, &letter),
        Err(unknown) => {
            let message = unknown.to_string();
            NewLetter {
                offset: record.offset,
                id: fitting(&record.coordinates().to_string(), MAX_LETTER_TEXT_BYTES),
                code: FOREIGN.to_owned(),
                origin: None,
                definition: None,
                key: key(record.key.as_deref()),
                fingerprint: fingerprint(FOREIGN, None, None, &message),
                message,
                redrives: 0,
                written_at_ms: record.timestamp.0,
                stream: None,
            }
        }
    }
}

fn of_letter(record: &KafkaRecord, letter: &FoundLetter) -> NewLetter {
    let origin = LetterCoordinates {
        topic: fitting(&letter.origin.topic, MAX_LETTER_TEXT_BYTES),
        partition: letter.origin.partition,
        offset: letter.origin.offset,
    };
    let code = fitting(letter.code.as_str(), MAX_LETTER_TEXT_BYTES);
    let definition = letter.definition.as_deref().map(|name| fitting(name, MAX_LETTER_TEXT_BYTES));
    NewLetter {
        offset: record.offset,
        id: fitting(&letter.id(), MAX_LETTER_TEXT_BYTES),
        fingerprint: fingerprint(&code, definition.as_deref(), Some(&origin.topic), &letter.message),
        code,
        origin: Some(origin),
        definition,
        key: key(letter.original.key.as_deref()),
        message: fitting(&letter.message, MAX_LETTER_MESSAGE_BYTES),
        redrives: letter.redrives,
        written_at_ms: record.timestamp.0,
        stream: letter.saga().map(SagaId::uuid),
    }
}

fn key(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| fitting(&String::from_utf8_lossy(bytes), MAX_LETTER_TEXT_BYTES))
}

/// As much of the text as the store takes.
fn fitting(text: &str, most: usize) -> String {
    let text = text.replace('\0', "\u{fffd}");
    text[..text.floor_char_boundary(most)].to_owned()
}

/// What letters with the same cause have in common: code, definition, topic of the original, and the message without
/// its variable parts, which are quoted values and words with a digit in them.
#[must_use]
pub fn fingerprint(code: &str, definition: Option<&str>, topic: Option<&str>, message: &str) -> String {
    let parts = [code, definition.unwrap_or_default(), topic.unwrap_or_default(), &constant_part(message)];
    hex(&Sha256::digest(parts.join("\0")))[..16].to_owned()
}

fn constant_part(message: &str) -> String {
    let (mut constant, mut word, mut is_quoted) = (String::new(), String::new(), false);
    for sign in message.chars().chain(['\n']) {
        match sign {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            sign if sign.is_alphanumeric() || matches!(sign, '-' | '_' | '.' | ':') => word.push(sign),
            sign => {
                let is_variable = word.contains(|sign: char| sign.is_ascii_digit());
                constant.push_str(if is_variable { "#" } else { &word });
                constant.push(sign);
                word.clear();
            }
        }
    }
    constant
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::time::Timestamp;
    use saga_wire::{
        PoisonCode, PoisonDiagnosis,
        dead_letter::{self, DeadLetterForm},
    };

    fn of(message: &str) -> String {
        fingerprint("key", Some("order"), Some("shop.orders"), message)
    }

    #[test]
    fn letters_of_one_cause_have_one_fingerprint() {
        let one = of("`key` has no value: `id` is \"4711\" at line 1 column 17");
        assert_eq!(one, of("`key` has no value: `id` is \"a b c\" at line 20 column 3"));
        assert_eq!(of("event 0192f-aa1 of 2026-11-30T21:00:00.5Z"), of("event 77 of 2025-01-01T00:00:00Z"));
        assert_eq!(one.len(), 16);
    }

    #[test]
    fn another_code_definition_topic_or_field_is_another_cause() {
        let one = of("`total` is missing");
        assert_ne!(one, of("`price` is missing"));
        assert_ne!(one, fingerprint("when", Some("order"), Some("shop.orders"), "`total` is missing"));
        assert_ne!(one, fingerprint("key", Some("refund"), Some("shop.orders"), "`total` is missing"));
        assert_ne!(one, fingerprint("key", Some("order"), Some("shop.refunds"), "`total` is missing"));
    }

    fn original(key: &'static [u8]) -> KafkaRecord {
        KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1_000),
            key: Some(key.to_vec().into()),
            value: Some(b"{".to_vec().into()),
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_letter_has_a_row_that_the_store_takes() {
        let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "a\0b");
        let form = DeadLetterForm::Whole;
        let topic = "saga.dlq".into();
        let letter = dead_letter::record(&topic, &original(b"\xff\0"), &poison, Some("order"), form, Timestamp(2_000));
        let read = KafkaRecord {
            topic,
            partition: 0,
            offset: 17,
            timestamp: Timestamp(2_001),
            key: letter.key,
            value: letter.value,
            headers: letter.headers,
        };
        let row = letter_row(&read);
        assert_eq!((row.offset, row.id.as_str(), row.code.as_str()), (17, "shop.orders/3/14/order", "not_json"));
        assert_eq!((row.key.as_deref(), row.message.as_str()), (Some("\u{fffd}\u{fffd}"), "a\u{fffd}b"));
        assert_eq!((row.redrives, row.written_at_ms), (0, 2_001));
    }

    #[test]
    fn a_record_of_another_program_has_a_row() {
        let row = letter_row(&original(b"4711"));
        assert_eq!((row.code.as_str(), row.id.as_str(), row.origin), ("foreign", "shop.orders/3/14", None));
        assert!(row.message.contains("saga_dlq_topic"), "{}", row.message);
    }
}
