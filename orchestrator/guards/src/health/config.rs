//! How often a participant is asked how it is, and what its answers are worth.

use std::{num::NonZeroU32, time::Duration};

/// How often a participant is asked how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthTrackerConfig {
    /// From one check to the next; an answer holds for so long.
    pub interval: Duration,
    /// A check without an answer fails after this time.
    pub timeout: Duration,
    /// So many failed checks in a row make it unhealthy.
    pub unhealthy_after: NonZeroU32,
    /// So many passed checks in a row make it healthy again.
    pub healthy_after: NonZeroU32,
}

impl Default for HealthTrackerConfig {
    /// Every 30 s, 5 s for the answer, unhealthy after 3 failures, healthy after 1 success.
    fn default() -> HealthTrackerConfig {
        HealthTrackerConfig {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_after: NonZeroU32::new(3).expect("3 is not zero"),
            healthy_after: NonZeroU32::MIN,
        }
    }
}
