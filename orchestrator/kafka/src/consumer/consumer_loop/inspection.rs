//! Whether what is read is still the log that it was, and can be read: looked at now and then, and whenever something
//! is odd.

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

/// How often all is well. Within that time a topic that was made anew under the client's eyes is noticed, and a broker
/// that is silent.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often while something hinders intake: so soon its end is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The inspector, what it is to check next and why, and what it found.
#[derive(Debug)]
pub(super) struct InspectionSchedule {
    pub(super) inspector: LogInspector,
    /// When the next check is requested.
    due: Instant,
    /// Positions are not trusted until everything that is known of them was compared.
    doubt: Option<PositionDoubt>,
    /// Why the open question compares everything.
    open_doubt: Option<PositionDoubt>,
    /// Who of the group reads what is not read here.
    pub(super) coverage: GroupCoverage,
    /// When the last look found that everything can be read.
    pub(super) last_read: Option<Instant>,
}

/// Why positions are not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PositionDoubt {
    /// A look found another log.
    Log,
    /// The client says that some partition cannot be read on, and not which.
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

    fn apply_verdict(&mut self, doubt: Option<PositionDoubt>, checked: InspectionResult) {
        match (checked.verdict, doubt) {
            (ContinuityVerdict::Fits, None | Some(PositionDoubt::Log)) => {
                self.partitions.confirm(&checked.subject, checked.extent, Instant::now());
            }
            (ContinuityVerdict::Fits, Some(PositionDoubt::Client)) => {
                self.partitions.confirm(&checked.subject, checked.extent, Instant::now());
                // The client may have stopped reading it all the same, so it is begun again where it was.
                self.partitions.mark_abandoned(&checked.subject.partition);
            }
            (ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. }, None) => {
                self.inspection.raise_doubt(PositionDoubt::Log);
            }
            (ContinuityVerdict::Expired | ContinuityVerdict::Replaced { .. }, Some(_)) => {
                self.restart_partition(checked);
            }
        }
    }

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
