//! Values of records: JSON within bounds.

use super::poison::{Poison, PoisonCode};
use serde_json::Value;

/// The largest record whose content is looked at: key, value and headers together. Larger ones are poison, whatever they hold.
pub const LARGEST_RECORD: usize = 1024 * 1024;

/// `bytes` as JSON. Total: bounded in depth by the parser, in size by the caller.
///
/// # Errors
/// It is not JSON, or a string in it contains NUL.
pub fn json(bytes: &[u8]) -> Result<Value, Poison> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| Poison::new(PoisonCode::NotJson, error.to_string()))?;
    refuse_nul(&value)?;
    Ok(value)
}

/// `text` unless it contains NUL.
///
/// # Errors
/// It does; `what` names it.
pub fn without_nul<'a>(text: &'a str, what: &str) -> Result<&'a str, Poison> {
    if text.contains('\0') {
        return Err(Poison::new(PoisonCode::Nul, format!("{what} contains NUL")));
    }
    Ok(text)
}

/// Bytes as text, where they are text that can be stored: UTF-8 without NUL. Binary keys and headers are none.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Depth is bounded by the parser's 128 levels.
fn refuse_nul(value: &Value) -> Result<(), Poison> {
    match value {
        Value::String(text) => without_nul(text, "a string").map(drop),
        Value::Array(items) => items.iter().try_for_each(refuse_nul),
        Value::Object(entries) => entries.iter().try_for_each(|(name, value)| {
            without_nul(name, "a name")?;
            refuse_nul(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(bytes: &[u8]) -> PoisonCode {
        json(bytes).expect_err("poison").code
    }

    #[test]
    fn what_is_not_json_is_an_error_and_never_a_panic() {
        for bytes in [&b""[..], b"{", b"\xff", b"{} {}", "[".repeat(100_000).as_bytes()] {
            assert_eq!(code(bytes), PoisonCode::NotJson);
        }
    }

    #[test]
    fn nul_is_found_wherever_it_hides() {
        for text in [r#""\u0000""#, r#"{"a":["b\u0000"]}"#, r#"{"a\u0000":1}"#] {
            assert_eq!(code(text.as_bytes()), PoisonCode::Nul);
        }
        assert!(json(br#"{"a":"\\u0000"}"#).is_ok());
    }
}
