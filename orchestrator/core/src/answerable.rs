//! In which time an answer could have been read. Deadlines count no other: an outage of ours is not a failure of
//! theirs.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Outages that are kept apart. Beyond it the two oldest become one, with the time between them: a deadline may come
/// later, never earlier.
pub const MOST_OUTAGES: usize = 1_000;

/// A span in which no answer could be read, or nothing be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutagePeriod {
    /// The last point up to which all answers are known to have been read before it.
    pub began: Timestamp,
    /// When answers could be read and recorded again.
    pub ended: Timestamp,
}

/// Outages in order of time; none touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageLog(Vec<OutagePeriod>);

/// What is known of the answers to a shard's commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerWatermark {
    /// Every answer that was there at this point has been taken. What is due later than this is not over yet, whatever
    /// the clock says.
    pub until: Timestamp,
    /// When no answer could be read.
    pub outages: OutageLog,
}

/// All answers are known at every time: no answer is ever behind.
pub static ALWAYS: AnswerWatermark = AnswerWatermark { until: Timestamp::MAX, outages: OutageLog::NONE };

impl OutageLog {
    /// A log without outages: a deadline in it never moves.
    pub const NONE: OutageLog = OutageLog(Vec::new());

    /// Adds an outage; one that touches others becomes one with them. One that does not end after it began changes
    /// nothing.
    pub fn add(&mut self, outage: OutagePeriod) {
        if outage.ended <= outage.began {
            return;
        }
        let first = self.0.partition_point(|known| known.ended < outage.began);
        let last = self.0.partition_point(|known| known.began <= outage.ended);
        let touched = &self.0[first..last];
        let began = touched.first().map_or(outage.began, |known| known.began.min(outage.began));
        let ended = touched.last().map_or(outage.ended, |known| known.ended.max(outage.ended));
        self.0.splice(first..last, [OutagePeriod { began, ended }]);
        if self.0.len() > MOST_OUTAGES {
            let oldest = self.0.remove(0);
            self.0[0].began = oldest.began;
        }
    }

    /// The outages, in order of time.
    #[must_use]
    pub fn as_slice(&self) -> &[OutagePeriod] {
        &self.0
    }

    /// When `span` is over that runs from `from` and stands still in outages.
    #[must_use]
    pub fn end_of(&self, from: Timestamp, span: Duration) -> Timestamp {
        let first = self.0.partition_point(|outage| outage.ended <= from);
        self.0[first..].iter().fold(from.plus(span), |end, outage| {
            if outage.began < end { end.plus(outage.ended.since(outage.began.max(from))) } else { end }
        })
    }
}

impl FromIterator<OutagePeriod> for OutageLog {
    fn from_iter<T: IntoIterator<Item = OutagePeriod>>(all: T) -> OutageLog {
        let mut outages = OutageLog::NONE;
        all.into_iter().for_each(|outage| outages.add(outage));
        outages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outage(began: i64, ended: i64) -> OutagePeriod {
        OutagePeriod { began: Timestamp(began), ended: Timestamp(ended) }
    }

    fn end_of(outages: &[OutagePeriod], from: i64, span_ms: u64) -> i64 {
        outages.iter().copied().collect::<OutageLog>().end_of(Timestamp(from), Duration::from_millis(span_ms)).0
    }

    #[test]
    fn a_span_stands_still_in_outages_and_only_there() {
        let outages = [outage(100, 200), outage(250, 300)];
        assert_eq!(end_of(&outages, 0, 100), 100);
        assert_eq!(end_of(&outages, 0, 101), 201);
        assert_eq!(end_of(&outages, 150, 20), 220);
        assert_eq!(end_of(&outages, 150, 51), 301);
        assert_eq!(end_of(&outages, 200, 50), 250);
        assert_eq!(end_of(&outages, 300, 7), 307);
    }

    #[test]
    fn outages_that_touch_are_one() {
        let outages: OutageLog = [outage(10, 20), outage(40, 50), outage(20, 40), outage(60, 60)].into_iter().collect();
        assert_eq!(outages.as_slice(), [outage(10, 50)]);
    }

    #[test]
    fn however_many_there_are_a_deadline_never_comes_earlier() {
        let many = (0..2_000).map(|at| outage(at * 10, at * 10 + 1));
        let outages: OutageLog = many.collect();
        assert_eq!(outages.as_slice().len(), MOST_OUTAGES);
        assert!(outages.end_of(Timestamp(0), Duration::from_secs(19)).0 >= 19_000 + 1_900);
    }

    proptest! {
        /// By counting every millisecond.
        #[test]
        fn an_end_is_reached_after_exactly_the_span_outside_of_outages(
            drawn in prop::collection::vec((0i64..300, 1i64..40), 0..12), from in 0i64..300, span in 1u64..200,
        ) {
            let outages: Vec<OutagePeriod> = drawn.iter().map(|(began, lasts)| outage(*began, began + lasts)).collect();
            let counts = |at: i64| !outages.iter().any(|one| one.began.0 <= at && at < one.ended.0);
            let end = end_of(&outages, from, span);
            prop_assert_eq!((from..end).filter(|at| counts(*at)).count() as u64, span);
            prop_assert!(counts(end - 1));
        }
    }
}
