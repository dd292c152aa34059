//! Of which sagas spans are told.

use saga_core::trace::TraceContext;
use std::time::Duration;

/// Of which sagas spans are told from their start on. Those that fail, are parked or are slow are told of in any case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceSampling {
    /// Whether what the trigger's trace says counts before the share: a trace is recorded everywhere or nowhere.
    pub follows_trigger: bool,
    /// The share of the other traces, from 0 to 1, by their id: every service with the same share takes the same ones.
    pub share: f64,
    /// A saga that took at least so long is told of at its end; `None`: none is for that.
    pub slow: Option<Duration>,
}

/// The bits of a trace id that are random: its last 56, by W3C Trace Context, level 2, section 3.2.2.3. The ids of
/// sagas end in 62 random bits.
const RANDOM: u128 = (1 << 56) - 1;

impl TraceSampling {
    /// Whether the saga is told of from its start on.
    #[must_use]
    pub fn takes(&self, context: TraceContext) -> bool {
        if self.follows_trigger && context.parent.is_some() {
            return context.is_recorded;
        }
        // 56 bits fit the 53 of a mantissa but for a rounding that no share can tell.
        #[allow(clippy::cast_precision_loss)]
        let (place, all) = ((context.trace.0 & RANDOM) as f64, RANDOM as f64 + 1.0);
        place >= all * (1.0 - self.share)
    }

    pub(super) fn is_slow(&self, lasted_ms: i64) -> bool {
        let lasted = Duration::from_millis(u64::try_from(lasted_ms).unwrap_or_default());
        self.slow.is_some_and(|slow| lasted >= slow)
    }
}
