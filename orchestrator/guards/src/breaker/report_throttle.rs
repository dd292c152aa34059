use super::config::WindowConfig;
use crate::MonotonicTime;

/// Says only once per window that a breaker that lets everything pass would have opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum TripReportThrottle {
    /// The next trip is told.
    Listening,
    /// None is until then.
    QuietUntil(MonotonicTime),
    /// None is for so many calls.
    QuietFor(u32),
}

impl TripReportThrottle {
    /// One call was counted. Whether a trip now is to be told.
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

    /// A trip was told.
    pub(super) fn told(window: WindowConfig, now: MonotonicTime) -> TripReportThrottle {
        match window {
            WindowConfig::Time(span) => TripReportThrottle::QuietUntil(now.plus(span)),
            WindowConfig::Calls(calls) => TripReportThrottle::QuietFor(calls),
        }
    }
}
