//! A stop that is under way: how long unfinished records are waited for, and where the outcome goes.

use super::ConsumerStopOutcome;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Part of a stop's deadline that is kept for committing and leaving the group.
const LEAVE: Duration = Duration::from_secs(5);

/// A stop that has begun.
#[derive(Debug)]
pub(super) struct ConsumerShutdown {
    /// The end of the whole stop: what has not left the group by then is abandoned.
    pub(super) by: Instant,
    /// Until then records that are being worked on are waited for.
    drain_by: Instant,
    /// Gets the outcome, once the client is closed or abandoned.
    pub(super) done: oneshot::Sender<ConsumerStopOutcome>,
}

impl ConsumerShutdown {
    pub(super) fn new(by: Instant, done: oneshot::Sender<ConsumerStopOutcome>, now: Instant) -> ConsumerShutdown {
        let leave = LEAVE.min(by.saturating_duration_since(now) / 2);
        ConsumerShutdown { by, drain_by: by - leave, done }
    }

    /// Whether leaving begins now: everything is finished, or the rest of the deadline is needed for it.
    pub(super) fn drained_or_late(&self, unfinished: usize, now: Instant) -> bool {
        unfinished == 0 || now >= self.drain_by
    }
}
