//! What bytes stand for.

use super::{BytesMeaning, LogicalFault, decimal, found};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

/// Bytes as an expression sees them.
pub(crate) fn bytes_value(meaning: BytesMeaning, bytes: &[u8]) -> Result<Value, LogicalFault> {
    match meaning {
        BytesMeaning::Plain => Ok(Value::String(STANDARD.encode(bytes))),
        BytesMeaning::Decimal { scale, .. } => {
            decimal::text(bytes, i64::try_from(scale).unwrap_or(i64::MAX)).map(Value::String)
        }
        BytesMeaning::BigDecimal => decimal::big_text(bytes).map(Value::String),
        BytesMeaning::Uuid => {
            let uuid = Uuid::from_slice(bytes).map_err(|_| length(meaning, 16, bytes))?;
            Ok(Value::String(uuid.to_string()))
        }
        BytesMeaning::Duration => duration(bytes).ok_or_else(|| length(meaning, 12, bytes)),
    }
}

/// The bytes that a value stands for; `size` is that of a fixed.
pub(crate) fn bytes_of(meaning: BytesMeaning, value: &Value, size: Option<usize>) -> Result<Vec<u8>, String> {
    let bytes = match meaning {
        BytesMeaning::Plain => {
            let text = text(value, "bytes in base64 such as \"AAEC\"")?;
            STANDARD
                .decode(text)
                .map_err(|_| "expected bytes in base64 such as \"AAEC\", found another text".to_owned())?
        }
        BytesMeaning::Decimal { precision, scale } => widened(decimal::unscaled(value, precision, scale)?, size)?,
        BytesMeaning::BigDecimal => decimal::big_bytes(value)?,
        BytesMeaning::Uuid => {
            let uuid: Result<Uuid, _> = text(value, "a UUID such as \"89791762-2336-4186-9674-299b90a802e2\"")?.parse();
            uuid.map_err(|_| "expected a UUID, found another text".to_owned())?.as_bytes().to_vec()
        }
        BytesMeaning::Duration => duration_bytes(value)?,
    };
    match size.filter(|size| *size != bytes.len()) {
        Some(size) => Err(format!("expected {size} bytes, found {}", bytes.len())),
        None => Ok(bytes),
    }
}

fn length(meaning: BytesMeaning, expected: usize, bytes: &[u8]) -> LogicalFault {
    LogicalFault::Length { meaning: meaning.word(), expected, found: bytes.len() }
}

/// Three integers of 32 bits, little-endian, without a sign.
fn duration(bytes: &[u8]) -> Option<Value> {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes else { return None };
    let of = u32::from_le_bytes;
    Some(json!({"months": of([a, b, c, d]), "days": of([e, f, g, h]), "millis": of([i, j, k, l])}))
}

fn duration_bytes(value: &Value) -> Result<Vec<u8>, String> {
    let expected = "expected a duration such as {\"months\": 1, \"days\": 2, \"millis\": 3}";
    let parts = value.as_object().ok_or_else(|| format!("{expected}, found {}", found(value)))?;
    let part = |name: &str| {
        let number = parts.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        number.map(u32::to_le_bytes).ok_or_else(|| format!("{expected}; `{name}` is no integer of 32 bits"))
    };
    if parts.len() != 3 {
        return Err(format!("{expected}, found {} entries", parts.len()));
    }
    Ok([part("months")?, part("days")?, part("millis")?].concat())
}

fn text<'v>(value: &'v Value, expected: &str) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("expected {expected}, found {}", found(value)))
}

/// A signed integer, filled up to the size of its fixed.
fn widened(unscaled: Vec<u8>, size: Option<usize>) -> Result<Vec<u8>, String> {
    let Some(size) = size else { return Ok(unscaled) };
    let missing = size
        .checked_sub(unscaled.len())
        .ok_or_else(|| format!("expected a decimal of at most {size} bytes, found one of {}", unscaled.len()))?;
    let fill = if unscaled.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    Ok([vec![fill; missing], unscaled].concat())
}
