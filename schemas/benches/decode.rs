//! What decoding a record costs: Avro by this package, Avro by apache-avro with its value turned into JSON, and JSON of
//! the same content. Prints nanoseconds and ratios; `docs/performance.md` has figures.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value as AvroValue};
use saga_schemas::{DOMAIN_EVENTS, avro::AvroSchema, decode::AvroDecoder, encode::encode};
use serde_json::{Value, json};
use std::{hint::black_box, time::Instant};

const ROUNDS: usize = 3_000;
/// So few that a round is shorter than what the scheduler gives a thread.
const REPEATS: u32 = 50;

fn main() {
    let text = DOMAIN_EVENTS[0].1;
    let schema = AvroSchema::parse(text).expect("the shipped schema");
    let order = order();
    let avro = encode(&schema, &order).expect("the order fits");
    let json = serde_json::to_vec(&order).expect("a value is JSON");
    let decoder = AvroDecoder::new(&schema);
    let theirs = Schema::parse_str(text).expect("the shipped schema");
    let reader = GenericDatumReader::builder(&theirs).build().expect("a reader");
    let by_apache = || to_json(reader.read_value(&mut avro.as_slice()).expect("an order"));
    assert_eq!(decoder.decode(&avro), Ok(by_apache()), "both see the same");

    println!("an order of 3 items: {} bytes of Avro, {} bytes of JSON", avro.len(), json.len());
    let ours = nanos(|| decoder.decode(black_box(&avro)).expect("an order"));
    let apache = nanos(by_apache);
    let parsed = nanos(|| serde_json::from_slice::<Value>(black_box(&json)).expect("an order"));
    let written = nanos(|| encode(black_box(&schema), &order).expect("the order fits"));
    let printed = nanos(|| serde_json::to_vec(black_box(&order)).expect("a value is JSON"));
    println!("decode  Avro, saga-schemas {ours} ns");
    println!("decode  Avro, apache-avro  {apache} ns, {:.1} times", apache as f64 / ours as f64);
    println!("decode  JSON, serde_json   {parsed} ns, {:.1} times", parsed as f64 / ours as f64);
    println!("encode  Avro, saga-schemas {written} ns");
    println!("encode  JSON, serde_json   {printed} ns");
}

/// Nanoseconds of one call: the fastest of some rounds, which others on the machine disturbed least.
fn nanos<T>(call: impl Fn() -> T) -> u128 {
    let round = || {
        let began = Instant::now();
        (0..REPEATS).for_each(|_| drop(black_box(call())));
        began.elapsed().as_nanos() / u128::from(REPEATS)
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn order() -> Value {
    let item = |sku: &str| json!({"sku": sku, "quantity": 2, "priceCents": 1999});
    json!({
        "orderId": "4711-0815-2342", "customerId": "customer-0042", "amountCents": 5997, "digital": false,
        "address": {"name": "Ada Lovelace", "street": "12 St James's Square", "city": "London", "country": "GB"},
        "items": [item("book-1"), item("book-2"), item("pen-17")],
    })
}

/// What this schema needs of it.
fn to_json(value: AvroValue) -> Value {
    match value {
        AvroValue::Boolean(value) => Value::from(value),
        AvroValue::Int(value) => Value::from(value),
        AvroValue::Long(value) => Value::from(value),
        AvroValue::String(value) => Value::from(value),
        AvroValue::Union(_, value) => to_json(*value),
        AvroValue::Array(items) => items.into_iter().map(to_json).collect(),
        AvroValue::Record(fields) => fields.into_iter().map(|(name, value)| (name, to_json(value))).collect(),
        _ => Value::Null,
    }
}
