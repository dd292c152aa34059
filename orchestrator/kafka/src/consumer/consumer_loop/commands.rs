//! What the handle asks for, and the pauses that follow from it and from the limits.

use super::ConsumerLoop;
use crate::consumer::{
    AssignmentMode, TopicStart,
    control::{ConsumerRequest, HandleDropped},
    log_reader::list,
    partitions::PauseChange,
    shutdown::ConsumerShutdown,
};
use rdkafka::{Offset, consumer::Consumer};
use saga_wire::record::TopicPartition;
use std::time::Instant;

impl ConsumerLoop {
    /// False: the handle was dropped without a stop.
    pub(super) fn handle_commands(&mut self) -> bool {
        if let Some(held) = self.handle.control.new_held() {
            self.partitions.set_held(held);
        }
        if let Some(topics) = self.handle.control.new_topics() {
            self.change_topics(topics);
        }
        loop {
            match self.handle.control.next_request() {
                Ok(Some(request)) => self.handle_request(request),
                Ok(None) => return true,
                Err(HandleDropped) => return self.stop.is_some(),
            }
        }
    }

    fn handle_request(&mut self, request: ConsumerRequest) {
        match request {
            ConsumerRequest::Finished(answer) => {
                // What was settled before the question counts.
                self.collect_acks();
                // The caller may not wait any more.
                let _ = answer.send(self.partitions.finished());
            }
            ConsumerRequest::Stop { by, done } => {
                self.stop = Some(ConsumerShutdown::new(by, done, Instant::now()));
            }
        }
    }

    /// The group reassigns partitions by itself when the subscription changes. Partitions that are assigned by hand are
    /// given back here, and listed again at once.
    fn change_topics(&mut self, topics: Vec<TopicStart>) {
        self.plan.topics = topics;
        let changed = match self.plan.mode {
            AssignmentMode::Group => self.subscribe(),
            AssignmentMode::Manual => {
                self.assignment.list_at = Instant::now();
                let wanted = |one: &TopicPartition| self.plan.topics.iter().any(|start| start.topic == one.topic);
                let gone: Vec<TopicPartition> = self.partitions.list().into_iter().filter(|one| !wanted(one)).collect();
                if gone.is_empty() { Ok(()) } else { self.unassign(gone) }
            }
        };
        if let Err(error) = changed {
            self.report_error(&format!("topics cannot be changed: {error}"));
        }
    }

    /// A stop pauses everything.
    pub(super) fn apply_pauses(&mut self) {
        let PauseChange { pause, resume } = self.partitions.pause_change(self.stop.is_some());
        for (partitions, pausing) in [(pause, true), (resume, false)] {
            if partitions.is_empty() {
                continue;
            }
            let client = &self.client.kafka;
            let done = list(partitions.iter().map(|one| (one, Offset::Invalid)))
                .and_then(|list| if pausing { client.pause(&list) } else { client.resume(&list) });
            if let Err(error) = done {
                tracing::warn!(consumer = self.plan.name, %error, pausing, "partitions could not be paused or resumed");
            }
        }
    }
}
