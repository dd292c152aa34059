//! JSON in and out of CEL. Integers enter as int where they fit, else as uint, other numbers as double where one is
//! exactly it, else as a long number; maps leave sorted.

use super::long::LongNumber;
use crate::json::{self, DecimalNumber};
use cel::common::{
    types::{
        CelBool, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp, CelUInt,
        Kind,
    },
    value::Val,
};
use serde_json::{Map, Number, Value};
use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

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
    match (number.as_i64(), number.as_u64(), json::exact_double(number.as_str())) {
        (Some(int), ..) => Box::new(CelInt::from(int)),
        (None, Some(uint), _) => Box::new(CelUInt::from(uint)),
        (None, None, Some(double)) => Box::new(CelDouble::from(double)),
        (None, None, None) => long_number_to_cel(number.as_str()),
    }
}

/// `9007199254740993.0` is an int: a number that a type of CEL holds is never a long one, so that equal numbers are
/// equal.
fn long_number_to_cel(text: &str) -> Box<dyn Val> {
    let decimal = DecimalNumber::of(text).expect("what was let in is a number");
    match decimal.as_whole().map(|whole| (i64::try_from(whole), u64::try_from(whole))) {
        Some((Ok(int), _)) => Box::new(CelInt::from(int)),
        Some((Err(_), Ok(uint))) => Box::new(CelUInt::from(uint)),
        Some((Err(_), Err(_))) | None => Box::new(LongNumber::new(text, decimal)),
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
    let entries = map.inner().iter().map(|(key, value)| Ok((name(key)?, from_cel(value.as_ref())?)));
    let sorted: BTreeMap<String, Value> = entries.collect::<Result<_, String>>()?;
    Ok(Value::Object(sorted.into_iter().collect()))
}

fn name(key: &CelMapKey<'_>) -> Result<String, String> {
    let name = match key {
        CelMapKey::Bool(truth) => truth.inner().to_string(),
        CelMapKey::Int(int) => int.inner().to_string(),
        CelMapKey::UInt(uint) => uint.inner().to_string(),
        CelMapKey::String(text) => text.inner().to_owned(),
    };
    json::check_name(&name).map(|()| name).map_err(|unfit| unfit.to_string())
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
        return number_of_double(*double.inner()).map(Value::Number);
    }
    if let Some(number) = value.downcast_ref::<LongNumber>() {
        return Number::from_str(number.text()).ok().map(Value::Number);
    }
    if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        return Some(Value::from(time.inner().to_rfc3339()));
    }
    let span = value.downcast_ref::<CelDuration>()?.inner();
    Some(Value::from(format!("{}s", span.num_milliseconds() as f64 / 1000.0)))
}

/// A whole double beyond the integers of 64 bits leaves without exponent, as long as it is no longer than what
/// JavaScript writes so: most likely it came so.
fn number_of_double(double: f64) -> Option<Number> {
    const AS_INTEGER: std::ops::Range<f64> = 9_223_372_036_854_775_808.0..1e21;
    if AS_INTEGER.contains(&double.abs()) {
        return Number::from_str(&format!("{double}")).ok();
    }
    Number::from_f64(double)
}

fn no_form(value: &dyn Val) -> String {
    match value.downcast_ref::<CelDouble>() {
        Some(double) => format!("the number {} has no JSON form", double.inner()),
        None => format!("a {} has no JSON form; write string(…)", value.get_type().name()),
    }
}

/// What a JSON value is, in the words of the documentation.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
