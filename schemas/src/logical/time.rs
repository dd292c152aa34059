//! Dates, times of day and instants.

use super::{IntMeaning, LogicalFault, LongMeaning, TimeUnit, found};
use jiff::{
    SignedDuration, Span, Timestamp,
    civil::{self, Date, DateTime, Time},
    fmt::temporal::Pieces,
    tz::TimeZone,
};
use serde_json::Value;

const EPOCH: Date = civil::date(1970, 1, 1);
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// An `int` as an expression sees it.
pub(crate) fn int_value(meaning: IntMeaning, number: i32) -> Result<Value, LogicalFault> {
    match meaning {
        IntMeaning::Plain => Ok(Value::from(number)),
        IntMeaning::Date => {
            let days = Span::new().try_days(number).ok();
            let date = days.and_then(|days| EPOCH.checked_add(days).ok()).filter(|date| date.year() >= 0);
            let found = i64::from(number);
            date.map(|date| Value::String(date.to_string())).ok_or(LogicalFault::Year { meaning: "date", found })
        }
        IntMeaning::TimeMillis => time_of_day(i64::from(number).saturating_mul(1000))
            .ok_or(LogicalFault::TimeOfDay { meaning: meaning.word(), found: i64::from(number) }),
    }
}

/// A `long` as an expression sees it.
pub(crate) fn long_value(meaning: LongMeaning, number: i64) -> Result<Value, LogicalFault> {
    let year = || LogicalFault::Year { meaning: meaning.word(), found: number };
    match meaning {
        LongMeaning::Plain => Ok(Value::from(number)),
        LongMeaning::TimeMicros => {
            time_of_day(number).ok_or(LogicalFault::TimeOfDay { meaning: meaning.word(), found: number })
        }
        LongMeaning::Timestamp(unit) => {
            instant(unit, number).map(|instant| Value::String(format!("{instant}Z"))).ok_or_else(year)
        }
        LongMeaning::LocalTimestamp(unit) => {
            instant(unit, number).map(|local| Value::String(local.to_string())).ok_or_else(year)
        }
    }
}

/// The `int` that a value stands for.
pub(crate) fn int_of(meaning: IntMeaning, value: &Value) -> Result<i32, String> {
    let number = match meaning {
        IntMeaning::Plain => integer(value, "an integer of 32 bits such as 4711")?,
        IntMeaning::Date => {
            let date: Date = parsed(value, "a date such as \"2026-11-30\"")?;
            date.since(EPOCH).map(|span| i64::from(span.get_days())).map_err(|error| error.to_string())?
        }
        IntMeaning::TimeMillis => whole(nanos_of_day(value)?, NANOS_PER_MILLI, meaning.word())?,
    };
    i32::try_from(number).map_err(|_| format!("expected an integer of 32 bits, found {number}"))
}

/// The `long` that a value stands for.
pub(crate) fn long_of(meaning: LongMeaning, value: &Value) -> Result<i64, String> {
    match meaning {
        LongMeaning::Plain => integer(value, "an integer of 64 bits such as 4711"),
        LongMeaning::TimeMicros => whole(nanos_of_day(value)?, NANOS_PER_MICRO, meaning.word()),
        LongMeaning::Timestamp(unit) => {
            let InstantText(instant) = parsed(value, "an instant such as \"2026-11-30T16:00:00Z\"")?;
            number_of(unit, instant, meaning.word())
        }
        LongMeaning::LocalTimestamp(unit) => {
            let expected = "a time without a zone such as \"2026-11-30T16:00:00\"";
            let local: DateTime = parsed(value, expected)?;
            if value.as_str().is_some_and(has_offset) {
                return Err(format!("expected {expected}, found one with an offset"));
            }
            number_of(unit, local, meaning.word())
        }
    }
}

/// `None`: outside of one day.
fn time_of_day(micros: i64) -> Option<Value> {
    let in_day = (0..MICROS_PER_DAY).contains(&micros);
    let nanos = in_day.then(|| Span::new().try_microseconds(micros).ok()).flatten()?;
    Some(Value::String(Time::midnight().checked_add(nanos).ok()?.to_string()))
}

/// In UTC. `None`: outside of the years 0000 to 9999.
fn instant(unit: TimeUnit, number: i64) -> Option<DateTime> {
    let since = match unit {
        TimeUnit::Millis => SignedDuration::from_millis(number),
        TimeUnit::Micros => SignedDuration::from_micros(number),
        TimeUnit::Nanos => SignedDuration::from_nanos(number),
    };
    EPOCH.to_datetime(Time::midnight()).checked_add(since).ok().filter(|instant| instant.year() >= 0)
}

/// An instant in UTC.
struct InstantText(DateTime);

impl std::str::FromStr for InstantText {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<InstantText, jiff::Error> {
        let early = match text.parse::<Timestamp>() {
            Ok(instant) => return Ok(InstantText(TimeZone::UTC.to_datetime(instant))),
            Err(error) => error,
        };
        // A timestamp ends 26 hours before its year does. "For ever" is often the last moment of the year 9999.
        let pieces = Pieces::parse(text)?;
        let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else { return Err(early) };
        let offset = SignedDuration::from_secs(i64::from(offset.seconds()));
        pieces.date().to_datetime(time).checked_sub(offset).map(InstantText)
    }
}

fn number_of(unit: TimeUnit, instant: DateTime, meaning: &str) -> Result<i64, String> {
    let divisor = match unit {
        TimeUnit::Millis => NANOS_PER_MILLI,
        TimeUnit::Micros => NANOS_PER_MICRO,
        TimeUnit::Nanos => 1,
    };
    whole(instant.duration_since(EPOCH.to_datetime(Time::midnight())).as_nanos(), divisor, meaning)
}

/// The nanoseconds in the unit of `divisor`, if nothing is lost.
fn whole(nanos: i128, divisor: i64, meaning: &str) -> Result<i64, String> {
    let divisor = i128::from(divisor);
    if nanos % divisor != 0 {
        return Err(format!("expected a time that {meaning} holds, found one with more digits after the second"));
    }
    i64::try_from(nanos / divisor).map_err(|_| format!("expected a time that {meaning} holds, found one beyond it"))
}

fn nanos_of_day(value: &Value) -> Result<i128, String> {
    let time: Time = parsed(value, "a time such as \"16:00:00.5\"")?;
    let since = time.duration_since(Time::midnight());
    Ok(since.as_nanos())
}

fn integer(value: &Value, expected: &str) -> Result<i64, String> {
    match value {
        Value::Number(number) => number.as_i64().ok_or_else(|| {
            let help =
                if number.is_u64() { "" } else { ": write it without a point; in an expression, int(…) around it" };
            format!("expected {expected}, found another number{help}")
        }),
        other => Err(format!("expected {expected}, found {}", found(other))),
    }
}

fn parsed<T: std::str::FromStr>(value: &Value, expected: &str) -> Result<T, String> {
    let Value::String(text) = value else { return Err(format!("expected {expected}, found {}", found(value))) };
    text.parse().map_err(|_| format!("expected {expected}, found another text"))
}

/// `2026-11-30T16:00:00+01:00`; the hyphens of the date do not count.
fn has_offset(text: &str) -> bool {
    let time = text.split_once(['T', 't', ' ']).map_or("", |(_, time)| time);
    time.contains(['+', '-', 'Z', 'z', '['])
}
