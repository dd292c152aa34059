use super::config::Window;
use crate::Monotonic;

/// Says only once per window that a breaker that lets everything pass would have opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watch {
    /// The next trip is told.
    Listening,
    /// None is until then.
    QuietUntil(Monotonic),
    /// None is for so many calls.
    QuietFor(u32),
}

impl Watch {
    /// One call was counted. Whether a trip now is to be told.
    pub(super) fn counted(&mut self, now: Monotonic) -> bool {
        *self = match *self {
            Watch::QuietUntil(until) if now < until => return false,
            Watch::QuietFor(calls) if calls > 1 => Watch::QuietFor(calls - 1),
            Watch::Listening | Watch::QuietUntil(_) | Watch::QuietFor(_) => Watch::Listening,
        };
        matches!(self, Watch::Listening)
    }

    /// A trip was told.
    pub(super) fn told(window: Window, now: Monotonic) -> Watch {
        match window {
            Window::Time(span) => Watch::QuietUntil(now.plus(span)),
            Window::Calls(calls) => Watch::QuietFor(calls),
        }
    }
}
