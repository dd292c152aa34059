//! Any record of a DLQ topic, in each dialect; and any record that becomes a dead letter is in it byte for byte, with
//! or without the headers for readers of other programs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::time::Timestamp;
use saga_wire::{
    KafkaRecord, OutgoingRecord, PoisonCode, PoisonDiagnosis,
    dead_letter::{self, AddedDialects, DeadLetterForm, FoundLetter, LetterDialect},
    payload_hints,
};
use saga_wire_fuzz::AnyRecord;

const FORMS: [DeadLetterForm; 4] = [
    DeadLetterForm::Whole,
    DeadLetterForm::Pointer,
    DeadLetterForm::PointerWithoutHeaders,
    DeadLetterForm::PointerAlone,
];

/// The letter of `record` as it stands in a DLQ topic, once without and once with the headers of the other dialects.
fn letters(record: &KafkaRecord, poison: &PoisonDiagnosis, form: DeadLetterForm) -> [KafkaRecord; 2] {
    let dialects = AddedDialects::from_iter([LetterDialect::Spring, LetterDialect::KafkaConnect]);
    [Vec::new(), dialects.headers(record, poison, Some("order"))].map(|added| {
        let letter = dead_letter::record(&"saga.dlq".into(), record, poison, Some("order"), form, Timestamp(0));
        let OutgoingRecord { topic, key, value, mut headers, .. } = letter;
        headers.extend(added);
        KafkaRecord { topic, partition: 0, offset: 1, timestamp: Timestamp(1), key, value, headers }
    })
}

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    if let Ok(found) = FoundLetter::read(&record) {
        let _ = (found.id(), found.saga());
        if let Some(value) = &found.original.value {
            let _ = payload_hints::describe_value(value);
        }
    }
    let poison = PoisonDiagnosis::new(PoisonCode::Key, "it has none");
    for form in FORMS {
        for letter in letters(&record, &poison, form) {
            let read = FoundLetter::read(&letter).expect("it is a letter");
            assert_eq!((read.form, read.definition.as_deref()), (form, Some("order")));
            let origin = (read.origin.partition, read.origin.offset, read.origin.timestamp);
            assert_eq!(origin, (record.partition, record.offset, Some(record.timestamp)));
            // The last header may be the count of an earlier time, which is none of the original's.
            let counts = record.headers.last().is_some_and(|(name, _)| name == "saga_dlq_redrives");
            if form == DeadLetterForm::Whole && !counts {
                let original = (&read.original.key, &read.original.value, &read.original.headers);
                assert_eq!(original, (&record.key, &record.value, &record.headers));
            }
        }
    }
});
