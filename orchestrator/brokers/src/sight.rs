//! When a client that knows no broker is told where to find one. Pure: the clock is an argument.

use super::Found;
use std::time::{Duration, Instant};

/// Before a client that still knows none is told again, or for the first time if it never knew any: an answer that was still under way can
/// make it forget what it was told. It keeps a copy of the list each time: in an outage of a day 17,000, a megabyte.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of the client's brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Known,
    /// It was made or told then, and has met none since.
    NoneSince(Instant),
}

impl Sight {
    pub(super) fn new(made: Instant) -> Sight {
        Sight::NoneSince(made)
    }

    pub(super) fn judge(&mut self, learned: usize, now: Instant) -> Found {
        if learned > 0 {
            *self = Sight::Known;
            return Found::Well;
        }
        let found = match *self {
            Sight::Known => Found::Lost,
            Sight::NoneSince(told) if now.duration_since(told) >= AGAIN => Found::StillLost,
            Sight::NoneSince(_) => return Found::Well,
        };
        *self = Sight::NoneSince(now);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_loses_its_brokers_is_told_at_once_and_then_now_and_then_until_it_meets_one() {
        let start = Instant::now();
        let mut sight = Sight::new(start);
        let mut seen = |learned, ms| sight.judge(learned, start + Duration::from_millis(ms));
        assert_eq!(seen(3, 100), Found::Well);
        assert_eq!(seen(0, 200), Found::Lost);
        assert_eq!(seen(0, 300), Found::Well);
        assert_eq!(seen(0, 5_199), Found::Well);
        assert_eq!(seen(0, 5_200), Found::StillLost);
        assert_eq!(seen(1, 5_300), Found::Well);
        assert_eq!(seen(0, 5_400), Found::Lost);
    }

    #[test]
    fn a_new_client_has_time_to_meet_one() {
        let start = Instant::now();
        let mut sight = Sight::new(start);
        assert_eq!(sight.judge(0, start), Found::Well);
        assert_eq!(sight.judge(0, start + AGAIN), Found::StillLost);
    }
}
