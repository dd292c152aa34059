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
        "items[1].price: expected an integer of 64 bits such as 4711, found a string"
    );
    assert_eq!(
        told(&order, &json!({"items": [{}]})),
        "items[0]: the field `price` of shop.Line is missing, and has no default"
    );
    assert_eq!(
        told(&order, &json!({"items": [], "itemz": 1})),
        "the value: shop.Order has no field `itemz`; it has items"
    );
    assert!(
        told(&order, &json!({"items": [{"price": 2.5}]}))
            .contains("write it without a point; in an expression, int(…)")
    );
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
    assert_eq!(
        told(&optional, &json!({"n": {"x": "y"}})),
        "n.x: expected an integer of 32 bits such as 4711, found a string"
    );
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

/// A record with a value of every type; of the unions the branches that are not the first to fit.
fn everything() -> (AvroSchema, Value) {
    let field = |name: &str, of: Value| json!({"name": name, "type": of});
    let logical = |of: &str, name: &str| json!({"type": of, "logicalType": name});
    let decimal = |of: Value| {
        let mut of = of;
        of["logicalType"] = json!("decimal");
        (of["precision"], of["scale"]) = (json!(30), json!(2));
        of
    };
    let fixed = |name: &str, size: usize| json!({"type": "fixed", "name": name, "size": size});
    let mut span = fixed("Span", 12);
    span["logicalType"] = json!("duration");
    let mut id = fixed("Id", 16);
    id["logicalType"] = json!("uuid");
    let typed = [
        ("none", json!("null"), json!(null)),
        ("yes", json!("boolean"), json!(true)),
        ("int", json!("int"), json!(-7)),
        ("long", json!("long"), json!(9_007_199_254_740_993_i64)),
        ("least", json!("long"), json!(i64::MIN)),
        ("float", json!("float"), json!(0.1_f32)),
        ("double", json!("double"), json!(0.1)),
        ("infinite", json!("double"), json!("-Infinity")),
        ("text", json!("string"), json!("größe")),
        ("bytes", json!("bytes"), json!("AAEC/w==")),
        ("fixed", fixed("Two", 2), json!("AP8=")),
        ("symbol", json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), json!("B")),
        ("decimal", decimal(json!({"type": "bytes"})), json!("-123456789012345678901234567.89")),
        ("fixedDecimal", decimal(fixed("D", 16)), json!("12.50")),
        ("bigDecimal", logical("bytes", "big-decimal"), json!("1.2300")),
        ("uuid", logical("string", "uuid"), json!("89791762-2336-4186-9674-299b90a802e2")),
        ("fixedUuid", id, json!("89791762-2336-4186-9674-299b90a802e2")),
        ("date", logical("int", "date"), json!("2026-11-30")),
        ("time", logical("int", "time-millis"), json!("16:15:00.5")),
        ("microTime", logical("long", "time-micros"), json!("16:15:00.000001")),
        ("at", logical("long", "timestamp-millis"), json!("2026-11-30T16:15:00.5Z")),
        ("microAt", logical("long", "timestamp-micros"), json!("2026-11-30T16:15:00.000001Z")),
        ("nanoAt", logical("long", "timestamp-nanos"), json!("2026-11-30T16:15:00.000000001Z")),
        ("here", logical("long", "local-timestamp-millis"), json!("2026-11-30T16:15:00.5")),
        ("microHere", logical("long", "local-timestamp-micros"), json!("2026-11-30T16:15:00.5")),
        ("nanoHere", logical("long", "local-timestamp-nanos"), json!("2026-11-30T16:15:00.5")),
        ("span", span, json!({"months": 1, "days": 2, "millis": 3})),
        ("optional", json!(["null", "int", "long"]), json!(5)),
        ("raw", json!(["string", "bytes"]), json!("AAEC")),
        ("list", json!({"type": "array", "items": ["string", "bytes"]}), json!(["a", "AAEC", "b", "AAED"])),
        ("map", json!({"type": "map", "values": "long"}), json!({"b": 1, "a": 2})),
    ];
    let fields: Vec<Value> = typed.iter().map(|(name, of, _)| field(name, of.clone())).collect();
    let value = typed.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())).collect();
    (schema(&json!({"type": "record", "name": "shop.All", "fields": fields}).to_string()), Value::Object(value))
}

/// The bytes of [`everything`], with the branches, the order and the blocks that another writer chose.
fn foreign() -> Vec<u8> {
    let (all, value) = everything();
    let bytes = encode(&all, &value).expect("it fits");
    let end: &[u8] =
        b"\x02\x0a\x00\x08AAEC\x08\x00\x02a\x00\x08AAEC\x00\x02b\x00\x08AAED\x00\x04\x02a\x04\x02b\x02\x00";
    let common = bytes.strip_suffix(end).expect("the unions, the list and the map come last");
    // A long; bytes; the list in two blocks, the first with its length; the map in another order.
    let other: &[u8] = b"\x04\x0a\x02\x06\x00\x01\x02\x03\x12\x00\x02a\x02\x06\x00\x01\x02\x04\x00\x02b\x02\x06\x00\x01\x03\x00\x04\x02b\x02\x02a\x04\x00";
    [common, other].concat()
}

#[test]
fn what_nobody_changed_keeps_its_bytes() {
    let (all, value) = everything();
    let before = foreign();
    let shown = AvroDecoder::new(&all).decode(&before).expect("it is decoded");
    assert_eq!(shown, value);
    let text = shown.to_string();
    let again: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(encode_changed(&all, &again, &before), Ok(before.clone()));

    let mut changed = again;
    (changed["int"], changed["optional"], changed["raw"]) = (json!(8), json!(6), json!("AAEE"));
    changed["list"].as_array_mut().expect("a list").insert(1, json!("new"));
    let after = encode_changed(&all, &changed, &before).expect("it fits");
    assert_eq!(AvroDecoder::new(&all).decode(&after), Ok(changed));
    // The branches stay, those of the items behind the new one, too.
    let end = b"\x04\x0c\x02\x06\x00\x01\x04\x0a\x00\x02a\x00\x06new\x02\x06\x00\x01\x02\x00\x02b\x02\x06\x00\x01\x03\x00\x04\x02b\x02\x02a\x04\x00";
    assert!(after.ends_with(end), "{after:x?}");
}

#[test]
fn each_part_can_be_changed_alone() {
    let (all, value) = everything();
    let (before, decoder) = (foreign(), AvroDecoder::new(&all));
    let others = json!({
        "yes": false, "int": 1, "long": -9_007_199_254_740_993_i64, "least": i64::MAX, "float": 0.2_f32, "double": 1e300,
        "infinite": "NaN", "text": "", "bytes": "", "fixed": "AAA=", "symbol": "A", "decimal": "0.01",
        "fixedDecimal": "-0.01", "bigDecimal": "7", "uuid": "00000000-0000-0000-0000-000000000001",
        "fixedUuid": "00000000-0000-0000-0000-000000000001", "date": "0001-01-01", "time": "00:00:00",
        "microTime": "23:59:59.999999", "at": "1969-12-31T23:59:59.999Z", "microAt": "1970-01-01T00:00:00Z",
        "nanoAt": "1969-12-31T23:59:59.999999999Z", "here": "1970-01-01T00:00:00", "microHere": "1970-01-01T00:00:00",
        "nanoHere": "1970-01-01T00:00:00", "span": {"months": 0, "days": 0, "millis": u32::MAX}, "optional": null,
        "raw": "no base64!", "list": [], "map": {"c": -1}
    });
    for (name, other) in others.as_object().expect("a map") {
        let mut changed = value.clone();
        changed[name] = other.clone();
        let after = encode_changed(&all, &changed, &before).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(decoder.decode(&after), Ok(changed), "{name}");
    }
}

#[test]
fn what_the_schema_did_not_write_is_encoded_anew() {
    let order = record(r#"{"name": "id", "type": "int"}"#);
    assert_eq!(encode_changed(&order, &json!({"id": 1}), b"\xff"), Ok(vec![2]));
    let error = encode_changed(&order, &json!({"id": "1"}), &[2]).expect_err("it does not fit");
    assert_eq!(error.to_string(), "id: expected an integer of 32 bits such as 4711, found a string");
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
