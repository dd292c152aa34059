//! Any record of a trigger topic, in JSON and each frame of Avro: one disposition for each definition, and no fault of
//! the reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saga_core::definition::{SagaDefinition, parse_stored};
use saga_wire::trigger::{self, TriggerOutcome};
use saga_wire_fuzz::{AnyRecord, AnySchema};
use std::sync::{Arc, LazyLock};

const TYPED: &str = "saga: order
trigger: {topic: shop.orders, type: OrderPlaced, when: event.amount > 0, key: \"${ event.id }\"}
steps:
  - {step: rest, wait: 1s}
";

const UNTYPED: &str = "saga: any
trigger: {topic: shop.orders, key: \"${ record.key }\"}
steps:
  - {step: rest, wait: 1s}
";

static DEFINITIONS: LazyLock<Vec<Arc<SagaDefinition>>> =
    LazyLock::new(|| [TYPED, UNTYPED].map(|text| Arc::new(parse_stored(text).expect("a definition"))).into());

fuzz_target!(|input: (AnyRecord, AnySchema)| {
    let (record, schema) = (input.0.read(), input.1.known());
    let _ = trigger::schema_needed(&record, &DEFINITIONS);
    let found = trigger::evaluate(&record, &schema, &DEFINITIONS);
    assert!(found.len() == 2 || matches!(&found[..], [one] if one.definition.is_none()), "{found:?}");
    let start = trigger::evaluate_one(&record, &schema, &DEFINITIONS[0]);
    if let TriggerOutcome::Start(start) = start {
        assert!((1..=256).contains(&start.key.len()) && !start.key.contains('\0'));
    }
    if let Ok(decoded) = trigger::decoded(&record, &schema) {
        let _ = trigger::evaluate_recorded(&decoded, None, &DEFINITIONS[0]);
    }
});
