//! A rate: so many calls in a span.

use std::{num::NonZeroU32, time::Duration};

/// So many calls in a span, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls.
    pub calls: NonZeroU32,
    /// Within this span.
    pub per: Duration,
    /// So many may come at once after a pause.
    pub burst: NonZeroU32,
}
