use super::config::WindowConfig;
use crate::MonotonicTime;

/// Says only once per window that a breaker that lets everything pass would have opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum TripReportThrottle {
    /// The breaker reports the next trip.
    Listening,
    /// The breaker reports no trip until then.
    QuietUntil(MonotonicTime),
    /// The breaker reports no trip for so many calls.
    QuietFor(u32),
}

impl TripReportThrottle {
    /// One call was counted. Whether the breaker reports a trip now.
    pub(super) fn counted(&mut self, now: MonotonicTime) -> bool {
        *self = match *self {
            TripReportThrottle::QuietUntil(until) if now < until => return false,
            TripReportThrottle::QuietFor(calls) if calls > 1 => TripReportThrottle::QuietFor(calls - 1),
            TripReportThrottle::Listening | TripReportThrottle::QuietUntil(_) | TripReportThrottle::QuietFor(_) => {
                TripReportThrottle::Listening
            }
        };
        matches!(self, TripReportThrottle::Listening)
    }

    /// The throttle after a trip was reported.
    pub(super) fn told(window: WindowConfig, now: MonotonicTime) -> TripReportThrottle {
        match window {
            WindowConfig::Time(span) => TripReportThrottle::QuietUntil(now.plus(span)),
            WindowConfig::Calls(calls) => TripReportThrottle::QuietFor(calls),
        }
    }
}
