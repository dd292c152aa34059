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
    /// The lowest limit.
    pub min: NonZeroU32,
    /// The first limit.
    pub start: NonZeroU32,
    /// The highest limit.
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

    /// The lowest limit.
    #[must_use]
    pub fn min(&self) -> NonZeroU32 {
        self.min
    }

    /// The first limit.
    #[must_use]
    pub fn start(&self) -> NonZeroU32 {
        self.start
    }

    /// The highest limit.
    #[must_use]
    pub fn max(&self) -> NonZeroU32 {
        self.max
    }
}
