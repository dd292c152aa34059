//! Whether something hinders intake. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// A trouble is over when everything can be read and no error came for this long.
const QUIET: Duration = Duration::from_secs(3);

/// What hinders intake.
#[derive(Debug, Default)]
pub(super) struct ClientErrorTracker {
    known: Option<OngoingClientError>,
}

#[derive(Debug)]
struct OngoingClientError {
    message: String,
    since: Instant,
    last: Instant,
}

impl ClientErrorTracker {
    /// An error came. True if it is news.
    pub(super) fn heard(&mut self, message: &str, now: Instant) -> bool {
        let news = self.known.as_ref().is_none_or(|known| known.message != message);
        let since = self.since().unwrap_or(now);
        self.known = Some(OngoingClientError { message: message.to_owned(), since, last: now });
        news
    }

    /// Everything could be read. True if that ends the trouble.
    pub(super) fn answered(&mut self, now: Instant) -> bool {
        let over = self.known.as_ref().is_some_and(|known| now.duration_since(known.last) >= QUIET);
        if over {
            self.known = None;
        }
        over
    }

    /// What hinders intake now.
    pub(super) fn message(&self) -> Option<&str> {
        self.known.as_ref().map(|known| known.message.as_str())
    }

    /// Since when something has hindered it, whatever it was.
    pub(super) fn since(&self) -> Option<Instant> {
        self.known.as_ref().map(|known| known.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_and_ends_after_an_answer_and_some_quiet() {
        let start = Instant::now();
        let mut trouble = ClientErrorTracker::default();
        assert!(trouble.heard("down", start));
        assert!(!trouble.heard("down", start));
        assert!(trouble.heard("not authorised", start));
        assert!(!trouble.answered(start + Duration::from_secs(1)));
        trouble.heard("not authorised", start + Duration::from_millis(1));
        assert_eq!(trouble.since(), Some(start));
        assert!(trouble.answered(start + QUIET + Duration::from_millis(1)));
        assert_eq!(trouble.message(), None);
        assert!(!trouble.answered(start + QUIET + Duration::from_millis(1)));
        assert_eq!(trouble.since(), None);
    }
}
