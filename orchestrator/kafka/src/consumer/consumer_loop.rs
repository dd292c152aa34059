//! One iteration of the thread: commands, acknowledgements, assignments, pauses, events, and a poll at the end of each.

mod assignment;
mod client;
mod commands;
mod inspection;
mod offsets;
mod outbox;
mod polling;
mod reporting;
mod rereading;

pub(super) use client::ConsumerClient;
pub(super) use outbox::EventOutbox;
pub(super) use reporting::StatusReporter;

use super::{
    AssignmentMode, ConsumerEvent, ConsumerSettings, ack::AckQueue, client_errors::ClientErrorTracker,
    control::ControlReceiver, inspector::LogInspector, partitions::PartitionTable, shutdown::ConsumerShutdown,
};
use assignment::AssignmentSchedule;
use inspection::InspectionSchedule;
use rdkafka::{
    consumer::{CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a poll waits while everything is paused or a stop is under way. Short, because then acknowledgements are
/// awaited and not records.
const POLL_PAUSED: Duration = Duration::from_millis(5);

/// The state of the thread. It alone touches the client.
pub(super) struct ConsumerLoop {
    client: ConsumerClient,
    /// Its topics are those of the newest command.
    plan: ConsumerSettings,
    handle: HandleEnd,
    partitions: PartitionTable,
    /// Of the records that `partitions` counts as unfinished.
    acks: AckQueue,
    assignment: AssignmentSchedule,
    inspection: InspectionSchedule,
    errors: ClientErrorTracker,
    /// A stop that was asked for and is under way.
    stop: Option<ConsumerShutdown>,
}

/// The thread's ends of the channels: from the handle, and to the engine.
pub(super) struct HandleEnd {
    pub(super) control: ControlReceiver,
    pub(super) outbox: EventOutbox,
    pub(super) status: StatusReporter,
}

/// How an iteration ended.
#[derive(Debug)]
pub(super) enum PollOutcome {
    Continue,
    Stop(ConsumerShutdown),
    /// The engine does not receive events any more, or the handle was dropped.
    Disconnected,
    Failed(String),
}

impl ConsumerLoop {
    pub(super) fn new(
        client: ConsumerClient,
        plan: ConsumerSettings,
        handle: HandleEnd,
        inspector: LogInspector,
    ) -> ConsumerLoop {
        let now = Instant::now();
        ConsumerLoop {
            client,
            handle,
            partitions: PartitionTable::new(plan.limits),
            acks: AckQueue::new(plan.limits.unfinished_records),
            plan,
            assignment: AssignmentSchedule::new(now),
            inspection: InspectionSchedule::new(inspector, now),
            errors: ClientErrorTracker::default(),
            stop: None,
        }
    }

    pub(super) fn events(&self) -> mpsc::Sender<ConsumerEvent> {
        self.handle.outbox.sender()
    }

    pub(super) fn start(&mut self) -> KafkaResult<()> {
        match self.plan.mode {
            AssignmentMode::Group => self.subscribe(),
            AssignmentMode::Manual => Ok(()),
        }
    }

    pub(super) fn run_once(&mut self) -> PollOutcome {
        if !self.handle_commands() {
            return PollOutcome::Disconnected;
        }
        self.collect_acks();
        self.handle_rebalances();
        self.list_partitions();
        self.handle_inspection();
        self.request_start_positions();
        self.request_check();
        self.reread_abandoned();
        self.apply_pauses();
        self.client.log_refused_commits(self.plan.name);
        // During a stop the engine need not receive.
        if !self.handle.outbox.flush() && self.stop.is_none() {
            return PollOutcome::Disconnected;
        }
        self.publish_status();
        let (unfinished, _) = self.partitions.unfinished();
        if let Some(stop) = self.stop.take_if(|stop| stop.drained_or_late(unfinished, Instant::now())) {
            return PollOutcome::Stop(stop);
        }
        self.poll()
    }

    pub(super) fn unfinished(&self) -> usize {
        self.partitions.unfinished().0
    }

    /// Commits and leaves the group. False if that was not possible until `by`, or must not be tried: librdkafka 2.12
    /// can crash when a consumer is closed while its coordinator cannot be reached.
    pub(super) fn close(&mut self, by: Instant) -> bool {
        self.collect_acks();
        if self.errors.message().is_some() {
            return false;
        }
        match self.client.kafka.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(consumer = self.plan.name, %error, "offsets could not be committed at the end");
            }
        }
        if self.client.kafka.close_queue().is_err() {
            return false;
        }
        while !self.client.kafka.closed() {
            if Instant::now() >= by {
                return false;
            }
            // Closing revokes the partitions by a rebalance, which has to be answered like any other.
            let _ = self.client.kafka.poll(POLL_PAUSED);
            self.handle_rebalances();
        }
        self.handle.outbox.flush();
        true
    }

    /// Ends the loop without closing the client; see [`ConsumerClient::abandon`].
    pub(super) fn abandon(self) {
        self.client.abandon();
    }

    fn subscribe(&self) -> KafkaResult<()> {
        let topics: Vec<&str> = self.plan.topics.iter().map(|start| &*start.topic).collect();
        self.client.kafka.subscribe(&topics)
    }
}
