//! When a client that knows no broker gets the bootstrap servers. Pure: the clock is an argument.

use super::BrokerCheckResult;
use std::time::{Duration, Instant};

/// Pause before a client that still knows no broker gets the bootstrap servers again, or the first time if it never
/// knew any. A response that was still under way can make it forget them. The client keeps a copy of the list each
/// time: in an outage of a day 17,000, a megabyte.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of the client's brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokerVisibility {
    Known,
    /// It was created, or got the bootstrap servers, at this time, and has met no broker since.
    NoneSince(Instant),
}

impl BrokerVisibility {
    pub(super) fn new(made: Instant) -> BrokerVisibility {
        BrokerVisibility::NoneSince(made)
    }

    pub(super) fn update(&mut self, learned: usize, now: Instant) -> BrokerCheckResult {
        if learned > 0 {
            *self = BrokerVisibility::Known;
            return BrokerCheckResult::Healthy;
        }
        let found = match *self {
            BrokerVisibility::Known => BrokerCheckResult::Lost,
            BrokerVisibility::NoneSince(told) if now.duration_since(told) >= AGAIN => BrokerCheckResult::StillLost,
            BrokerVisibility::NoneSince(_) => return BrokerCheckResult::Healthy,
        };
        *self = BrokerVisibility::NoneSince(now);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_loses_its_brokers_is_told_at_once_and_then_now_and_then_until_it_meets_one() {
        let start = Instant::now();
        let mut visibility = BrokerVisibility::new(start);
        let mut seen = |learned, ms| visibility.update(learned, start + Duration::from_millis(ms));
        assert_eq!(seen(3, 100), BrokerCheckResult::Healthy);
        assert_eq!(seen(0, 200), BrokerCheckResult::Lost);
        assert_eq!(seen(0, 300), BrokerCheckResult::Healthy);
        assert_eq!(seen(0, 5_199), BrokerCheckResult::Healthy);
        assert_eq!(seen(0, 5_200), BrokerCheckResult::StillLost);
        assert_eq!(seen(1, 5_300), BrokerCheckResult::Healthy);
        assert_eq!(seen(0, 5_400), BrokerCheckResult::Lost);
    }

    #[test]
    fn a_new_client_has_time_to_meet_one() {
        let start = Instant::now();
        let mut visibility = BrokerVisibility::new(start);
        assert_eq!(visibility.update(0, start), BrokerCheckResult::Healthy);
        assert_eq!(visibility.update(0, start + AGAIN), BrokerCheckResult::StillLost);
    }
}
