//! Any record of a trigger topic: one disposition for each definition.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::definition::{SagaDefinition, parse_stored};
use saga_wire::{PayloadSchema, trigger};
use saga_wire_fuzz::AnyRecord;
use std::sync::{Arc, LazyLock};

const SAGA: &str = "saga: order
trigger: {topic: shop.orders, type: OrderPlaced, when: event.amount > 0, key: \"${ event.id }\"}
steps:
  - {step: rest, wait: 1s}
";

static DEFINITIONS: LazyLock<Vec<Arc<SagaDefinition>>> =
    LazyLock::new(|| vec![Arc::new(parse_stored(SAGA).expect("a definition"))]);

fuzz_target!(|record: AnyRecord| {
    let record = record.read();
    let _ = trigger::schema_needed(&record, &DEFINITIONS);
    assert_eq!(trigger::evaluate(&record, &PayloadSchema::Unneeded, &DEFINITIONS).len(), 1);
});
