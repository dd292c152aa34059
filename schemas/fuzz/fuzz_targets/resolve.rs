//! Any two schemas of all types, and bytes: a value in the form of the second, or an error; and what was read as it was
//! written is written again as it can be read.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use saga_schemas::{avro::AvroSchema, decode::AvroDecoder, encode::encode};

const NAMES: [&str; 4] = ["A", "B", "shop.A", "C"];

#[derive(Arbitrary, Debug)]
enum AnyType {
    Primitive(u8),
    Logical(u8),
    Decimal(u8, u8),
    Array(Box<AnyType>),
    Map(Box<AnyType>),
    Union(Vec<AnyType>),
    Record(u8, Vec<(u8, AnyType, bool)>),
    Enum(u8, Vec<u8>, bool),
    Fixed(u8, u8),
    Named(u8),
}

fn name(at: u8) -> &'static str {
    NAMES[usize::from(at) % NAMES.len()]
}

fn among(texts: &[&str], at: u8) -> String {
    texts[usize::from(at) % texts.len()].to_owned()
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

impl AnyType {
    fn text(&self) -> String {
        match self {
            AnyType::Primitive(at) => among(
                &[r#""null""#, r#""boolean""#, r#""int""#, r#""long""#, r#""float""#, r#""double""#, r#""bytes""#, r#""string""#],
                *at,
            ),
            AnyType::Logical(at) => among(
                &[
                    r#"{"type": "int", "logicalType": "date"}"#,
                    r#"{"type": "int", "logicalType": "time-millis"}"#,
                    r#"{"type": "long", "logicalType": "time-micros"}"#,
                    r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
                    r#"{"type": "long", "logicalType": "timestamp-nanos"}"#,
                    r#"{"type": "long", "logicalType": "local-timestamp-millis"}"#,
                    r#"{"type": "string", "logicalType": "uuid"}"#,
                    r#"{"type": "bytes", "logicalType": "big-decimal"}"#,
                ],
                *at,
            ),
            AnyType::Decimal(precision, scale) => {
                format!(r#"{{"type": "bytes", "logicalType": "decimal", "precision": {precision}, "scale": {scale}}}"#)
            }
            AnyType::Array(items) => format!(r#"{{"type": "array", "items": {}}}"#, items.text()),
            AnyType::Map(values) => format!(r#"{{"type": "map", "values": {}}}"#, values.text()),
            AnyType::Union(branches) => format!("[{}]", joined(branches.iter().map(AnyType::text))),
            AnyType::Record(at, fields) => {
                let fields = joined(fields.iter().map(|(at, of, has_default)| {
                    let default = if *has_default { r#", "default": null"# } else { "" };
                    format!(r#"{{"name": "f{}", "type": {}{default}}}"#, at % 8, of.text())
                }));
                format!(r#"{{"type": "record", "name": "{}", "fields": [{fields}]}}"#, name(*at))
            }
            AnyType::Enum(at, symbols, has_default) => {
                let default = if *has_default { r#", "default": "S0""# } else { "" };
                let symbols = joined(symbols.iter().map(|symbol| format!(r#""S{}""#, symbol % 8)));
                format!(r#"{{"type": "enum", "name": "{}", "symbols": [{symbols}]{default}}}"#, name(*at))
            }
            AnyType::Fixed(at, size) => format!(r#"{{"type": "fixed", "name": "{}", "size": {size}}}"#, name(*at)),
            AnyType::Named(at) => format!(r#""{}""#, name(*at)),
        }
    }
}

fuzz_target!(|input: (AnyType, AnyType, Vec<u8>)| {
    let (writer, reader, bytes) = input;
    let Ok(writer) = AvroSchema::parse(&writer.text()) else { return };
    if let Ok(value) = AvroDecoder::new(&writer).decode(&bytes) {
        let again = encode(&writer, &value).expect("what was decoded fits");
        assert_eq!(AvroDecoder::new(&writer).decode(&again).as_ref(), Ok(&value), "{}", writer.text());
    }
    if let Ok(reader) = AvroSchema::parse(&reader.text()) {
        let _ = AvroDecoder::resolving(&writer, &reader).decode(&bytes);
    }
});
