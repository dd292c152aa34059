use std::time::Duration;

/// A reading of a clock that never goes back: the time since an origin that the process chose once. Wall clocks jump,
/// and a breaker that reads one stays open for as long as the jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicTime(Duration);

impl MonotonicTime {
    /// The reading `elapsed` after the origin.
    #[must_use]
    pub const fn since_origin(elapsed: Duration) -> MonotonicTime {
        MonotonicTime(elapsed)
    }

    /// The time between the origin and this reading.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// This reading plus `span`, saturating.
    #[must_use]
    pub const fn plus(self, span: Duration) -> MonotonicTime {
        MonotonicTime(self.0.saturating_add(span))
    }

    /// The span from `earlier` to this reading; zero if this one is not after it.
    #[must_use]
    pub const fn since(self, earlier: MonotonicTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// `span` times `random / 2^64`, rounded down to nanoseconds; of more than 584 years that many.
pub(crate) fn fraction(span: Duration, random: u64) -> Duration {
    let nanos = span.as_nanos().min(u128::from(u64::MAX));
    let product = (nanos * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(product).unwrap_or(u64::MAX))
}
