//! Decimals: an integer of any length and a scale, as a text that keeps both.

use super::{LogicalFault, found};
use crate::binary::{read_long, write_long};
use num_bigint::{BigInt, Sign};
use serde_json::Value;

/// Most bytes of the unscaled value of a decimal: some 2,400 digits. Turning it into digits takes time that grows with
/// the square of its length.
pub(crate) const MAX_DECIMAL_BYTES: usize = 1024;
/// Largest scale, to both sides: every step is a digit that no byte of the record pays for.
pub(crate) const MAX_SCALE: i64 = 4096;

/// `-12.50` for the bytes of -1250 at scale 2.
pub(super) fn text(unscaled: &[u8], scale: i64) -> Result<String, LogicalFault> {
    if unscaled.len() > MAX_DECIMAL_BYTES {
        return Err(LogicalFault::DecimalLength { found: unscaled.len() });
    }
    let places = usize::try_from(scale.unsigned_abs()).ok().filter(|_| scale.abs() <= MAX_SCALE);
    let places = places.ok_or(LogicalFault::Scale { found: scale })?;
    let (is_negative, digits) = digits(unscaled);
    let sign = if is_negative { "-" } else { "" };
    if scale <= 0 {
        let zeros = if digits == "0" { 0 } else { places };
        return Ok(format!("{sign}{digits}{}", "0".repeat(zeros)));
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    Ok(format!("{sign}{whole}.{fraction}"))
}

/// `-12.50` for a big-decimal, which carries its scale.
pub(super) fn big_text(bytes: &[u8]) -> Result<String, LogicalFault> {
    let (length, used) = read_long(bytes).ok_or(LogicalFault::BigDecimal)?;
    let length = usize::try_from(length).map_err(|_| LogicalFault::BigDecimal)?;
    let rest = &bytes[used..];
    let unscaled = rest.get(..length).ok_or(LogicalFault::BigDecimal)?;
    match read_long(&rest[length..]) {
        Some((scale, used)) if length + used == rest.len() => text(unscaled, scale),
        Some(_) | None => Err(LogicalFault::BigDecimal),
    }
}

/// The unscaled value of a text, at this scale and within this precision.
pub(super) fn unscaled(value: &Value, precision: usize, scale: usize) -> Result<Vec<u8>, String> {
    let (negative, mut digits, places) = parts(value)?;
    if places <= scale {
        if scale - places > usize::try_from(MAX_SCALE).unwrap_or(usize::MAX) {
            return Err(format!("the schema's scale {scale} is beyond what is written"));
        }
        digits.push_str(&"0".repeat(scale - places));
    } else {
        let cut = digits.split_off(digits.len() - (places - scale));
        if cut.bytes().any(|digit| digit != b'0') {
            return Err(format!("expected at most {scale} digits after the point, found {places}"));
        }
    }
    let significant = digits.trim_start_matches('0').len();
    if significant > precision {
        return Err(format!("expected at most {precision} digits, found {significant}"));
    }
    Ok(integer(negative, &digits))
}

/// The bytes of a big-decimal, which carries its scale.
pub(super) fn big_bytes(value: &Value) -> Result<Vec<u8>, String> {
    let (negative, digits, places) = parts(value)?;
    let unscaled = integer(negative, &digits);
    let mut bytes = Vec::with_capacity(unscaled.len() + 4);
    write_long(&mut bytes, i64::try_from(unscaled.len()).map_err(|_| "the decimal is too long")?);
    bytes.extend(unscaled);
    write_long(&mut bytes, i64::try_from(places).map_err(|_| "the decimal is too long")?);
    Ok(bytes)
}

/// Whether it is negative, and the digits of the amount.
fn digits(unscaled: &[u8]) -> (bool, String) {
    if unscaled.len() <= 16 {
        let fill = if unscaled.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 16];
        wide[16 - unscaled.len()..].copy_from_slice(unscaled);
        let number = i128::from_be_bytes(wide);
        return (number < 0, number.unsigned_abs().to_string());
    }
    let number = BigInt::from_signed_bytes_be(unscaled);
    (number.sign() == Sign::Minus, number.magnitude().to_string())
}

/// Whether a decimal is negative, its digits without the point, and how many of them stand after the point.
fn parts(value: &Value) -> Result<(bool, String, usize), String> {
    let expected = "expected a decimal such as \"12.50\"";
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("{expected}, found {}", found(other))),
    };
    let amount = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let is_number = !whole.is_empty() && amount.len() <= MAX_DECIMAL_BYTES && !amount.ends_with('.');
    if !is_number || !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        return Err(format!("{expected}, found another text"));
    }
    Ok((text.starts_with('-'), format!("{whole}{fraction}"), fraction.len()))
}

fn integer(negative: bool, digits: &str) -> Vec<u8> {
    let amount: BigInt = digits.parse().unwrap_or_default();
    if negative { (-amount).to_signed_bytes_be() } else { amount.to_signed_bytes_be() }
}
