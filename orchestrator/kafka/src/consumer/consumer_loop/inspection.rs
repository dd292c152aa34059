//! Whether the log that is read is still the same and can still be read. Checked every few seconds, and at once when
//! something contradicts it.

use super::ConsumerLoop;
use crate::consumer::{
    ConsumerEvent,
    continuity::{self, ContinuityVerdict},
    group::GroupCoverage,
    inspector::{
        InspectionDepth, InspectionError, InspectionRequest, InspectionResponse, InspectionResult, LogInspector,
    },
    partitions::OffsetCommit,
    record_loss::RecordLoss,
};
use saga_wire::record::TopicPartition;
use std::time::{Duration, Instant};

/// Interval of checks while everything is healthy. Within it, a topic that was deleted and recreated is noticed, and a
/// broker that does not answer.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Interval while intake is hindered: the end of the problem is noticed this soon.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The inspector, what it is to check next and why, and what it found.
#[derive(Debug)]
pub(super) struct InspectionSchedule {
    pub(super) inspector: LogInspector,
    /// When the next check is requested.
    due: Instant,
    /// Why the next check compares everything that is known of each partition. `None`: it compares one record.
    doubt: Option<PositionDoubt>,
    /// The same of the check that is under way. Restored to `doubt` if the check fails.
    open_doubt: Option<PositionDoubt>,
    /// Who of the group reads what is not read here.
    pub(super) coverage: GroupCoverage,
    /// When a check last read everything with success.
    pub(super) last_read: Option<Instant>,
}

/// Why positions are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PositionDoubt {
    /// A check found another log.
    Log,
    /// The client reports that a partition cannot be read on, and does not say which.
    Client,
}

impl InspectionSchedule {
    pub(super) fn new(inspector: LogInspector, now: Instant) -> InspectionSchedule {
        InspectionSchedule {
            inspector,
            due: now,
            doubt: None,
            open_doubt: None,
            coverage: GroupCoverage::default(),
            last_read: None,
        }
    }

    pub(super) fn raise_doubt(&mut self, doubt: PositionDoubt) {
        self.doubt = self.doubt.max(Some(doubt));
        self.due = Instant::now();
    }
}

impl ConsumerLoop {
    pub(super) fn request_check(&mut self) {
        let now = Instant::now();
        if self.stop.is_some() || self.inspection.inspector.is_pending() || now < self.inspection.due {
            return;
        }
        self.inspection.open_doubt = self.inspection.doubt.take();
        let depth = if self.inspection.open_doubt.is_some() { InspectionDepth::Whole } else { InspectionDepth::Newest };
        let topics = self.plan.topics.iter().map(|start| start.topic.clone()).collect();
        self.inspection
            .inspector
            .request(InspectionRequest::Check { subjects: self.partitions.inspected(depth), topics });
    }

    pub(super) fn handle_inspection(&mut self) {
        match self.inspection.inspector.take_response() {
            None => {}
            Some(InspectionResponse::StartPositions { wanted, positions }) => {
                self.on_start_positions(wanted, positions);
            }
            Some(InspectionResponse::Checked { checked, group }) => {
                if let Some(seen) = group {
                    self.inspection.coverage.update(seen, Instant::now());
                }
                self.on_checked(checked);
            }
        }
    }

    fn on_checked(&mut self, checked: Result<Vec<InspectionResult>, InspectionError>) {
        let now = Instant::now();
        let doubt = self.inspection.open_doubt.take();
        let checked = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.inspection.due = now + LOOK_AGAIN;
                self.inspection.doubt = self.inspection.doubt.max(doubt);
                return self.report_error(&error.to_string());
            }
        };
        self.inspection.last_read = Some(now);
        self.inspection.due = now + if self.errors.message().is_some() { LOOK_AGAIN } else { LOOK_EVERY };
        for one in checked {
            if self.partitions.is_current(&one.subject) {
                self.apply_verdict(doubt, one);
            }
        }
        if self.errors.on_success(now) {
            self.handle.outbox.push(ConsumerEvent::Recovered);
        }
    }

    /// A check of one record only raises a doubt. A position changes only after a check of everything has confirmed it.
    fn apply_verdict(&mut self, doubt: Option<PositionDoubt>, checked: InspectionResult) {
        match (checked.verdict, doubt) {
            (ContinuityVerdict::Fits, None | Some(PositionDoubt::Log)) => {
                self.partitions.confirm(&checked.subject, checked.extent, Instant::now());
            }
            (ContinuityVerdict::Fits, Some(PositionDoubt::Client)) => {
                self.partitions.confirm(&checked.subject, checked.extent, Instant::now());
                // The client may have stopped reading the partition all the same, so it is read again from the oldest
                // unfinished record.
                self.partitions.mark_abandoned(&checked.subject.partition);
            }
            (ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. }, None) => {
                // Not believed yet: the whole history is compared at once, which also finds where to go on.
                self.inspection.raise_doubt(PositionDoubt::Log);
            }
            (ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. }, Some(_)) => {
                self.restart_partition(checked);
            }
        }
    }

    /// Goes on at the position where both logs agree, or at the oldest record, and reports what is lost. If the client
    /// refuses, the next check tries again.
    fn restart_partition(&mut self, checked: InspectionResult) {
        let InspectionResult { subject, verdict, extent } = checked;
        let (partition, expected) = (subject.partition, subject.claim.next);
        let resumed = match verdict {
            ContinuityVerdict::Fits => expected,
            ContinuityVerdict::Expired => extent.low,
            ContinuityVerdict::Replaced { resume } => resume,
        };
        let loss = RecordLoss::of(verdict, expected, resumed, self.partitions.unread(&partition));
        let proof = continuity::proof_after(subject.claim, verdict, extent);
        let metadata = proof.to_string();
        if let Err(error) = self.read_from(&partition, resumed, extent.end, proof) {
            self.inspection.raise_doubt(PositionDoubt::Log);
            return self.report_error(&format!("{partition} cannot be read from {resumed}: {error}"));
        }
        self.commit_now([OffsetCommit { partition: partition.clone(), offset: resumed, metadata }].into_iter());
        self.report_loss(&partition, expected, resumed, loss);
    }

    pub(super) fn report_loss(&mut self, partition: &TopicPartition, expected: i64, resumed: i64, loss: RecordLoss) {
        self.handle.outbox.push(ConsumerEvent::OffsetsLost { partition: partition.clone(), expected, resumed, loss });
    }
}
