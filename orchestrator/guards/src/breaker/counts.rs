//! Counted calls: what the window adds up and the configuration judges.

use crate::buckets::BucketValue;

/// Calls, how many of them failed, how many took too long. A call can be both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CallCounts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl CallCounts {
    /// The counts of one call that ended so.
    pub(super) fn call(failed: bool, slow: bool) -> CallCounts {
        CallCounts { calls: 1, failures: u32::from(failed), slow: u32::from(slow) }
    }
}

impl BucketValue for CallCounts {
    fn plus(&mut self, more: CallCounts) {
        self.calls.plus(more.calls);
        self.failures.plus(more.failures);
        self.slow.plus(more.slow);
    }

    fn minus(&mut self, less: CallCounts) {
        self.calls.minus(less.calls);
        self.failures.minus(less.failures);
        self.slow.minus(less.slow);
    }
}
