//! The `Retry-After` header.

use std::time::{Duration, SystemTime};

/// Longest span that a participant can ask for: a saga must not rest for a day because of a typing error in a date.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// The span that a `Retry-After` asks for, capped; `None` if it is neither seconds nor a date.
pub(super) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let span = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(span.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_dates_and_caps_both() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        let check = |value, seconds: Option<u64>| assert_eq!(parse(value, now), seconds.map(Duration::from_secs));
        check("7", Some(7));
        check(" 86400 ", Some(600));
        check("99999999999999999999999", Some(600));
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
        check("Mon, 06 Nov 1995 08:49:27 GMT", Some(600));
        check("soon", None);
        check("-1", None);
        check("", None);
    }
}
