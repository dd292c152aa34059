//! Any record of the inbox; and any record that goes through it arrives as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::{id::ShardId, time::Timestamp};
use saga_wire::{
    KafkaRecord, OutgoingRecord,
    inbox::{self, InboxEnvelope},
};
use saga_wire_fuzz::AnyRecord;

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    let _ = inbox::receive(&record);
    let inbound = InboxEnvelope::Reply { record, decoded: None };
    let OutgoingRecord { topic, key, value, headers, .. } = inbox::forward(&"saga.inbox".into(), ShardId(7), &inbound);
    let there = KafkaRecord { topic, partition: 7, offset: 1, timestamp: Timestamp(1), key, value, headers };
    assert_eq!(inbox::receive(&there), Ok(inbound));
});
