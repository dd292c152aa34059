//! Any record of a DLQ topic; and any record that becomes a dead letter is in it byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::time::Timestamp;
use saga_wire::{
    KafkaRecord, OutgoingRecord, PoisonCode, PoisonDiagnosis,
    dead_letter::{self, DeadLetterForm, FoundLetter},
};
use saga_wire_fuzz::AnyRecord;

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    let _ = FoundLetter::read(&record);
    let poison = PoisonDiagnosis::new(PoisonCode::Key, "it has none");
    let form = DeadLetterForm::Whole;
    let letter = dead_letter::record(&"saga.dlq".into(), &record, &poison, None, form, Timestamp(0));
    let OutgoingRecord { topic, key, value, headers, .. } = letter;
    let written = KafkaRecord { topic, partition: 0, offset: 1, timestamp: Timestamp(1), key, value, headers };
    let read = FoundLetter::read(&written).expect("it is a letter").original;
    assert_eq!((read.key, read.value, read.headers), (record.key, record.value, record.headers));
});
