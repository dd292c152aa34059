//! Headers by which readers of other programs' dead letters know a letter of the engine, too. They follow the engine's
//! own headers, so that the engine reads the letter as its own, and the original's headers end before all of them.

use super::{LetterDialect, MESSAGE_BYTES};
use crate::{
    poison::{PoisonCode, PoisonDiagnosis},
    record::{KafkaRecord, RecordHeader, text_header},
};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Before the code in what takes the place of the class of an exception.
const EXCEPTION: &str = "saga.poison.";

/// What takes the place of a connector's name where the letter is no definition's matter.
const CONNECTOR: &str = "saga-orchestrator";

/// The dialects that a letter has besides the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedDialects(BTreeSet<LetterDialect>);

impl FromIterator<LetterDialect> for AddedDialects {
    /// The engine's own dialect is in every letter and adds nothing.
    fn from_iter<I: IntoIterator<Item = LetterDialect>>(dialects: I) -> AddedDialects {
        AddedDialects(dialects.into_iter().filter(|dialect| *dialect != LetterDialect::Saga).collect())
    }
}

impl AddedDialects {
    /// The headers that follow the engine's own in the letter of `record`.
    #[must_use]
    pub fn headers(
        &self,
        record: &KafkaRecord,
        poison: &PoisonDiagnosis,
        definition: Option<&str>,
    ) -> Vec<RecordHeader> {
        let of = |dialect: &LetterDialect| match dialect {
            LetterDialect::Saga => Vec::new(),
            LetterDialect::Spring => spring(record, poison),
            LetterDialect::KafkaConnect => kafka_connect(record, poison, definition),
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// As the `DeadLetterPublishingRecoverer` writes them: numbers as the bytes of an `int` or a `long`, texts in UTF-8.
fn spring(record: &KafkaRecord, poison: &PoisonDiagnosis) -> Vec<RecordHeader> {
    let bytes = |name: &str, bytes: &[u8]| (name.to_owned(), Some(Bytes::copy_from_slice(bytes)));
    vec![
        text_header("kafka_dlt-original-topic", &*record.topic),
        bytes("kafka_dlt-original-partition", &record.partition.to_be_bytes()),
        bytes("kafka_dlt-original-offset", &record.offset.to_be_bytes()),
        bytes("kafka_dlt-original-timestamp", &record.timestamp.0.to_be_bytes()),
        text_header("kafka_dlt-exception-fqcn", exception(poison)),
        text_header("kafka_dlt-exception-message", message(poison)),
    ]
}

/// As a sink of Kafka Connect writes them: everything as text.
fn kafka_connect(record: &KafkaRecord, poison: &PoisonDiagnosis, definition: Option<&str>) -> Vec<RecordHeader> {
    let header = |name: &str, text: String| text_header(&format!("__connect.errors.{name}"), text);
    vec![
        header("topic", record.topic.to_string()),
        header("partition", record.partition.to_string()),
        header("offset", record.offset.to_string()),
        header("connector.name", definition.unwrap_or(CONNECTOR).to_owned()),
        header("task.id", record.partition.to_string()),
        header("stage", stage(poison.code).to_owned()),
        header("class.name", CONNECTOR.to_owned()),
        header("exception.class.name", exception(poison)),
        header("exception.message", message(poison).to_owned()),
    ]
}

fn exception(poison: &PoisonDiagnosis) -> String {
    format!("{EXCEPTION}{}", poison.code.as_str())
}

/// What is wrong, as long as a header may be.
pub(super) fn message(poison: &PoisonDiagnosis) -> &str {
    &poison.message[..poison.message.floor_char_boundary(MESSAGE_BYTES)]
}

/// The stage of Kafka Connect that is nearest: a value that cannot be read, a header that cannot, or the work itself.
fn stage(code: PoisonCode) -> &'static str {
    match code {
        PoisonCode::NotJson
        | PoisonCode::Avro
        | PoisonCode::WrongFormat
        | PoisonCode::UnknownSchema
        | PoisonCode::SchemaMismatch
        | PoisonCode::Nul
        | PoisonCode::Depth
        | PoisonCode::Number
        | PoisonCode::RepeatedName
        | PoisonCode::ReservedName
        | PoisonCode::Batch
        | PoisonCode::Oversize
        | PoisonCode::Schema => "VALUE_CONVERTER",
        PoisonCode::NoType | PoisonCode::NoCommand | PoisonCode::Outcome | PoisonCode::Header => "HEADER_CONVERTER",
        PoisonCode::When
        | PoisonCode::Key
        | PoisonCode::Inbox
        | PoisonCode::UnknownSaga
        | PoisonCode::UnknownDefinition
        | PoisonCode::UnknownStep
        | PoisonCode::Contradiction
        | PoisonCode::IllegalInput
        | PoisonCode::Crash
        | PoisonCode::StoreRefused
        | PoisonCode::SagaUnreadable => "TASK_PUT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dead_letter::{self, DeadLetterForm, FoundLetter, POINTER_CONTEXT},
        payload::LARGEST_RECORD,
        record::OutgoingRecord,
    };
    use saga_core::time::Timestamp;

    const NOW: Timestamp = Timestamp(1_700_000_001_000);

    fn original() -> KafkaRecord {
        KafkaRecord {
            topic: "shop.orders".into(),
            partition: 3,
            offset: 14,
            timestamp: Timestamp(1_700_000_000_000),
            key: Some(Bytes::from_static(b"4711")),
            value: Some(Bytes::from_static(b"{")),
            headers: vec![text_header("a", "1"), text_header("kafka_dlt-original-topic", "from before")],
        }
    }

    fn poison() -> PoisonDiagnosis {
        PoisonDiagnosis::new(PoisonCode::NotJson, "expected value at line 1")
    }

    /// The letter as a client reads it.
    fn letter(dialects: &[LetterDialect]) -> KafkaRecord {
        let (record, poison) = (original(), poison());
        let added = dialects.iter().copied().collect::<AddedDialects>().headers(&record, &poison, Some("order"));
        let written = dead_letter::record(&"dlq".into(), &record, &poison, Some("order"), DeadLetterForm::Whole, NOW);
        let OutgoingRecord { topic, key, value, mut headers, .. } = written;
        headers.extend(added);
        KafkaRecord { topic, partition: 0, offset: 7, timestamp: NOW, key, value, headers }
    }

    #[test]
    fn spring_finds_its_headers_byte_for_byte() {
        let letter = letter(&[LetterDialect::Spring]);
        let found = |name: &str| letter.header(&format!("kafka_dlt-{name}")).expect("present").to_vec();
        assert_eq!(found("original-topic"), b"shop.orders", "the last header of a name counts");
        assert_eq!(found("original-partition"), [0, 0, 0, 3]);
        assert_eq!(found("original-offset"), [0, 0, 0, 0, 0, 0, 0, 14]);
        assert_eq!(found("original-timestamp"), 1_700_000_000_000_i64.to_be_bytes());
        assert_eq!(found("exception-fqcn"), b"saga.poison.not_json");
        assert_eq!(found("exception-message"), b"expected value at line 1");
    }

    #[test]
    fn kafka_connect_finds_its_headers_as_text() {
        let letter = letter(&[LetterDialect::KafkaConnect]);
        let names = ["topic", "partition", "offset", "connector.name", "task.id", "stage", "exception.class.name"];
        let found: Vec<_> =
            names.iter().filter_map(|name| letter.header_text(&format!("__connect.errors.{name}"))).collect();
        assert_eq!(found, ["shop.orders", "3", "14", "order", "3", "VALUE_CONVERTER", "saga.poison.not_json"]);
        assert_eq!(letter.header_text("__connect.errors.exception.message"), Some("expected value at line 1"));
    }

    #[test]
    fn a_letter_in_several_dialects_is_the_engine_s_and_its_original_has_none_of_them() {
        let letter = letter(&LetterDialect::ALL);
        let found = FoundLetter::read(&letter).expect("a letter");
        assert_eq!((found.dialect, found.definition.as_deref()), (LetterDialect::Saga, Some("order")));
        assert_eq!(found.original.headers, original().headers);
        // Without the engine's own headers it reads as the letter of another program, with the same place.
        for (dialect, class) in
            [(LetterDialect::Spring, "saga.poison.not_json"), (LetterDialect::KafkaConnect, "saga.poison.not_json")]
        {
            let mut other = self::letter(&[dialect]);
            other.headers.retain(|(name, _)| !name.starts_with("saga_dlq_"));
            other.headers.remove(1);
            let found = FoundLetter::read(&other).expect("a letter");
            assert_eq!((found.dialect, found.code.as_str()), (dialect, class));
            assert_eq!(found.origin.to_string(), "shop.orders/3/14");
        }
    }

    #[test]
    fn added_headers_count_where_a_letter_becomes_a_pointer() {
        let added = AddedDialects::from_iter(LetterDialect::ALL).headers(&original(), &poison(), None);
        let mut record = original();
        let room = LARGEST_RECORD - (record.size() - 1);
        record.value = Some(Bytes::from(vec![b'x'; room]));
        assert_eq!(DeadLetterForm::of(&record, &[]), DeadLetterForm::Whole);
        assert_eq!(DeadLetterForm::of(&record, &added), DeadLetterForm::Pointer);
        record.headers.push(("large".into(), Some(Bytes::from(vec![0; POINTER_CONTEXT]))));
        assert_eq!(DeadLetterForm::of(&record, &added), DeadLetterForm::PointerAlone);
    }
}
