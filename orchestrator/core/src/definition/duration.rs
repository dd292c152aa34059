//! Durations: `500ms`, `30s`, `15m`, `2h`, `7d`, or ISO 8601.

use std::time::Duration;

pub(crate) const HELP: &str = "write 500ms, 30s, 15m, 2h, 7d, or ISO 8601 such as PT15M";

/// Longest span: beyond it due times would leave the calendar.
const MAX_DAYS: u64 = 3660;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What to write in place of `text`, which is no duration: the same span in one unit, where it is one in several or a
/// part of one.
pub(crate) fn help(text: &str) -> String {
    meant(text).map_or_else(|| HELP.to_owned(), |millis| format!("write {}", in_one_unit(millis)))
}

/// The milliseconds of `1h30m`, `2h 30m`, `1.5s`.
fn meant(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut millis = 0u64;
    while !rest.is_empty() {
        let number = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let unit = &rest[number..];
        let end = unit.find(|sign: char| !sign.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (_, size) = UNITS.iter().find(|(name, _)| *name == &unit[..end])?;
        millis = millis.checked_add(multiplied(&rest[..number], *size)?)?;
        rest = unit[end..].trim_start();
    }
    let span = format!("{millis}ms");
    parse(&span).is_ok().then_some(millis)
}

/// A number with a few digits behind its point, times `size`, if that is whole.
fn multiplied(number: &str, size: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let digits: u64 = format!("{whole}{part}").parse().ok()?;
    let product = digits.checked_mul(size)?;
    product.is_multiple_of(scale).then_some(product / scale)
}

fn in_one_unit(millis: u64) -> String {
    let whole = UNITS.iter().rev().find(|(_, size)| millis.is_multiple_of(*size));
    whole.map_or_else(|| format!("{millis}ms"), |(name, size)| format!("{}{name}", millis / size))
}

/// The span that `text` says, as definitions write it.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn span(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|wrong| format!("`{text}` is not a duration: {wrong}; {}", help(text)))
}

/// The span that `text` says; the error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let span = if text.starts_with(['P', 'p']) { iso(text)? } else { number_and_unit(text)? };
    if span.subsec_nanos() % 1_000_000 != 0 {
        return Err("the shortest unit is a millisecond".to_owned());
    }
    if span.is_zero() {
        return Err("it must be longer than 0".to_owned());
    }
    if span > Duration::from_secs(MAX_DAYS * 86_400) {
        return Err(format!("at most {MAX_DAYS}d are possible"));
    }
    Ok(span)
}

fn number_and_unit(text: &str) -> Result<Duration, String> {
    let split = text.find(|sign: char| !sign.is_ascii_digit()).ok_or("the unit is missing")?;
    let (number, unit) = text.split_at(split);
    if !UNITS.iter().any(|(name, _)| *name == unit) && meant(text).is_some() {
        return Err("write one whole number with one unit".to_owned());
    }
    let number: u64 = number
        .parse()
        .map_err(|_| if number.is_empty() { "a number must come first" } else { "the number is too large" })?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| no_unit(unit))?;
    number.checked_mul(*millis).map(Duration::from_millis).ok_or_else(|| "the number is too large".to_owned())
}

fn no_unit(unit: &str) -> String {
    let meant = match unit.trim().trim_start_matches('.').trim_end_matches('s').to_lowercase().as_str() {
        "m" | "milli" | "millisecond" | "msec" => "ms",
        "sec" | "second" => "s",
        "min" | "minute" => "m",
        "h" | "hr" | "hour" => "h",
        "d" | "day" => "d",
        _ => return format!("`{unit}` is not a unit"),
    };
    format!("`{unit}` is not a unit; did you mean `{meant}`?")
}

/// Days are 24 hours; months and years have no fixed length and are refused.
fn iso(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|_| "not ISO 8601")?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err("months and years have no fixed length".to_owned());
    }
    let exact = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| "not a span of time")?;
    Duration::try_from(exact).map_err(|_| "it must be longer than 0".to_owned())
}

/// A span in the file's own notation.
pub(crate) fn text(span: Duration) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = span.as_millis();
    let mut parts = Vec::new();
    for (name, size) in units {
        if rest >= size {
            parts.push(format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let cases = [("500ms", 500), ("30s", 30_000), ("15m", 900_000), ("2h", 7_200_000), ("7d", 604_800_000)];
        for (text, millis) in cases.into_iter().chain([
            ("PT15M", 900_000),
            ("P1DT1H", 90_000_000),
            ("PT0.5S", 500),
            ("P2W", 1_209_600_000),
        ]) {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_meant_is_written_in_one_unit() {
        for (text, meant) in [
            ("1h30m", "write 90m"),
            ("1.5s", "write 1500ms"),
            ("2h 30m", "write 150m"),
            ("1d12h", "write 36h"),
            ("0.5h", "write 30m"),
            ("1m30s500ms", "write 90500ms"),
        ] {
            assert!(parse(text).is_err(), "{text}");
            assert_eq!(help(text), meant);
            assert!(parse(meant.trim_start_matches("write ")).is_ok());
        }
        for text in ["0.5ms", "soon", "1h30", "0s", "9999d", "1.2.3s", "h"] {
            assert_eq!(help(text), HELP, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "15",
            "s",
            "1.5s",
            "15 m",
            "15M",
            "-1s",
            "0s",
            "P1M",
            "P1Y",
            "-PT1S",
            "99999999999999999999s",
            "9999d",
            "P",
            "1h30m",
            "PT0.0005S",
            "PT1.0001S",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
