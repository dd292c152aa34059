//! What a participant did over time, in buckets: load and failures every ten seconds, health every five minutes.

use super::latency::LatencyHistogram;
use saga_core::time::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Short beside an outage that matters, and long beside a call.
pub(super) const LOAD_BUCKET: Duration = Duration::from_secs(10);

/// Long enough to hold some calls of a quiet participant, six of them in the time that a forecast looks ahead.
pub(super) const HEALTH_BUCKET: Duration = Duration::from_secs(300);

/// Most buckets of a participant: 45 days without a pause. The oldest are dropped beyond it, so memory is bounded.
const MOST_LOAD_BUCKETS: usize = 400_000;
/// The same of health: 100 days without a pause.
const MOST_HEALTH_BUCKETS: usize = 30_000;

/// Buckets without calls that an outage may last through: the breaker, and delays before retries, keep calls away.
const SILENCE: i64 = 12;

/// Failures that make an outage: fewer are bad luck.
const OUTAGE_FAILURES: u64 = 5;

/// Ten seconds of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadBucket {
    /// Commands that asked to be sent for the first time.
    pub(super) arrived: u32,
    /// Attempts that ended, by what they ended with.
    pub(super) succeeded: u32,
    /// As the breaker counts failures.
    pub(super) failed: u32,
    /// Those that failed because no answer came in time.
    pub(super) timeouts: u32,
    /// Those that were answered by 429.
    pub(super) throttled: u32,
    /// Commands that the breaker held back.
    pub(super) breaker_waits: u32,
    /// Commands that the bulkhead held back.
    pub(super) bulkhead_waits: u32,
}

impl LoadBucket {
    fn merge(&mut self, other: &LoadBucket) {
        self.arrived += other.arrived;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.timeouts += other.timeouts;
        self.throttled += other.throttled;
        self.breaker_waits += other.breaker_waits;
        self.bulkhead_waits += other.bulkhead_waits;
    }

    fn ended(&self) -> u32 {
        self.succeeded + self.failed + self.throttled
    }

    /// `None`: no call ended in it.
    fn is_bad(&self) -> Option<bool> {
        let ended = self.ended();
        (ended > 0).then(|| self.failed * 2 >= ended)
    }
}

/// Five minutes of a participant, by the times at which attempts ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HealthBucket {
    pub(super) ended: u64,
    pub(super) failed: u64,
    /// Of those that succeeded, and of those that timed out, which took at least as long.
    pub(super) latency: LatencyHistogram,
}

/// A time in which most calls failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObservedOutage {
    /// The beginning of its first bucket.
    pub(super) from: Timestamp,
    /// The end of its last bucket.
    pub(super) to: Timestamp,
    pub(super) failed: u64,
    /// Whether the breaker held commands back meanwhile.
    pub(super) opened: bool,
}

impl ObservedOutage {
    pub(super) fn lasted(&self) -> Duration {
        self.to.since(self.from)
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// A time at which the breaker began to hold commands back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObservedOpening {
    pub(super) at: Timestamp,
    /// Whether an outage was under way or near.
    pub(super) in_outage: bool,
    /// How long it took until most calls of ten seconds succeeded; `None`: no such time is on record.
    pub(super) answered_after: Option<Duration>,
}

/// A participant over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ParticipantSeries {
    load: BTreeMap<i64, LoadBucket>,
    health: BTreeMap<i64, HealthBucket>,
}

impl ParticipantSeries {
    pub(super) fn load_at(&mut self, at: Timestamp) -> &mut LoadBucket {
        self.load.entry(index(at, LOAD_BUCKET)).or_default()
    }

    pub(super) fn health_at(&mut self, at: Timestamp) -> &mut HealthBucket {
        self.health.entry(index(at, HEALTH_BUCKET)).or_default()
    }

    pub(super) fn merge(&mut self, other: ParticipantSeries) {
        for (at, bucket) in other.load {
            self.load.entry(at).or_default().merge(&bucket);
        }
        for (at, bucket) in other.health {
            let known = self.health.entry(at).or_default();
            known.ended += bucket.ended;
            known.failed += bucket.failed;
            known.latency.merge(&bucket.latency);
        }
        drop_oldest(&mut self.load, MOST_LOAD_BUCKETS);
        drop_oldest(&mut self.health, MOST_HEALTH_BUCKETS);
    }

    /// Ten seconds each, ascending, those without anything left out.
    pub(super) fn load(&self) -> impl Iterator<Item = &LoadBucket> {
        self.load.values()
    }

    /// Five minutes each, by their number since 1970, ascending.
    pub(super) fn health(&self) -> &BTreeMap<i64, HealthBucket> {
        &self.health
    }

    /// The times in which at least half of the calls failed.
    pub(super) fn outages(&self) -> Vec<ObservedOutage> {
        let mut outages: Vec<ObservedOutage> = Vec::new();
        let mut open: Option<(i64, i64, u64, bool)> = None;
        for (at, bucket) in &self.load {
            let waits = bucket.breaker_waits > 0;
            match (bucket.is_bad(), open) {
                (Some(true), Some((from, last, failed, opened))) if at - last <= SILENCE => {
                    open = Some((from, *at, failed + u64::from(bucket.failed), opened || waits));
                }
                (Some(true), before) => {
                    outages.extend(before.map(closed));
                    open = Some((*at, *at, bucket.failed.into(), waits));
                }
                (Some(false), before) => {
                    outages.extend(before.map(closed));
                    open = None;
                }
                (None, Some((from, last, failed, opened))) => open = Some((from, last, failed, opened || waits)),
                (None, None) => {}
            }
        }
        outages.extend(open.map(closed));
        outages.retain(|outage| outage.failed >= OUTAGE_FAILURES);
        outages
    }

    /// Timeouts that were not part of an outage: of these a longer timeout may have made answers.
    pub(super) fn scattered_timeouts(&self, outages: &[ObservedOutage]) -> u64 {
        let is_apart = |at: i64| !outages.iter().any(|outage| outage.has(begin(at, LOAD_BUCKET)));
        self.load.iter().filter(|(at, _)| is_apart(**at)).map(|(_, bucket)| u64::from(bucket.timeouts)).sum()
    }

    /// When the breaker began to hold commands back, and what came after.
    pub(super) fn openings(&self, outages: &[ObservedOutage]) -> Vec<ObservedOpening> {
        let mut openings = Vec::new();
        let mut last = i64::MIN;
        for (at, _) in self.load.iter().filter(|(_, bucket)| bucket.breaker_waits > 0) {
            if at.saturating_sub(last) > SILENCE {
                openings.push(self.opening(*at, outages));
            }
            last = *at;
        }
        openings
    }

    fn opening(&self, at: i64, outages: &[ObservedOutage]) -> ObservedOpening {
        let (from, to) = (begin(at - SILENCE, LOAD_BUCKET), begin(at + SILENCE, LOAD_BUCKET));
        let well = self.load.range(at..).find(|(_, bucket)| bucket.is_bad() == Some(false));
        ObservedOpening {
            at: begin(at, LOAD_BUCKET),
            in_outage: outages.iter().any(|outage| outage.from < to && from < outage.to),
            answered_after: well.map(|(well, _)| begin(*well, LOAD_BUCKET).since(begin(at, LOAD_BUCKET))),
        }
    }
}

fn closed((from, last, failed, opened): (i64, i64, u64, bool)) -> ObservedOutage {
    ObservedOutage { from: begin(from, LOAD_BUCKET), to: begin(last + 1, LOAD_BUCKET), failed, opened }
}

fn drop_oldest<T>(buckets: &mut BTreeMap<i64, T>, most: usize) {
    while buckets.len() > most {
        buckets.pop_first();
    }
}

/// Number of the bucket that `at` is in.
pub(super) fn index(at: Timestamp, width: Duration) -> i64 {
    at.0.div_euclid(width.as_millis() as i64)
}

/// When the bucket with this number begins.
pub(super) fn begin(index: i64, width: Duration) -> Timestamp {
    Timestamp(index.saturating_mul(width.as_millis() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(buckets: &[(i64, LoadBucket)]) -> ParticipantSeries {
        let mut series = ParticipantSeries::default();
        buckets.iter().for_each(|(at, bucket)| *series.load_at(begin(*at, LOAD_BUCKET)) = *bucket);
        series
    }

    fn bad(failed: u32) -> LoadBucket {
        LoadBucket { failed, timeouts: failed, ..LoadBucket::default() }
    }

    fn good(succeeded: u32) -> LoadBucket {
        LoadBucket { succeeded, ..LoadBucket::default() }
    }

    #[test]
    fn an_outage_lasts_through_the_silence_that_the_breaker_makes() {
        let waits = LoadBucket { breaker_waits: 3, ..LoadBucket::default() };
        let it = series(&[(0, good(9)), (1, bad(4)), (2, waits), (9, bad(2)), (10, good(9)), (40, bad(4))]);
        let outages = it.outages();
        assert_eq!(outages.len(), 1, "four failures alone are no outage: {outages:?}");
        assert_eq!((outages[0].lasted(), outages[0].failed, outages[0].opened), (Duration::from_secs(90), 6, true));
        assert_eq!(it.scattered_timeouts(&outages), 4);
    }

    #[test]
    fn an_opening_without_an_outage_near_it_is_told_apart() {
        let waits = LoadBucket { breaker_waits: 1, succeeded: 5, ..LoadBucket::default() };
        let it = series(&[(0, bad(6)), (1, waits), (2, waits), (100, waits), (105, waits)]);
        let openings: Vec<_> =
            it.openings(&it.outages()).iter().map(|it| (it.at.0, it.in_outage, it.answered_after)).collect();
        assert_eq!(openings, [(10_000, true, Some(Duration::ZERO)), (1_000_000, false, Some(Duration::ZERO))]);
    }
}
