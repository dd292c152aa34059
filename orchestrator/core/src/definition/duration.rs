//! Durations: `500ms`, `30s`, `15m`, `2h`, `7d`, or ISO 8601.

use std::time::Duration;

pub(crate) const HELP: &str = "write 500ms, 30s, 15m, 2h, 7d, or ISO 8601 such as PT15M";

/// Longest span: beyond it due times would leave the calendar.
const MAX_DAYS: u64 = 3660;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The span that `text` says, as definitions write it.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn span(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|wrong| format!("`{text}` is not a duration: {wrong}; {HELP}"))
}

/// The span that `text` says; the error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let span = if text.starts_with(['P', 'p']) { iso(text)? } else { number_and_unit(text)? };
    if span.subsec_nanos() % 1_000_000 != 0 {
        return Err("the shortest step is a millisecond".to_owned());
    }
    if span.is_zero() {
        return Err("it has to be longer than nothing".to_owned());
    }
    if span > Duration::from_secs(MAX_DAYS * 86_400) {
        return Err(format!("at most {MAX_DAYS}d are possible"));
    }
    Ok(span)
}

fn number_and_unit(text: &str) -> Result<Duration, String> {
    let split = text.find(|sign: char| !sign.is_ascii_digit()).ok_or("the unit is missing")?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number
        .parse()
        .map_err(|_| if number.is_empty() { "a number comes first" } else { "the number is too large" })?;
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
    format!("`{unit}` is not a unit, `{meant}` is")
}

/// Days are 24 hours; months and years have no fixed length and are refused.
fn iso(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text.parse().map_err(|_| "not ISO 8601")?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err("months and years have no fixed length".to_owned());
    }
    let exact = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| "not a span of time")?;
    Duration::try_from(exact).map_err(|_| "it has to be longer than nothing".to_owned())
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
