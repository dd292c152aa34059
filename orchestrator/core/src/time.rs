//! Points in time and spans of it, as numbers that can be stored.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC, as read from the owner's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The latest point that can be expressed; used as "never".
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// This point minus `span`, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Timestamp {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(span_ms))
    }

    /// This point plus `span`, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Timestamp {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(span_ms))
    }

    /// The span from `earlier` to this point; zero if this point is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `at` as RFC 3339 in UTC with milliseconds; a point outside of what a calendar holds as its number of milliseconds.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => at.0.to_string(),
    }
}

/// The time that an RFC 3339 text says, to the millisecond.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
}
