//! Any record of the topic of replies: an answer or poison.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_wire::{PayloadSchema, reply};
use saga_wire_fuzz::AnyRecord;

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    let _ = reply::schema_needed(&record);
    let _ = reply::parse(&record, &PayloadSchema::Unneeded);
});
