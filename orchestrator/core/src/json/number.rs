//! Numbers as JSON writes them: decimal digits, kept, compared and judged as such.

use super::JsonError;
use serde_json::Number;
use std::{cmp::Ordering, str::FromStr};

/// The longest number, sign, point and exponent included: 256 bits take 78 digits, and no decimal type in use takes
/// more than this.
pub const MAX_NUMBER_CHARS: usize = 128;
/// The largest exponent, positive or negative: a reader that writes the number out is not asked for more digits than
/// that.
pub const MAX_EXPONENT: i64 = 9_999;

/// How much of a long number an error shows.
const BEGINNING_CHARS: usize = 24;

/// The digits of an integer as they came; `None` of what is written with a point or an exponent, and of `-0`, which is
/// no integer's own text.
#[must_use]
pub fn integer_text(number: &Number) -> Option<&str> {
    let text = number.as_str();
    let is_integer = text != "-0" && !text.contains(['.', 'e', 'E']);
    is_integer.then_some(text)
}

pub(super) fn check(number: &Number) -> Result<(), JsonError> {
    let text = number.as_str();
    if text.len() > MAX_NUMBER_CHARS {
        return Err(JsonError::Number { beginning: text.chars().take(BEGINNING_CHARS).collect(), chars: text.len() });
    }
    let exponent = text.split_once(['e', 'E']).map_or(Ok(0), |(_, exponent)| exponent.parse::<i64>());
    if exponent.is_ok_and(|exponent| exponent.abs() <= MAX_EXPONENT) {
        return Ok(());
    }
    Err(JsonError::Exponent(text.to_owned()))
}

/// The same number in the one way in which it is compared; `None` if it is written so already.
pub(super) fn normalised(number: &Number) -> Option<Number> {
    if integer_text(number).is_some() {
        return None;
    }
    let text = DecimalNumber::of(number.as_str())?.to_string();
    Number::from_str(&text).ok()
}

/// Whether a double stands for exactly this number.
pub(crate) fn is_exact_double(text: &str) -> bool {
    exact_double(text).is_some()
}

/// The double of which `text` is the shortest decimal, zeros at its ends aside. Everybody computes with 0.1, which no
/// double is: what counts is that the double gives back the same digits.
pub(crate) fn exact_double(text: &str) -> Option<f64> {
    if is_short(text) { text.parse().ok() } else { DecimalNumber::of(text)?.as_exact_double() }
}

/// A double gives back any 15 digits; texts of so few characters without an exponent need no closer look.
fn is_short(text: &str) -> bool {
    text.len() <= 15 && !text.contains(['e', 'E'])
}

/// Digits that a quotient is given: what ends within those of a double ends within these, and 17 of the dividend before
/// them fit 128 bits.
const QUOTIENT_DIGITS: i64 = 20;

/// A decimal number, exactly: its digits without zeros at either end, and the power of ten of the last of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecimalNumber {
    is_negative: bool,
    /// The digits, most significant first; empty for zero.
    digits: String,
    exponent: i64,
}

impl DecimalNumber {
    /// The number that `text` writes; `None` if it writes none, or its exponent is beyond all bounds.
    pub(crate) fn of(text: &str) -> Option<DecimalNumber> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let significant = digits.trim_end_matches('0');
        let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Some(DecimalNumber { is_negative: false, digits: String::new(), exponent: 0 });
        }
        Some(DecimalNumber { is_negative, digits: significant.to_owned(), exponent: exponent.checked_add(dropped)? })
    }

    /// The decimal that a double stands for: the shortest that reads back as it. `None` if it is not finite.
    pub(crate) fn of_double(double: f64) -> Option<DecimalNumber> {
        if double.is_finite() { DecimalNumber::of(&format!("{double:e}")) } else { None }
    }

    /// The double that stands for this number and for no other decimal of its length.
    pub(crate) fn as_exact_double(&self) -> Option<f64> {
        let double: f64 = self.to_string().parse().ok()?;
        (DecimalNumber::of_double(double)? == *self).then_some(double)
    }

    /// The number without point and exponent, if it is whole and has at most 20 digits.
    pub(crate) fn as_whole(&self) -> Option<i128> {
        let zeros = usize::try_from(self.exponent).ok().filter(|zeros| self.digits.len() + zeros <= 20)?;
        let magnitude: i128 = format!("{:0<width$}", self.digits, width = self.digits.len() + zeros).parse().ok()?;
        Some(if self.is_negative { -magnitude } else { magnitude })
    }

    /// The sum, if it has at most as many digits as are computed with.
    pub(crate) fn plus(&self, other: &DecimalNumber) -> Option<DecimalNumber> {
        match (self.sign(), other.sign()) {
            (0, _) => return Some(other.clone()),
            (_, 0) => return Some(self.clone()),
            (_, _) => {}
        }
        let exponent = self.exponent.min(other.exponent);
        let sum = self.mantissa_at(exponent)?.checked_add(other.mantissa_at(exponent)?)?;
        DecimalNumber::of(&format!("{sum}e{exponent}"))
    }

    /// The difference, exactly; `None` as with [`DecimalNumber::plus`].
    pub(crate) fn minus(&self, other: &DecimalNumber) -> Option<DecimalNumber> {
        let is_negative = !other.is_negative && !other.digits.is_empty();
        self.plus(&DecimalNumber { is_negative, ..other.clone() })
    }

    /// The product, exactly; `None` as with [`DecimalNumber::plus`].
    pub(crate) fn times(&self, other: &DecimalNumber) -> Option<DecimalNumber> {
        let product = self.mantissa_at(self.exponent)?.checked_mul(other.mantissa_at(other.exponent)?)?;
        DecimalNumber::of(&format!("{product}e{}", self.exponent.checked_add(other.exponent)?))
    }

    /// The quotient, if it ends within as many digits as a double has.
    pub(crate) fn divided_by(&self, other: &DecimalNumber) -> Option<DecimalNumber> {
        let shifted = self.mantissa_at(self.exponent.checked_sub(QUOTIENT_DIGITS)?)?;
        let divisor = other.mantissa_at(other.exponent)?;
        let is_exact = divisor != 0 && shifted % divisor == 0;
        let exponent = self.exponent.checked_sub(QUOTIENT_DIGITS)?.checked_sub(other.exponent)?;
        is_exact.then(|| DecimalNumber::of(&format!("{}e{exponent}", shifted / divisor)))?
    }

    /// Its digits as a whole number times this power of ten, which is none above its own; `None` beyond 38 digits.
    fn mantissa_at(&self, exponent: i64) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = u32::try_from(self.exponent.checked_sub(exponent)?).ok()?;
        let magnitude = self.digits.parse::<i128>().ok()?.checked_mul(10_i128.checked_pow(zeros)?)?;
        Some(if self.is_negative { -magnitude } else { magnitude })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// Of two numbers that are not zero, without their signs. The power of ten of the first digit decides, then the
    /// digits do.
    fn cmp_magnitude(&self, other: &DecimalNumber) -> Ordering {
        let lead = |it: &DecimalNumber| it.exponent.saturating_add(i64::try_from(it.digits.len()).unwrap_or(i64::MAX));
        lead(self).cmp(&lead(other)).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl std::fmt::Display for DecimalNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        let digits = if self.digits.is_empty() { "0" } else { &self.digits };
        write!(f, "{sign}{digits}e{}", self.exponent)
    }
}

impl PartialOrd for DecimalNumber {
    fn partial_cmp(&self, other: &DecimalNumber) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DecimalNumber {
    fn cmp(&self, other: &DecimalNumber) -> Ordering {
        let by_magnitude = || match self.sign() {
            0 => Ordering::Equal,
            1 => self.cmp_magnitude(other),
            _ => other.cmp_magnitude(self),
        };
        self.sign().cmp(&other.sign()).then_with(by_magnitude)
    }
}
