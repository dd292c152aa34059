use super::*;
use crate::decode::AvroDecoder;
use proptest::prelude::*;
use serde_json::{Map, json};

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> AvroSchema {
    schema(&format!("{{\"type\": \"record\", \"name\": \"shop.Order\", \"fields\": [{fields}]}}"))
}

fn told(schema: &AvroSchema, value: &Value) -> String {
    encode(schema, value).expect_err("it does not fit").to_string()
}

#[test]
fn a_field_that_is_not_given_has_its_default() {
    let order = record(r#"{"name": "id", "type": "int"}, {"name": "n", "type": ["null", "int"], "default": null}"#);
    assert_eq!(encode(&order, &json!({"id": 1})), Ok(vec![2, 0]));
    assert_eq!(encode(&order, &json!({"id": 1, "n": 3})), Ok(vec![2, 2, 6]));
}

#[test]
fn what_does_not_fit_is_named() {
    let line = r#"{"type": "record", "name": "Line", "fields": [{"name": "price", "type": "long"}]}"#;
    let order = record(&format!(r#"{{"name": "items", "type": {{"type": "array", "items": {line}}}}}"#));
    assert_eq!(
        told(&order, &json!({"items": [{"price": 1}, {"price": "2"}]})),
        "items[1].price: expected an integer of 64 bits, found a string"
    );
    assert_eq!(
        told(&order, &json!({"items": [{}]})),
        "items[0]: the field `price` of shop.Line is missing, and has no default"
    );
    assert_eq!(
        told(&order, &json!({"items": [], "itemz": 1})),
        "the value: shop.Order has no field `itemz`; it has items"
    );
    assert!(told(&order, &json!({"items": [{"price": 2.5}]})).contains("write int(…) around the expression"));
    assert!(told(&schema("\"int\""), &json!(3_000_000_000_i64)).contains("32 bits, found 3000000000"));
}

#[test]
fn a_union_takes_the_first_branch_that_fits() {
    let union = schema(r#"["null", "int", "long", "string", "double"]"#);
    for (value, branch) in [(json!(null), 0), (json!(1), 2), (json!(1_i64 << 40), 4), (json!("x"), 6), (json!(0.5), 8)]
    {
        assert_eq!(encode(&union, &value).expect("it fits")[0], branch, "{value}");
    }
    assert_eq!(
        told(&union, &json!([])),
        "the value: found a list, which fits no branch of [null, int, long, string, double]"
    );
    let optional = record(
        r#"{"name": "n", "type": ["null", {"type": "record", "name": "N", "fields": [
        {"name": "x", "type": "int"}]}]}"#,
    );
    assert_eq!(told(&optional, &json!({"n": {"x": "y"}})), "n.x: expected an integer of 32 bits, found a string");
}

#[test]
fn branches_within_branches_end() {
    let tree = schema(
        r#"{"type": "record", "name": "R", "fields": [{"name": "t", "type": ["int",
            {"type": "record", "name": "A", "fields": [{"name": "x", "type": "R"}]},
            {"type": "record", "name": "B", "fields": [{"name": "x", "type": "R"}]}]}]}"#,
    );
    let deep = (0..30).fold(json!({"t": "wrong"}), |inner, _| json!({"t": {"x": inner}}));
    assert!(told(&tree, &deep).contains("more than 1048576 values"));
}

/// A type, with a value of it.
#[derive(Clone, Debug)]
enum TypedValue {
    Scalar(Value, Value),
    Optional(Box<TypedValue>, bool),
    Items(Box<TypedValue>, usize),
    Entries(Box<TypedValue>, Vec<String>),
    Fields(Vec<TypedValue>),
    Symbol(usize),
}

impl TypedValue {
    /// Schema and value; `names` counts the named types.
    fn split(&self, names: &mut usize) -> (Value, Value) {
        match self {
            TypedValue::Scalar(schema, value) => (schema.clone(), value.clone()),
            TypedValue::Optional(inner, is_there) => {
                let (schema, value) = inner.split(names);
                match schema {
                    Value::Array(_) => (schema, value),
                    schema => (json!(["null", schema]), if *is_there { value } else { Value::Null }),
                }
            }
            TypedValue::Items(inner, count) => {
                let (schema, value) = inner.split(names);
                (json!({"type": "array", "items": schema}), Value::Array(vec![value; *count]))
            }
            TypedValue::Entries(inner, keys) => {
                let (schema, value) = inner.split(names);
                let entries: Map<String, Value> = keys.iter().map(|key| (key.clone(), value.clone())).collect();
                (json!({"type": "map", "values": schema}), Value::Object(entries))
            }
            TypedValue::Symbol(at) => {
                *names += 1;
                let schema = json!({"type": "enum", "name": format!("N{names}"), "symbols": ["A", "B", "C"]});
                (schema, json!(["A", "B", "C"][*at]))
            }
            TypedValue::Fields(inner) => {
                *names += 1;
                let name = format!("N{names}");
                let parts: Vec<(Value, Value)> = inner.iter().map(|it| it.split(names)).collect();
                let field = |at: usize| format!("f{at}");
                let fields: Vec<Value> =
                    parts.iter().enumerate().map(|(at, it)| json!({"name": field(at), "type": it.0})).collect();
                let values = parts.iter().enumerate().map(|(at, it)| (field(at), it.1.clone())).collect();
                (json!({"type": "record", "name": name, "fields": fields}), Value::Object(values))
            }
        }
    }
}

fn scalars() -> impl Strategy<Value = TypedValue> {
    let of = |schema: &str| {
        let schema = json!(schema);
        move |value: Value| TypedValue::Scalar(schema.clone(), value)
    };
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 3});
    let instant = json!({"type": "long", "logicalType": "timestamp-millis"});
    prop_oneof![
        any::<bool>().prop_map(Value::from).prop_map(of("boolean")),
        any::<i32>().prop_map(Value::from).prop_map(of("int")),
        any::<i64>().prop_map(Value::from).prop_map(of("long")),
        any::<f64>().prop_map(Value::from).prop_map(of("double")),
        any::<f32>().prop_map(Value::from).prop_map(of("float")),
        "[^\u{0}]{0,12}".prop_map(Value::from).prop_map(of("string")),
        "[A-Za-z0-9+/]{8}".prop_map(Value::from).prop_map(of("bytes")),
        any::<i64>().prop_map(move |it| TypedValue::Scalar(decimal.clone(), json!(format!("{it}.000")))),
        (0i64..4_000_000_000).prop_map(move |it| {
            let text = jiff::Timestamp::from_second(it).expect("in range").to_string();
            TypedValue::Scalar(instant.clone(), json!(text))
        }),
        (0usize..3).prop_map(TypedValue::Symbol),
    ]
}

fn typed_values() -> impl Strategy<Value = TypedValue> {
    scalars().prop_recursive(5, 40, 6, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (boxed(), any::<bool>()).prop_map(|(inner, there)| TypedValue::Optional(inner, there)),
            (boxed(), 0usize..4).prop_map(|(inner, count)| TypedValue::Items(inner, count)),
            (boxed(), prop::collection::vec("[a-z]{1,4}", 0..4))
                .prop_map(|(inner, keys)| TypedValue::Entries(inner, keys)),
            prop::collection::vec(inner.clone(), 0..6).prop_map(TypedValue::Fields),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_here_and_elsewhere(typed in typed_values()) {
        let (text, value) = typed.split(&mut 0);
        let schema = schema(&text.to_string());
        let bytes = encode(&schema, &value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(AvroDecoder::new(&schema).decode(&bytes), Ok(value));
        let theirs = apache_avro::Schema::parse(&text).expect("a schema");
        let mut rest = bytes.as_slice();
        let read = apache_avro::reader::datum::GenericDatumReader::builder(&theirs).build()
            .and_then(|reader| reader.read_value(&mut rest));
        prop_assert!(read.is_ok(), "apache-avro: {:?}", read);
        prop_assert!(rest.is_empty(), "apache-avro left {} bytes", rest.len());
    }

    #[test]
    fn cut_and_changed_bytes_do_not_panic(typed in typed_values(), at: usize, byte: u8) {
        let (text, value) = typed.split(&mut 0);
        let schema = schema(&text.to_string());
        let mut bytes = encode(&schema, &value).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let decoder = AvroDecoder::new(&schema);
        if !bytes.is_empty() {
            let at = at % bytes.len();
            prop_assert!(decoder.decode(&bytes[..at]).is_err());
            bytes[at] = byte;
            let _ = decoder.decode(&bytes);
        }
    }

    #[test]
    fn no_value_makes_it_panic(typed in typed_values(), other in typed_values()) {
        let (text, _) = typed.split(&mut 0);
        let (_, value) = other.split(&mut 0);
        let _ = encode(&schema(&text.to_string()), &value);
    }
}
