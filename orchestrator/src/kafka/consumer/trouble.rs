//! Whether something hinders intake. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// A trouble is over when the broker answers and no error came for this long.
const QUIET: Duration = Duration::from_secs(3);

/// How often the broker is asked while there is trouble.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What hinders intake, and when to ask whether it still does.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    message: String,
    since: Instant,
    last: Instant,
    next_probe: Instant,
}

impl Trouble {
    /// An error came. True if it is news.
    pub(super) fn heard(&mut self, message: &str, now: Instant) -> bool {
        let next_probe = now + PROBE_EVERY;
        let news = self.known.as_ref().is_none_or(|known| known.message != message);
        let since = self.since().unwrap_or(now);
        self.known = Some(Known { message: message.to_owned(), since, last: now, next_probe });
        news
    }

    /// Whether to ask the broker now.
    pub(super) fn probe_due(&mut self, now: Instant) -> bool {
        let Some(known) = &mut self.known else { return false };
        let due = now >= known.next_probe;
        if due {
            known.next_probe = now + PROBE_EVERY;
        }
        due
    }

    /// The broker answered. True if that ends the trouble.
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
        let mut trouble = Trouble::default();
        assert!(trouble.heard("down", start));
        assert!(!trouble.heard("down", start));
        assert!(trouble.heard("not authorised", start));
        assert!(!trouble.probe_due(start));
        assert!(trouble.probe_due(start + PROBE_EVERY));
        assert!(!trouble.probe_due(start + PROBE_EVERY));
        assert!(!trouble.answered(start + PROBE_EVERY));
        trouble.heard("not authorised", start + Duration::from_millis(1));
        assert_eq!(trouble.since(), Some(start));
        assert!(trouble.answered(start + QUIET + Duration::from_millis(1)));
        assert_eq!(trouble.message(), None);
        assert!(!trouble.answered(start + QUIET + Duration::from_millis(1)));
        assert_eq!(trouble.since(), None);
    }
}
