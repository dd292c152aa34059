//! Any record of the topic of replies, in JSON and each frame of Avro: an answer or poison.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_wire::reply::{self, ParsedReply};
use saga_wire_fuzz::{AnyRecord, AnySchema};

fuzz_target!(|input: (AnyRecord, AnySchema)| {
    let (record, schema) = (input.0.read(), input.1.known());
    let _ = reply::schema_needed(&record);
    let _ = reply::named_saga(&record.headers);
    if let ParsedReply::Poison { poison, .. } = reply::parse(&record, &schema) {
        assert!(!poison.message.is_empty());
    }
});
