//! Whether something hinders intake. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// A trouble is over when everything can be read and no error came for this long.
const QUIET: Duration = Duration::from_secs(3);

/// Tracks the error of the client that hinders intake, and since when.
#[derive(Debug, Default)]
pub(super) struct ClientErrorTracker {
    ongoing: Option<OngoingClientError>,
}

#[derive(Debug)]
struct OngoingClientError {
    message: String,
    since: Instant,
    last: Instant,
}

impl ClientErrorTracker {
    /// An error came. True if it is news.
    pub(super) fn on_error(&mut self, message: &str, now: Instant) -> bool {
        let news = self.ongoing.as_ref().is_none_or(|ongoing| ongoing.message != message);
        let since = self.since().unwrap_or(now);
        self.ongoing = Some(OngoingClientError { message: message.to_owned(), since, last: now });
        news
    }

    /// Everything could be read. True if that ends them.
    pub(super) fn on_success(&mut self, now: Instant) -> bool {
        let over = self.ongoing.as_ref().is_some_and(|ongoing| now.duration_since(ongoing.last) >= QUIET);
        if over {
            self.ongoing = None;
        }
        over
    }

    /// What hinders intake now.
    pub(super) fn message(&self) -> Option<&str> {
        self.ongoing.as_ref().map(|ongoing| ongoing.message.as_str())
    }

    /// Since when something has hindered it, whatever it was.
    pub(super) fn since(&self) -> Option<Instant> {
        self.ongoing.as_ref().map(|ongoing| ongoing.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_and_ends_after_an_answer_and_some_quiet() {
        let start = Instant::now();
        let mut errors = ClientErrorTracker::default();
        assert!(errors.on_error("down", start));
        assert!(!errors.on_error("down", start));
        assert!(errors.on_error("not authorised", start));
        assert!(!errors.on_success(start + Duration::from_secs(1)));
        errors.on_error("not authorised", start + Duration::from_millis(1));
        assert_eq!(errors.since(), Some(start));
        assert!(errors.on_success(start + QUIET + Duration::from_millis(1)));
        assert_eq!(errors.message(), None);
        assert!(!errors.on_success(start + QUIET + Duration::from_millis(1)));
        assert_eq!(errors.since(), None);
    }
}
