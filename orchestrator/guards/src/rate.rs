//! The rate limit: so many calls in a span, by the generic cell rate algorithm (ITU-T I.371, ATM Forum 1996): one point
//! in time is all its state, and what it refuses it can say when to ask again.

use crate::MonotonicTime;
use std::{num::NonZeroU32, time::Duration};

/// So many calls in a span, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRate {
    /// How many calls may be made in each span `per`.
    pub calls: NonZeroU32,
    /// The span for which `calls` is given.
    pub per: Duration,
    /// So many may come at once after a pause.
    pub burst: NonZeroU32,
}

impl CallRate {
    /// From one call to the next at an even pace; at least a nanosecond.
    #[must_use]
    pub fn pace(&self) -> Duration {
        (self.per / self.calls.get()).max(Duration::from_nanos(1))
    }

    /// This share of it, at least one call at once.
    #[must_use]
    pub fn scaled(&self, share: f64) -> CallRate {
        let burst = NonZeroU32::new(scaled(self.burst.get(), share)).unwrap_or(NonZeroU32::MIN);
        let stretched = self.per.as_secs_f64() / share.max(f64::MIN_POSITIVE);
        CallRate { per: Duration::try_from_secs_f64(stretched).unwrap_or(Duration::MAX), burst, ..*self }
    }
}

/// `share` of `count`, rounded down.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn scaled(count: u32, share: f64) -> u32 {
    (f64::from(count) * share) as u32
}

/// Lets calls pass at a rate.
#[derive(Clone, Debug)]
pub struct RateLimit {
    rate: CallRate,
    /// When the calls so far would have come at an even pace: the theoretical arrival time of the next one.
    due: MonotonicTime,
}

impl RateLimit {
    /// A limit that no call has passed yet.
    #[must_use]
    pub fn new(rate: CallRate, now: MonotonicTime) -> RateLimit {
        RateLimit { rate, due: now }
    }

    /// Lets one call pass.
    ///
    /// # Errors
    /// How long until one may pass, if no other call asks. Nothing is taken then.
    pub fn take(&mut self, now: MonotonicTime) -> Result<(), Duration> {
        self.reserve(Duration::ZERO, now).map(|_| ())
    }

    /// Lets one call pass, later if need be: how long until it may. A caller that cannot wait gives it back.
    ///
    /// # Errors
    /// How long the call would have to wait, if that is more than `patience`, the maximum wait. Nothing is taken then.
    pub fn reserve(&mut self, patience: Duration, now: MonotonicTime) -> Result<Duration, Duration> {
        let wait = self.wait(now);
        if wait > patience {
            return Err(wait);
        }
        self.due = self.due.max(now).plus(self.rate.pace());
        Ok(wait)
    }

    /// Gives back a reserved call that is not sent. The calls behind it keep their times.
    pub fn give_back(&mut self) {
        self.due = MonotonicTime::since_origin(self.due.elapsed().saturating_sub(self.rate.pace()));
    }

    /// How long until one may pass; zero: now.
    #[must_use]
    pub fn wait(&self, now: MonotonicTime) -> Duration {
        self.due.since(now).saturating_sub(self.tolerance())
    }

    /// How many calls may pass at `now`, at once.
    #[must_use]
    pub fn capacity(&self, now: MonotonicTime) -> u32 {
        if !self.wait(now).is_zero() {
            return 0;
        }
        let left = self.tolerance().saturating_sub(self.due.since(now)).as_nanos() / self.rate.pace().as_nanos();
        u32::try_from(left).unwrap_or(u32::MAX).saturating_add(1).min(self.rate.burst.get())
    }

    /// Another rate from now on; what has passed still counts, at the new pace.
    pub fn configure(&mut self, rate: CallRate, now: MonotonicTime) {
        let owed = self.due.since(now).as_secs_f64() / self.rate.pace().as_secs_f64();
        self.rate = rate;
        let owed = Duration::try_from_secs_f64(owed * rate.pace().as_secs_f64()).unwrap_or(Duration::MAX);
        self.due = now.plus(owed);
    }

    /// The rate by which calls are admitted now.
    #[must_use]
    pub fn rate(&self) -> CallRate {
        self.rate
    }

    fn tolerance(&self) -> Duration {
        self.rate.pace().saturating_mul(self.rate.burst.get() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(calls: u32, per_ms: u64, burst: u32) -> CallRate {
        let count = |count| NonZeroU32::new(count).expect("not zero");
        CallRate { calls: count(calls), per: Duration::from_millis(per_ms), burst: count(burst) }
    }

    fn at(ms: u64) -> MonotonicTime {
        MonotonicTime::since_origin(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_passes_and_then_the_pace_holds() {
        let mut limit = RateLimit::new(rate(10, 1_000, 3), at(0));
        assert_eq!(limit.capacity(at(0)), 3);
        for room in [2, 1, 0] {
            assert_eq!(limit.take(at(0)), Ok(()));
            assert_eq!(limit.capacity(at(0)), room);
        }
        assert_eq!(limit.take(at(0)), Err(Duration::from_millis(100)));
        assert_eq!(limit.take(at(60)), Err(Duration::from_millis(40)));
        assert_eq!(limit.take(at(100)), Ok(()));
        assert_eq!(limit.capacity(at(10_000)), 3);
    }

    #[test]
    fn reservations_come_one_after_the_other_and_can_be_given_back() {
        let mut limit = RateLimit::new(rate(10, 1_000, 1), at(0));
        let patience = Duration::from_millis(250);
        let waits: Vec<_> = (0..4).map(|_| limit.reserve(patience, at(0))).collect();
        let ms = Duration::from_millis;
        assert_eq!(waits, [Ok(ms(0)), Ok(ms(100)), Ok(ms(200)), Err(ms(300))]);
        limit.give_back();
        assert_eq!(limit.reserve(patience, at(0)), Ok(ms(200)));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let mut limit = RateLimit::new(rate(1, 1_000, 1), at(0));
        assert_eq!(limit.take(at(0)), Ok(()));
        for _ in 0..1_000 {
            assert!(limit.take(at(1)).is_err());
        }
        assert_eq!(limit.take(at(1_000)), Ok(()));
    }

    #[test]
    fn a_share_of_a_rate_is_slower_and_never_nothing() {
        let scaled = rate(10, 1_000, 4).scaled(0.25);
        assert_eq!((scaled.pace(), scaled.burst.get()), (Duration::from_millis(400), 1));
        assert_eq!(rate(1, 1_000, 1).scaled(0.1).burst.get(), 1);
    }

    #[test]
    fn another_rate_holds_at_once_and_forgives_nothing() {
        let mut limit = RateLimit::new(rate(10, 1_000, 1), at(0));
        assert_eq!(limit.take(at(0)), Ok(()));
        limit.configure(rate(1, 1_000, 1), at(0));
        assert_eq!(limit.take(at(0)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn rates_beyond_a_call_a_nanosecond_do_not_misbehave() {
        let mut limit = RateLimit::new(rate(u32::MAX, 1, u32::MAX), at(0));
        assert!((0..1_000).all(|_| limit.take(at(0)).is_ok()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_pace_allow(
            calls in 1u32..50, burst in 1u32..20, gaps_ms in prop::collection::vec(0u64..200, 1..300)
        ) {
            let mut limit = RateLimit::new(rate(calls, 1_000, burst), at(0));
            let (mut now, mut passed) = (0, 0u32);
            for gap in gaps_ms {
                now += gap;
                let room = limit.capacity(at(now));
                prop_assert!(room <= burst);
                let took = limit.take(at(now));
                prop_assert_eq!(took.is_ok(), room > 0);
                passed += u32::from(took.is_ok());
                let allowed = f64::from(burst) + f64::from(calls) * Duration::from_millis(now).as_secs_f64();
                prop_assert!(f64::from(passed) <= allowed + 1e-6, "{} of {}", passed, allowed);
            }
        }
    }
}
