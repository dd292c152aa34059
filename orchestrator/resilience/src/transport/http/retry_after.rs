//! The `Retry-After` header: on which answers it counts, and what it says.

use super::{client::HttpResponse, single_header::ParsedHeader};
use hyper::header::RETRY_AFTER;
use saga_core::command::{CommandAnswer, ErrorClass};
use std::time::{Duration, SystemTime};

/// Longest span that a participant can ask for. The rest is on record and survives restarts, so it may be long; but a
/// saga must not rest for a day because of a typing error in a date.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What `response` asks for; `Ok(None)`: nothing.
///
/// # Errors
/// It asks for something that cannot be read; why, for people.
pub(super) fn of(response: &HttpResponse) -> Result<Option<Duration>, String> {
    match ParsedHeader::by(response, &RETRY_AFTER) {
        ParsedHeader::Absent => Ok(None),
        ParsedHeader::Unreadable(why) => Err(why),
        ParsedHeader::Value(value) => match parse(&value, SystemTime::now()) {
            Some(span) => Ok(Some(span)),
            None => Err(format!("`retry-after` is `{value}`, expected seconds or a date")),
        },
    }
}

/// `answer` to a request with `status`, without its hint where that means nothing: it counts where the participant asks
/// for fewer calls or is unavailable for a time. Elsewhere servers send it for reasons of their own.
pub(super) fn where_it_counts(status: u16, mut answer: CommandAnswer) -> CommandAnswer {
    match &mut answer {
        CommandAnswer::Failed { failure, retry_after, .. } | CommandAnswer::Unknown { failure, retry_after, .. } => {
            if !matches!(status, 408 | 429 | 503) && failure.class != Some(ErrorClass::RateLimit) {
                *retry_after = None;
            }
        }
        CommandAnswer::Succeeded { .. } | CommandAnswer::Ongoing { .. } | CommandAnswer::NotSent { .. } => {}
    }
    answer
}

/// The span that a `Retry-After` asks for, capped; `None` if it is neither seconds nor a date. A date that is past asks
/// for nothing.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let span = if is_number {
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(span.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_core::command::{CommandFailure, RetryAdvice};

    #[test]
    fn reads_seconds_and_dates_and_caps_both() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let check = |value, seconds: Option<u64>| {
            assert_eq!(parse(value, now), seconds.map(Duration::from_secs), "`{value}`");
        };
        check("7", Some(7));
        check("0", Some(0));
        check(" 86400 ", Some(3_600));
        // Larger than 32 and than 64 bits.
        check("9999999999", Some(3_600));
        check("99999999999999999999999", Some(3_600));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sunday, 06-Nov-94 08:49:47 GMT", Some(10));
        check("Sun Nov  6 08:49:47 1994", Some(10));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Mon, 06 Nov 1995 08:49:27 GMT", Some(3_600));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(3_600));
    }

    #[test]
    fn what_is_neither_seconds_nor_a_date_asks_for_nothing() {
        // Lenient readers take the second one for a year.
        for value in ["-1", "-3", "+5", "1.5", "1e3", "0x10", "٣", "soon", "5 seconds", "2026-11-21", "", " "] {
            assert_eq!(parse(value, SystemTime::UNIX_EPOCH), None, "`{value}`");
        }
    }

    #[test]
    fn it_counts_where_the_participant_asks_for_fewer_calls_or_is_away() {
        let hint = Some(Duration::from_secs(7));
        let failed = |class| CommandAnswer::Failed {
            failure: CommandFailure::new("", "").of_class(class),
            retry: RetryAdvice::Yes,
            retry_after: hint,
        };
        let kept = |status, class| match where_it_counts(status, failed(class)) {
            CommandAnswer::Failed { retry_after, .. } => retry_after == hint,
            other => panic!("{other:?}"),
        };
        for status in [408, 429, 503] {
            assert!(kept(status, ErrorClass::ServerError), "{status}");
        }
        assert!(kept(418, ErrorClass::RateLimit));
        for status in [401, 409, 413, 500, 502] {
            assert!(!kept(status, ErrorClass::ClientError), "{status}");
        }
    }
}
