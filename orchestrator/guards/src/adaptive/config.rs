//! The bounds of an adaptive limit.

use std::num::NonZeroU32;

/// Where a limit starts and how far it may go. Built only through [`AdaptiveLimitConfig::new`], so `min ≤ start ≤ max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveLimitConfig {
    min: NonZeroU32,
    start: NonZeroU32,
    max: NonZeroU32,
}

/// Bounds that exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("min is {min}, start is {start}, max is {max}: expected min ≤ start ≤ max")]
pub struct AdaptiveLimitError {
    /// The lowest limit that was asked for.
    pub min: NonZeroU32,
    /// The first limit that was asked for.
    pub start: NonZeroU32,
    /// The highest limit that was asked for.
    pub max: NonZeroU32,
}

impl AdaptiveLimitConfig {
    /// Starts at `start` and stays between `min` and `max`.
    ///
    /// # Errors
    /// When the bounds exclude each other.
    pub fn new(min: NonZeroU32, start: NonZeroU32, max: NonZeroU32) -> Result<AdaptiveLimitConfig, AdaptiveLimitError> {
        if min <= start && start <= max {
            Ok(AdaptiveLimitConfig { min, start, max })
        } else {
            Err(AdaptiveLimitError { min, start, max })
        }
    }

    /// The limit never falls below this number of calls.
    #[must_use]
    pub fn min(&self) -> NonZeroU32 {
        self.min
    }

    /// The limit before any call was measured.
    #[must_use]
    pub fn start(&self) -> NonZeroU32 {
        self.start
    }

    /// The limit never rises above this number of calls.
    #[must_use]
    pub fn max(&self) -> NonZeroU32 {
        self.max
    }
}
