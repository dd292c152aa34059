//! JSON in and out of CEL. Integers enter as int where they fit, else as uint, other numbers as double; maps leave sorted.

use cel::common::{
    types::{
        CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp, CelUInt,
        Kind,
    },
    value::Val,
};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, HashMap};

/// The CEL form of a JSON value; texts stay where they are.
pub(super) fn to_cel<'a>(value: &'a Value) -> Box<dyn Val + 'a> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Box::new(CelString::from(text.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_cel).collect::<Vec<_>>())),
        Value::Object(fields) => map_to_cel(fields),
    }
}

pub(super) fn map_to_cel<'a>(fields: &'a Map<String, Value>) -> Box<dyn Val + 'a> {
    let entries = fields.iter().map(|(name, value)| (CelMapKey::from(name.as_str()), to_cel(value)));
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

fn number_to_cel(number: &Number) -> Box<dyn Val> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Box::new(CelInt::from(int)),
        (None, Some(uint)) => Box::new(CelUInt::from(uint)),
        (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
    }
}

/// The JSON form of a CEL value, or why it has none.
pub(super) fn from_cel(value: &dyn Val) -> Result<Value, String> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Value::from(text.inner()));
    }
    match value.get_type().kind() {
        Kind::NullType => Ok(Value::Null),
        Kind::List => value.downcast_ref::<CelList<'_>>().map_or_else(|| Err(no_form(value)), list_from_cel),
        Kind::Map => value.downcast_ref::<CelMap<'_>>().map_or_else(|| Err(no_form(value)), map_from_cel),
        _ => scalar_from_cel(value).ok_or_else(|| no_form(value)),
    }
}

fn list_from_cel(list: &CelList<'_>) -> Result<Value, String> {
    list.inner().iter().map(|item| from_cel(item.as_ref())).collect()
}

fn map_from_cel(map: &CelMap<'_>) -> Result<Value, String> {
    let entries = map.inner().iter().map(|(key, value)| Ok((key_text(key), from_cel(value.as_ref())?)));
    let sorted: BTreeMap<String, Value> = entries.collect::<Result<_, String>>()?;
    Ok(Value::Object(sorted.into_iter().collect()))
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(truth) => truth.inner().to_string(),
        CelMapKey::Int(int) => int.inner().to_string(),
        CelMapKey::UInt(uint) => uint.inner().to_string(),
        CelMapKey::String(text) => text.inner().to_owned(),
    }
}

fn scalar_from_cel(value: &dyn Val) -> Option<Value> {
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Some(Value::Bool(*truth.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Some(Value::from(*int.inner()));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Some(Value::from(*uint.inner()));
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        return Number::from_f64(*double.inner()).map(Value::Number);
    }
    if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        return Some(Value::from(time.inner().to_rfc3339()));
    }
    let span = value.downcast_ref::<CelDuration>()?.inner();
    Some(Value::from(format!("{}s", span.num_milliseconds() as f64 / 1000.0)))
}

fn no_form(value: &dyn Val) -> String {
    match value.downcast_ref::<CelDouble>() {
        Some(double) => format!("the number {} has no JSON form", double.inner()),
        None => format!("a {} has no JSON form; write string(…)", value.get_type().name()),
    }
}

/// What a JSON value is, in the words of the documentation.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
