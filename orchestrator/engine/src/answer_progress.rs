//! Whether answers can be read, and up to when they have been: what deadlines wait for.
//!
//! One task of the engine ([`crate::answer_watch`]) finds that out and tells each shard in its queue, behind every
//! answer. If a shard is not notified in time, the outage is ours: no participant is given up for it.

use saga_base::sync::UnpoisonedMutex;
use saga_core::time::Timestamp;
use saga_event_store::{AttendanceRecord, ShardEpoch};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Notify, watch as channel};

/// A shard that has not heard for longer than this that answers are read has been cut off from them: five rounds, so
/// that a busy machine is no outage.
pub(crate) const LONGEST_STEP: Duration = Duration::from_secs(5);

/// The notice to a shard how far answers have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerWatermarkUpdate {
    /// Every answer that was there then is in the shard's queue, before this.
    pub until: Timestamp,
    /// Since when answers could be read without a break.
    pub unbroken_since: Timestamp,
}

/// The reason why deadlines stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlinePause {
    /// The time when the deadlines stopped, by the engine's clock.
    pub since: Timestamp,
    /// The cause of the pause, as text for operators.
    pub reason: Arc<str>,
}

/// What the watching task and the shards share.
#[derive(Debug)]
pub(crate) struct AnswerProgress {
    /// Without Kafka every answer comes from a call of this process.
    is_watched: bool,
    wanted: Notify,
    /// The latest report of each shard that is not on record yet.
    attended: UnpoisonedMutex<BTreeMap<u16, AttendanceRecord>>,
    pause: channel::Sender<Option<DeadlinePause>>,
}

impl AnswerProgress {
    /// Of an engine that reads replies from Kafka, or has none.
    #[must_use]
    pub(crate) fn new(is_watched: bool) -> AnswerProgress {
        AnswerProgress {
            is_watched,
            wanted: Notify::new(),
            attended: UnpoisonedMutex::new(BTreeMap::new()),
            pause: channel::Sender::new(None),
        }
    }

    /// Whether shards have to wait for answers to be read.
    #[must_use]
    pub(crate) fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Why deadlines stand still in this engine; `None`: they do not.
    #[must_use]
    pub(crate) fn deadline_pause(&self) -> Option<DeadlinePause> {
        self.pause.borrow().clone()
    }

    /// Notifies the watching task that a deadline waits for answers to be read.
    pub(crate) fn request_watermark(&self) {
        self.wanted.notify_one();
    }

    /// Returns when a deadline waits for answers to be read.
    pub(crate) async fn watermark_requested(&self) {
        self.wanted.notified().await;
    }

    /// Replaces why deadlines stand still; returns what was said before.
    pub(crate) fn replace_pause(&self, pause: Option<DeadlinePause>) -> Option<DeadlinePause> {
        self.pause.send_replace(pause)
    }

    /// A shard has taken every answer up to `until`; `outage` is one that its store does not know of yet.
    pub(crate) fn record_progress(
        &self,
        shard: u16,
        epoch: ShardEpoch,
        until: Timestamp,
        outage: Option<saga_event_store::AttendanceGap>,
    ) {
        let news = AttendanceRecord { shard, epoch, until_ms: until.0, gaps: outage.into_iter().collect() };
        merge(&mut self.attended.lock(), news);
    }

    /// Takes what is to be recorded. A caller that fails to record it gives it back.
    pub(crate) fn take_attended(&self) -> Vec<AttendanceRecord> {
        std::mem::take(&mut *self.attended.lock()).into_values().collect()
    }

    pub(crate) fn give_back(&self, taken: Vec<AttendanceRecord>) {
        let mut known = self.attended.lock();
        for older in taken {
            if let Some(newer) = known.insert(older.shard, older) {
                merge(&mut known, newer);
            }
        }
    }
}

/// Of another claim than the one before nothing of that one is kept: the new owner knows its gaps from the store.
fn merge(known: &mut BTreeMap<u16, AttendanceRecord>, news: AttendanceRecord) {
    match known.get_mut(&news.shard) {
        Some(last) if last.epoch == news.epoch => {
            last.until_ms = last.until_ms.max(news.until_ms);
            last.gaps.extend(news.gaps);
        }
        Some(_) | None => {
            known.insert(news.shard, news);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use saga_event_store::AttendanceGap;

    #[test]
    fn what_could_not_be_recorded_goes_with_what_came_since() {
        let path = AnswerProgress::new(true);
        let gap = |began_ms| AttendanceGap { began_ms, ended_ms: began_ms + 5 };
        path.record_progress(1, ShardEpoch(7), Timestamp(10), Some(gap(1)));
        path.record_progress(2, ShardEpoch(7), Timestamp(10), Some(gap(1)));
        let taken = path.take_attended();
        path.record_progress(1, ShardEpoch(7), Timestamp(30), Some(gap(20)));
        path.record_progress(2, ShardEpoch(8), Timestamp(30), None);
        path.give_back(taken);
        let all = path.take_attended();
        assert_eq!(
            all[0],
            AttendanceRecord { shard: 1, epoch: ShardEpoch(7), until_ms: 30, gaps: vec![gap(1), gap(20)] }
        );
        assert_eq!(all[1], AttendanceRecord { shard: 2, epoch: ShardEpoch(8), until_ms: 30, gaps: vec![] });
        assert_eq!(path.take_attended(), []);
    }
}
