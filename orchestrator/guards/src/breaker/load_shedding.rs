use crate::{
    MonotonicTime,
    buckets::{BucketValue, RollingBuckets},
};
use std::time::Duration;

/// What is looked back at: two minutes as in "Handling Overload" (Site Reliability Engineering, 2016), which is longer
/// than a call takes. In ten buckets.
const BUCKET: Duration = Duration::from_secs(12);
const BUCKETS: usize = 10;

/// However many calls are refused, a tenth of them is sent: without any the participant could not show that it is
/// healthy again.
const MOST: f64 = 0.9;

/// When a call that was shed asks again. Each time a new random number decides, so no moment is better.
pub(super) const SHED_DELAY: Duration = Duration::from_secs(1);

/// Sheds the calls beyond K times those that were accepted lately.
#[derive(Clone, Debug)]
pub(super) struct LoadShedder {
    lately: Box<RollingBuckets<SheddingCounts, BUCKETS>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct SheddingCounts {
    /// Counted before they are sent, those that were shed included: counted when they end, a participant that hangs
    /// would be sent everything until its first timeout.
    requests: u32,
    accepts: u32,
    /// Calls that came back as failed.
    refusals: u32,
}

impl BucketValue for SheddingCounts {
    fn plus(&mut self, more: SheddingCounts) {
        self.requests.plus(more.requests);
        self.accepts.plus(more.accepts);
        self.refusals.plus(more.refusals);
    }

    fn minus(&mut self, less: SheddingCounts) {
        self.requests.minus(less.requests);
        self.accepts.minus(less.accepts);
        self.refusals.minus(less.refusals);
    }
}

impl SheddingCounts {
    /// Share of the requests to shed. None until `minimum` came back as failed: a burst of first calls has no accepts
    /// either.
    fn share(self, above: f64, minimum: u32) -> f64 {
        if self.refusals < minimum {
            return 0.0;
        }
        let requests = f64::from(self.requests);
        ((requests - above * f64::from(self.accepts)) / (requests + 1.0)).clamp(0.0, MOST)
    }
}

impl LoadShedder {
    pub(super) fn new(now: MonotonicTime) -> LoadShedder {
        LoadShedder { lately: Box::new(RollingBuckets::new(BUCKET, now)) }
    }

    /// Forgets all requests and their answers so far.
    pub(super) fn forget(&mut self) {
        self.lately.clear();
    }

    /// Counts a request and says whether it is shed, by `random`.
    pub(super) fn sheds(&mut self, above: f64, minimum: u32, now: MonotonicTime, random: u64) -> bool {
        let share = self.lately.total(now).share(above, minimum);
        self.lately.add(SheddingCounts { requests: 1, ..SheddingCounts::default() }, now);
        // As many of all numbers are below the product as the share says, to 53 bits.
        share > 0.0 && (random as f64) < share * 2f64.powi(64)
    }

    /// A request came back.
    pub(super) fn came_back(&mut self, accepted: bool, now: MonotonicTime) {
        let more = SheddingCounts { requests: 0, accepts: u32::from(accepted), refusals: u32::from(!accepted) };
        self.lately.add(more, now);
    }

    /// How many requests it would admit now without shedding any, at least one; `None`: any number.
    pub(super) fn room(&mut self, above: f64, minimum: u32, now: MonotonicTime) -> Option<u32> {
        let lately = self.lately.total(now);
        if lately.refusals < minimum {
            return None;
        }
        // Saturates, which is what is wanted of a float that is too large.
        let left = (above * f64::from(lately.accepts) - f64::from(lately.requests)) as u32;
        Some(left.max(1))
    }
}
