//! What the thread says of itself: its status, and errors that hinder it.

use super::ConsumerLoop;
use crate::consumer::{ConsumerEvent, ConsumerStatus};
use rdkafka::consumer::Consumer;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the status is published.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Where the status goes, and when.
#[derive(Debug)]
pub(in crate::consumer) struct StatusReporter {
    report: watch::Sender<ConsumerStatus>,
    started: Instant,
    due: Instant,
}

impl StatusReporter {
    pub(in crate::consumer) fn new(report: watch::Sender<ConsumerStatus>) -> StatusReporter {
        let now = Instant::now();
        StatusReporter { report, started: now, due: now }
    }
}

impl ConsumerLoop {
    /// An error hinders intake. The engine gets one event, and another one when the reason changes or is over.
    pub(super) fn report_error(&mut self, message: &str) {
        if self.errors.on_error(message, Instant::now()) {
            self.handle.outbox.push(ConsumerEvent::Trouble(message.to_owned()));
        }
    }

    pub(super) fn publish_status(&mut self) {
        let now = Instant::now();
        if now < self.handle.status.due {
            return;
        }
        self.handle.status.due = now + REPORT_EVERY;
        self.client.check_brokers();
        if let Some(fetched) = self.client.kafka.context().take_statistics() {
            self.partitions.update_fetched(&fetched, now);
        }
        let status = self.status(now);
        self.handle.status.report.send_replace(status);
    }

    fn status(&self, now: Instant) -> ConsumerStatus {
        let (unfinished_records, unfinished_bytes) = self.partitions.unfinished();
        let (assigned, paused) = self.partitions.counts();
        ConsumerStatus {
            name: self.plan.name,
            topics: self.plan.topics.iter().map(|start| start.topic.clone()).collect(),
            polled: Some(now),
            assigned,
            paused,
            unfinished_records,
            unfinished_bytes,
            started: Some(self.handle.status.started),
            last_read: self.inspection.last_read,
            partitions: self.partitions.statuses(),
            coverage: self.inspection.coverage.clone(),
            trouble: self.errors.message().map(str::to_owned),
            troubled_since: self.errors.since(),
        }
    }
}
