//! The record for the DLQ: the poison record itself, byte for byte, and where it came from and why.

mod dialects;
mod reading;

pub use dialects::AddedDialects;
pub use reading::{FoundLetter, LetterCode, LetterDialect, LetterOrigin, OriginalContent, UnknownLetter};

use super::{
    payload::LARGEST_RECORD,
    poison::PoisonDiagnosis,
    record::{KafkaRecord, OutgoingRecord, RecordCoordinates, RecordHeader, headers_size, text_header},
};
use bytes::Bytes;
use saga_core::digest::hex;
use saga_core::time::{Timestamp, rfc3339};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes of the diagnosis that go into a header.
const MESSAGE_BYTES: usize = 1024;

/// Bytes of key and headers that stay with a record that becomes a pointer: an operator finds the record by them.
pub const POINTER_CONTEXT: usize = 64 * 1024;

/// How much of a record its DLQ record holds. Each form is smaller than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadLetterForm {
    /// Key, value and headers, byte-equal.
    Whole,
    /// The value says where the record is, how large, and its SHA-256. Key and headers stay up to [`POINTER_CONTEXT`].
    Pointer,
    /// The same without the record's headers.
    PointerWithoutHeaders,
    /// The same without its key, too: the key is what names the dead letter, `saga_dlq_id`.
    PointerAlone,
}

impl DeadLetterForm {
    /// The form that `record` is written in first, with the headers `added` beside the engine's own: above 1 MiB a
    /// pointer to it.
    #[must_use]
    pub fn of(record: &KafkaRecord, added: &[RecordHeader]) -> DeadLetterForm {
        let size = record.size() + headers_size(added);
        if size <= LARGEST_RECORD {
            return DeadLetterForm::Whole;
        }
        let context = size - record.value.as_ref().map_or(0, Bytes::len);
        if context <= POINTER_CONTEXT { DeadLetterForm::Pointer } else { DeadLetterForm::PointerAlone }
    }

    /// What to write where the DLQ refuses this form; `None`: there is no smaller one.
    #[must_use]
    pub fn smaller(self) -> Option<DeadLetterForm> {
        match self {
            DeadLetterForm::Whole => Some(DeadLetterForm::Pointer),
            DeadLetterForm::Pointer => Some(DeadLetterForm::PointerWithoutHeaders),
            DeadLetterForm::PointerWithoutHeaders => Some(DeadLetterForm::PointerAlone),
            DeadLetterForm::PointerAlone => None,
        }
    }

    /// The form whose letters leave out what the header `saga_dlq_left_out` says.
    fn leaving_out(left_out: Option<&str>) -> Option<DeadLetterForm> {
        const ALL: [DeadLetterForm; 4] = [
            DeadLetterForm::Whole,
            DeadLetterForm::Pointer,
            DeadLetterForm::PointerWithoutHeaders,
            DeadLetterForm::PointerAlone,
        ];
        ALL.into_iter().find(|form| form.left_out() == left_out)
    }

    /// What of the record it leaves out, for the header `saga_dlq_left_out`.
    fn left_out(self) -> Option<&'static str> {
        match self {
            DeadLetterForm::Whole => None,
            DeadLetterForm::Pointer => Some("value"),
            DeadLetterForm::PointerWithoutHeaders => Some("value,headers"),
            DeadLetterForm::PointerAlone => Some("value,headers,key"),
        }
    }
}

/// The DLQ record of `record` in `form`; `saga_dlq_*` headers follow its own. `definition` names the definition that
/// cannot process it; `None`: no definition can.
#[must_use]
pub fn record(
    topic: &Arc<str>,
    record: &KafkaRecord,
    poison: &PoisonDiagnosis,
    definition: Option<&str>,
    form: DeadLetterForm,
    now: Timestamp,
) -> OutgoingRecord {
    let key = match form {
        DeadLetterForm::Whole | DeadLetterForm::Pointer | DeadLetterForm::PointerWithoutHeaders => record.key.clone(),
        DeadLetterForm::PointerAlone => Some(Bytes::from(id(&record.coordinates(), definition))),
    };
    let redrives = redrives(&record.headers);
    let own = &record.headers[..record.headers.len() - usize::from(redrives.is_some())];
    let (value, mut headers) = match form {
        DeadLetterForm::Whole => (record.value.clone(), own.to_vec()),
        DeadLetterForm::Pointer => (Some(place(record)), own.to_vec()),
        DeadLetterForm::PointerWithoutHeaders | DeadLetterForm::PointerAlone => (Some(place(record)), Vec::new()),
    };
    headers.extend(provenance(record, poison, definition, now));
    headers.extend(redrives.map(|number| text_header(REDRIVES, number.to_string())));
    if let Some(left_out) = form.left_out() {
        headers.push(text_header("saga_dlq_pointer", "true"));
        headers.push(text_header("saga_dlq_left_out", left_out));
    }
    OutgoingRecord { topic: topic.clone(), partition: None, key, value, headers }
}

/// The header with which a record is brought back: how often that was done. It is no header of the original.
const REDRIVES: &str = "saga_dlq_redrives";

/// The record as it is brought back for the time of this number.
#[must_use]
pub fn with_redrives(mut record: KafkaRecord, number: u32) -> KafkaRecord {
    record.headers.push(text_header(REDRIVES, number.to_string()));
    record
}

/// How often a record was brought back: only the last header counts, which is the one that [`with_redrives`] adds.
fn redrives(headers: &[RecordHeader]) -> Option<u32> {
    let (name, value) = headers.last()?;
    let value = value.as_deref().filter(|_| name == REDRIVES)?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// What a record is that cannot be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordPast {
    /// It was no dead letter before.
    Fresh,
    /// Somebody produced a dead letter again, with its headers: the record without them, counted as brought back once
    /// more.
    Again(Box<KafkaRecord>),
    /// The same, [`MOST_REDRIVES`] times: whoever does that would go on for ever.
    TooOften,
}

/// How often one record is brought back at most: what fails so often needs a person, not another try.
pub const MOST_REDRIVES: u32 = 20;

impl RecordPast {
    /// By the headers of `record`. One that only looks like a letter is fresh: nothing of it is known.
    #[must_use]
    pub fn of(record: &KafkaRecord) -> RecordPast {
        let letter = FoundLetter::read(record).ok().filter(|found| found.dialect == LetterDialect::Saga);
        let Some(letter) = letter else { return RecordPast::Fresh };
        if letter.redrives >= MOST_REDRIVES {
            return RecordPast::TooOften;
        }
        let plain = KafkaRecord { headers: letter.original.headers, ..record.clone() };
        RecordPast::Again(Box::new(with_redrives(plain, letter.redrives + 1)))
    }
}

fn place(record: &KafkaRecord) -> Bytes {
    let value = record.value.as_deref().unwrap_or_default();
    let place = json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "size": value.len(),
        "sha256": hex(&Sha256::digest(value)),
    });
    Bytes::from(place.to_string())
}

/// Identity of a dead-lettered record: `topic/partition/offset/definition`. The same record of the same definition has
/// it again when it is dead-lettered twice.
fn id(coordinates: &RecordCoordinates, definition: Option<&str>) -> String {
    match definition {
        Some(name) => format!("{coordinates}/{name}"),
        None => coordinates.to_string(),
    }
}

fn provenance(
    record: &KafkaRecord,
    poison: &PoisonDiagnosis,
    definition: Option<&str>,
    now: Timestamp,
) -> [RecordHeader; 8] {
    let message = dialects::message(poison);
    [
        text_header("saga_dlq_topic", &*record.topic),
        text_header("saga_dlq_partition", record.partition.to_string()),
        text_header("saga_dlq_offset", record.offset.to_string()),
        text_header("saga_dlq_timestamp", record.timestamp.0.to_string()),
        text_header("saga_dlq_code", poison.code.as_str()),
        text_header("saga_dlq_message", message),
        text_header("saga_dlq_time", rfc3339(now)),
        text_header("saga_dlq_id", id(&record.coordinates(), definition)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poison::PoisonCode;

    fn poison_record(value: Option<Bytes>) -> KafkaRecord {
        KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1_700_000_000_000),
            key: None,
            value,
            headers: vec![
                text_header("a", "1"),
                ("a".into(), None),
                ("b".into(), Some(Bytes::from_static(&[0xff, 0]))),
            ],
        }
    }

    fn dead_letter(record: &KafkaRecord) -> OutgoingRecord {
        let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "expected value at line 1");
        in_form(record, &poison, DeadLetterForm::of(record, &[]))
    }

    fn in_form(record: &KafkaRecord, poison: &PoisonDiagnosis, form: DeadLetterForm) -> OutgoingRecord {
        let now = Timestamp(1_700_000_001_000);
        super::record(&"saga.dlq".into(), record, poison, Some("order-fulfillment"), form, now)
    }

    #[test]
    fn key_value_and_headers_are_byte_equal_and_provenance_follows() {
        for value in [None, Some(Bytes::new()), Some(Bytes::from_static(&[0, 0xff, b'{']))] {
            let record = poison_record(value);
            let dead = dead_letter(&record);
            assert_eq!((&dead.key, &dead.value), (&record.key, &record.value));
            assert_eq!(dead.headers[..3], record.headers[..]);
            let shown: Vec<_> = ["topic", "partition", "offset", "timestamp", "code", "message", "time", "id"]
                .iter()
                .map(|name| dead.header_text(&format!("saga_dlq_{name}")).expect("present"))
                .collect();
            assert_eq!(
                shown,
                [
                    "shop.orders",
                    "3",
                    "14",
                    "1700000000000",
                    "not_json",
                    "expected value at line 1",
                    "2023-11-14T22:13:21.000Z",
                    "shop.orders/3/14/order-fulfillment"
                ]
            );
        }
    }

    #[test]
    fn a_record_above_one_mebibyte_becomes_a_pointer() {
        let record = poison_record(Some(Bytes::from(vec![b'x'; LARGEST_RECORD + 1])));
        let dead = dead_letter(&record);
        let place: serde_json::Value = serde_json::from_slice(dead.value.as_deref().expect("a value")).expect("JSON");
        assert_eq!((&place["offset"], &place["size"]), (&json!(14), &json!(LARGEST_RECORD + 1)));
        assert_eq!(place["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(dead.header_text("saga_dlq_pointer"), Some("true"));
        assert!(dead.size() < 2048);
    }

    #[test]
    fn a_letter_that_is_produced_again_is_its_original_once_more_and_at_last_no_more() {
        let original = poison_record(Some(Bytes::from_static(b"{")));
        assert_eq!(RecordPast::of(&original), RecordPast::Fresh);
        let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "");
        let mut record = original.clone();
        for number in 1..=MOST_REDRIVES {
            let letter = in_form(&record, &poison, DeadLetterForm::Whole);
            let again = KafkaRecord { headers: letter.headers, offset: record.offset + 1, ..record.clone() };
            let RecordPast::Again(counted) = RecordPast::of(&again) else { panic!("number {number}: {again:?}") };
            let (added, own) = counted.headers.split_last().expect("a header");
            assert_eq!((own, added), (&original.headers[..], &text_header(REDRIVES, number.to_string())));
            record = *counted;
        }
        let letter = in_form(&record, &poison, DeadLetterForm::Whole);
        assert_eq!(RecordPast::of(&KafkaRecord { headers: letter.headers, ..record }), RecordPast::TooOften);
    }

    #[test]
    fn what_only_looks_like_a_letter_gets_one() {
        for name in ["saga_dlq_id", "saga_dlq_topic", "kafka_dlt-original-topic"] {
            let mut record = poison_record(None);
            record.headers.push(text_header(name, "orders/0/1"));
            assert_eq!(RecordPast::of(&record), RecordPast::Fresh, "{name}");
        }
    }

    #[test]
    fn what_is_refused_loses_its_value_first_then_its_headers_then_its_key() {
        let record =
            KafkaRecord { key: Some(Bytes::from_static(b"4711")), ..poison_record(Some(Bytes::from_static(b"{"))) };
        let poison = PoisonDiagnosis::new(PoisonCode::NotJson, "");
        let forms: Vec<DeadLetterForm> =
            std::iter::successors(Some(DeadLetterForm::of(&record, &[])), |form| form.smaller()).collect();
        let kept: Vec<_> = forms
            .iter()
            .map(|form| {
                let dead = in_form(&record, &poison, *form);
                let has_headers = dead.headers.starts_with(&record.headers);
                let left_out = dead.header_text("saga_dlq_left_out").map(str::to_owned);
                (dead.value == record.value, has_headers, dead.key == record.key, left_out)
            })
            .collect();
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(
            kept,
            [
                (true, true, true, None),
                (false, true, true, said("value")),
                (false, false, true, said("value,headers")),
                (false, false, false, said("value,headers,key")),
            ]
        );
        let last = in_form(&record, &poison, DeadLetterForm::PointerAlone);
        assert_eq!(last.key.as_deref(), Some(&b"shop.orders/3/14/order-fulfillment"[..]));
    }

    #[test]
    fn a_letter_says_how_often_its_record_was_brought_back() {
        let record = with_redrives(poison_record(Some(Bytes::from_static(b"{"))), 3);
        let dead = dead_letter(&record);
        assert_eq!(dead.headers[..3], record.headers[..3], "the original's own headers, without the number");
        assert_eq!(dead.header_text("saga_dlq_redrives"), Some("3"));
        let read = KafkaRecord { headers: dead.headers, ..record };
        let letter = FoundLetter::read(&read).expect("a letter");
        assert_eq!((letter.redrives, letter.original.headers.len()), (3, 3));
    }

    #[test]
    fn a_pointer_does_not_drag_large_headers_along() {
        let mut record = poison_record(None);
        record.headers.push(("h".into(), Some(Bytes::from(vec![0; 2 * LARGEST_RECORD]))));
        assert!(dead_letter(&record).size() < 2048);
    }
}
