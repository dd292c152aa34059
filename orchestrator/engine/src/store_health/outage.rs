//! When the log tells of an outage of the event store: once when it begins, now and then while it lasts, once when it
//! is over. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// The time between two log lines about an outage that lasts.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// An outage is over when a write is confirmed and nothing has failed for this long: of what fails beside writes, each
/// is tried again sooner.
const QUIET: Duration = Duration::from_secs(5);

/// Whether the store is unavailable, as far as the tasks that use it know.
#[derive(Debug, Default)]
pub(super) struct StoreOutage {
    lasting: Option<OngoingStoreOutage>,
}

#[derive(Debug)]
struct OngoingStoreOutage {
    since: Instant,
    failed: Instant,
    said: Instant,
    tries: u64,
}

/// A change of the outage that the log reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreOutageNotice {
    /// The first try failed: an outage began.
    Began,
    /// The outage goes on, and has lasted for this span.
    Lasts(StoreOutageSpan),
    /// The outage is over, and lasted for this span.
    Over(StoreOutageSpan),
}

/// How long, and how many tries failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreOutageSpan {
    pub(super) lasted: Duration,
    pub(super) tries: u64,
}

impl StoreOutage {
    /// Notes that a try failed. Returns what the log should report now, if anything.
    pub(super) fn failed(&mut self, now: Instant) -> Option<StoreOutageNotice> {
        let Some(lasting) = &mut self.lasting else {
            self.lasting = Some(OngoingStoreOutage { since: now, failed: now, said: now, tries: 1 });
            return Some(StoreOutageNotice::Began);
        };
        (lasting.failed, lasting.tries) = (now, lasting.tries + 1);
        if now.saturating_duration_since(lasting.said) < SAY_AGAIN {
            return None;
        }
        lasting.said = now;
        Some(StoreOutageNotice::Lasts(lasting.seen(now)))
    }

    /// Notes that a write was confirmed. Returns a notice if that ends the outage.
    pub(super) fn answered(&mut self, now: Instant) -> Option<StoreOutageNotice> {
        let over = |lasting: &mut OngoingStoreOutage| now.saturating_duration_since(lasting.failed) >= QUIET;
        let lasting = self.lasting.take_if(over)?;
        Some(StoreOutageNotice::Over(lasting.seen(lasting.failed)))
    }
}

impl OngoingStoreOutage {
    fn seen(&self, until: Instant) -> StoreOutageSpan {
        StoreOutageSpan { lasted: until.saturating_duration_since(self.since), tries: self.tries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_of_when_it_begins_now_and_then_and_when_it_is_over() {
        let (mut outage, start) = (StoreOutage::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        // 64 shards, whose tries fail together every two seconds.
        let mut told = Vec::new();
        for second in (0..=90).step_by(2) {
            told.extend((0..64).filter_map(|_| outage.failed(at(second))).map(|news| (second, news)));
        }
        let lasts = StoreOutageSpan { lasted: Duration::from_secs(60), tries: 30 * 64 + 1 };
        assert_eq!(told, [(0, StoreOutageNotice::Began), (60, StoreOutageNotice::Lasts(lasts))]);
        assert_eq!(outage.answered(at(92)), None, "others may still fail");
        let over = StoreOutageSpan { lasted: Duration::from_secs(90), tries: 46 * 64 };
        assert_eq!(outage.answered(at(96)), Some(StoreOutageNotice::Over(over)));
        assert_eq!(outage.answered(at(98)), None);
        assert_eq!(outage.failed(at(99)), Some(StoreOutageNotice::Began), "the next one is another one");
    }

    #[test]
    fn what_fails_while_writes_are_confirmed_is_one_outage() {
        let (mut outage, start) = (StoreOutage::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..30 {
            told.extend(outage.failed(start + Duration::from_secs(second)));
            told.extend(outage.answered(start + Duration::from_secs(second)));
        }
        assert_eq!(told, [StoreOutageNotice::Began]);
    }
}
