//! The time when an attempt is sent: the sender reports it, and the shard reads it. The attempt's timeout runs from
//! there.

use saga_base::clock::EngineClock;
use saga_core::{state::SendTime, time::Timestamp};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// The cell's value while the attempt has not been sent.
const NOT_YET: i64 = i64::MAX;

/// The time when an attempt was sent.
#[derive(Clone, Debug)]
pub(super) struct SendTimeCell(Arc<AtomicI64>);

/// The sender of an attempt holds this guard. After the drop the attempt has been sent, or will never be sent by
/// itself.
#[derive(Debug)]
pub(super) struct SendTimeGuard {
    at: Arc<AtomicI64>,
    clock: EngineClock,
}

/// The guard and the cell of an attempt that has not been sent.
pub(super) fn send_time_pair(clock: EngineClock) -> (SendTimeGuard, SendTimeCell) {
    let at = Arc::new(AtomicI64::new(NOT_YET));
    (SendTimeGuard { at: Arc::clone(&at), clock }, SendTimeCell(at))
}

impl SendTimeCell {
    pub(super) fn sent_at(&self) -> SendTime {
        match self.0.load(Ordering::Relaxed) {
            NOT_YET => SendTime::NotYet,
            at => SendTime::At(Timestamp(at)),
        }
    }
}

impl Drop for SendTimeGuard {
    fn drop(&mut self) {
        self.at.store(self.clock.now().0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_attempt_has_left_when_nobody_sends_it_any_more() {
        let clock = EngineClock::since(Timestamp(1_000));
        let (leaving, leaves_at) = send_time_pair(clock);
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        assert_eq!(leaves_at.sent_at(), SendTime::NotYet);
        drop(leaving);
        assert_eq!(leaves_at.sent_at(), SendTime::At(Timestamp(1_005)));
    }
}
