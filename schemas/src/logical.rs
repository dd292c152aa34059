//! What Avro's numbers and bytes stand for, as JSON, and back: dates, times, decimals, UUIDs, durations.
//!
//! Back, the errors are for people: what was expected, and what was found.

mod bytes;
mod decimal;
mod meaning;
mod time;

pub(crate) use bytes::{bytes_of, bytes_value};
pub(crate) use decimal::{MAX_DECIMAL_BYTES, MAX_SCALE};
pub(crate) use meaning::{BytesMeaning, IntMeaning, LongMeaning, TextMeaning, TimeUnit};
pub(crate) use time::{int_of, int_value, long_of, long_value};

/// Why a number, or bytes, do not stand for what their logical type says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogicalFault {
    /// A date or an instant outside of the years 0000 to 9999.
    #[error("{found} as {meaning} is outside of the years 0000 to 9999")]
    Year {
        /// The logical type.
        meaning: &'static str,
        /// The number.
        found: i64,
    },
    /// A time of day outside of one day.
    #[error("{found} as {meaning} is not a time of a day")]
    TimeOfDay {
        /// The logical type.
        meaning: &'static str,
        /// The number.
        found: i64,
    },
    /// A decimal of more bytes than are taken.
    #[error("the decimal has {found} bytes; at most {MAX_DECIMAL_BYTES} are taken")]
    DecimalLength {
        /// Bytes of the unscaled value.
        found: usize,
    },
    /// A decimal with more digits after the point, or zeros before it, than are taken.
    #[error("the decimal has the scale {found}; scales of -{MAX_SCALE} to {MAX_SCALE} are taken")]
    Scale {
        /// The scale.
        found: i64,
    },
    /// The bytes of a big-decimal do not hold an unscaled value and a scale.
    #[error("the bytes are no big-decimal; expected the bytes of the unscaled value, and the scale")]
    BigDecimal,
    /// The bytes have not the length that their logical type has.
    #[error("{meaning} has {expected} bytes, not {found}")]
    Length {
        /// The logical type.
        meaning: &'static str,
        /// The length that it has.
        expected: usize,
        /// The length that was found.
        found: usize,
    },
}

/// What stands where something else was expected; never its content, which may be a secret.
pub(crate) fn found(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests;
