//! Any record of the inbox; and whatever goes through it arrives as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::{id::ShardId, time::Timestamp};
use saga_wire::{
    KafkaRecord, OutgoingRecord, PoisonDiagnosis,
    inbox::{self, InboxEnvelope},
};
use saga_wire_fuzz::AnyRecord;

fn through(inbound: &InboxEnvelope) -> Result<InboxEnvelope, PoisonDiagnosis> {
    let OutgoingRecord { topic, key, value, headers, .. } = inbox::forward(&"saga.inbox".into(), ShardId(7), inbound);
    let there = KafkaRecord { topic, partition: 7, offset: 1, timestamp: Timestamp(1), key, value, headers };
    inbox::receive(&there)
}

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    if let Ok(inbound) = inbox::receive(&record) {
        assert_eq!(through(&inbound), Ok(inbound));
    }
    let decoded = record.value.as_deref().and_then(|value| saga_core::json::read(value).ok());
    let reply = InboxEnvelope::Reply { record: record.clone(), decoded: decoded.clone() };
    assert_eq!(through(&reply), Ok(reply));
    let (definition, hash, policies) = ("order".into(), "ab12".into(), decoded.is_some().then(|| "cd34".into()));
    let trigger = InboxEnvelope::Trigger { record, decoded, definition, hash, policies };
    assert_eq!(through(&trigger), Ok(trigger));
});
