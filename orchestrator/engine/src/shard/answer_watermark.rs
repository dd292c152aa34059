//! A shard's time: what is due, and up to when answers have been taken.

use super::{ShardLoop, context::ShardContext, live_saga::LiveSaga};
use crate::answer_progress::{AnswerWatermarkUpdate, LONGEST_STEP};
use saga_core::{
    answerable::{ALWAYS, AnswerWatermark, OutageLog, OutagePeriod},
    id::{SagaId, ShardId},
    state::SagaTimers,
    time::Timestamp,
};
use saga_event_store::{AttendanceGap, ShardAttendance};
use tracing::{debug, info};

/// What a new owner knows of the answers of a shard: nothing later than what its last owner recorded.
pub(super) fn restored_watermark(context: &ShardContext, attendance: &ShardAttendance) -> AnswerWatermark {
    if !context.answer_path.is_watched() {
        return ALWAYS.clone();
    }
    let outage = |gap: &AttendanceGap| OutagePeriod { began: Timestamp(gap.began_ms), ended: Timestamp(gap.ended_ms) };
    let outages: OutageLog = attendance.gaps.iter().map(outage).collect();
    AnswerWatermark { until: attendance.until_ms.map_or(NEVER, Timestamp), outages }
}

/// The watermark of a shard that no engine ever served.
const NEVER: Timestamp = Timestamp(i64::MIN);

/// Whether the shard's owner has received a watermark since it claimed the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatermarkState {
    None,
    Received,
}

/// When no answer could be taken between what is known and `read`.
fn outage(known: Timestamp, heard: WatermarkState, read: AnswerWatermarkUpdate) -> Option<OutagePeriod> {
    let is_cut = match heard {
        WatermarkState::None => true,
        WatermarkState::Received => read.unbroken_since > known || read.until.since(known) > LONGEST_STEP,
    };
    (is_cut && known != NEVER && read.until > known).then_some(OutagePeriod { began: known, ended: read.until })
}

impl ShardLoop {
    /// Every answer that was there then has been taken: it was in the queue before this.
    pub(super) fn advance_watermark(&mut self, read: AnswerWatermarkUpdate) {
        let outage = outage(self.table.answerable.until, self.table.watermark_state, read);
        if let Some(outage) = outage {
            self.table.answerable.outages.add(outage);
            report(self.shard, outage);
        }
        self.table.watermark_state = WatermarkState::Received;
        self.table.answerable.until = self.table.answerable.until.max(read.until);
        let gap = outage.map(|outage| AttendanceGap { began_ms: outage.began.0, ended_ms: outage.ended.0 });
        self.context.answer_path.record_progress(self.shard.0, self.epoch, self.table.answerable.until, gap);
        let turn = self.load_permits.now();
        self.process_due_timers(turn);
    }

    /// Sets when the saga has to be looked at again.
    pub(super) fn set_due(&mut self, saga: SagaId, live: &mut LiveSaga) {
        live.record_send_times();
        let waits = |command| self.table.waits.sending(saga, command).is_some();
        let mut dues =
            live.state.dues_beside_lines(&live.plan, &self.table.answerable, self.context.clock.now(), waits);
        dues.timer = dues.timer.into_iter().chain(live.next_permit_expiry()).min();
        self.table.due.set(saga, dues);
    }

    /// When the saga has to be looked at, if that is now.
    pub(super) fn due_now(&self, live: &LiveSaga) -> Option<SagaTimers> {
        let now = self.context.clock.now();
        let dues = live.state.dues_beside_guards(&live.plan, &self.table.answerable, now);
        let deadline = dues.deadline.filter(|deadline| *deadline <= self.table.answerable.until);
        dues.timer.into_iter().chain(deadline).any(|due| due <= now).then_some(dues)
    }
}

fn report(shard: ShardId, outage: OutagePeriod) {
    let lasted = outage.ended.since(outage.began);
    let (shard, from, seconds) = (shard.0, saga_core::time::rfc3339(outage.began), lasted.as_secs());
    if lasted > LONGEST_STEP {
        info!(
            shard,
            from, seconds, "no answer could be read for the shard in this time: its deadlines do not count it"
        );
    } else {
        debug!(
            shard,
            from, seconds, "no answer could be read for the shard in this time: its deadlines do not count it"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn heard(known: i64, heard: WatermarkState, until: i64, unbroken_since: i64) -> Option<(Timestamp, Timestamp)> {
        let read = AnswerWatermarkUpdate { until: at(until), unbroken_since: at(unbroken_since) };
        outage(at(known), heard, read).map(|outage| (outage.began, outage.ended))
    }

    #[test]
    fn a_new_owner_counts_nothing_since_its_last_owner_heard() {
        assert_eq!(heard(10, WatermarkState::None, 12, 1), Some((at(10), at(12))));
        assert_eq!(heard(10, WatermarkState::None, 9, 1), None);
        let read = AnswerWatermarkUpdate { until: at(5), unbroken_since: at(1) };
        assert_eq!(outage(NEVER, WatermarkState::None, read), None);
    }

    #[test]
    fn an_owner_that_hears_in_time_counts_all() {
        assert_eq!(heard(10, WatermarkState::Received, 12, 10), None);
        assert_eq!(heard(10, WatermarkState::Received, 15, 1), None);
    }

    #[test]
    fn a_break_however_short_and_a_long_silence_are_outages() {
        assert_eq!(heard(10, WatermarkState::Received, 12, 11), Some((at(10), at(12))));
        assert_eq!(heard(10, WatermarkState::Received, 16, 1), Some((at(10), at(16))));
    }
}
