//! One iteration of the thread: commands, acknowledgements, assignments, pauses, events, and a poll at the end of each.

mod assignment;
mod inspection;
mod polling;

use super::{
    AssignmentMode, ConsumerEvent, ConsumerSettings, ConsumerStatus, TopicStart,
    ack::AckQueue,
    client_errors::ClientErrorTracker,
    context::CallbackContext,
    control::{ConsumerRequest, ControlReceiver, HandleDropped},
    inspector::LogInspector,
    log_reader::list,
    partitions::{OffsetCommit, PartitionTable, PauseChange},
    shutdown::ConsumerShutdown,
};
use crate::brokers::ClientRebootstrap;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use saga_wire::record::TopicPartition;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// How long a poll waits while paused or stopping, when an acknowledgement is what is waited for.
const POLL_PAUSED: Duration = Duration::from_millis(5);

/// Before the broker is asked again where partitions begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How often the status is published.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// The state of the thread. It alone touches the client.
pub(super) struct ConsumerLoop {
    client: BaseConsumer<CallbackContext>,
    brokers: ClientRebootstrap,
    plan: ConsumerSettings,
    events: mpsc::Sender<ConsumerEvent>,
    /// Events for which the channel had no room. What it holds is unfinished, so the limits of the plan bound it.
    outbox: VecDeque<ConsumerEvent>,
    control: ControlReceiver,
    acks: AckQueue,
    report: watch::Sender<ConsumerStatus>,
    partitions: PartitionTable,
    inspector: LogInspector,
    inspection: inspection::InspectionSchedule,
    started: Instant,
    /// Partitions that were assigned and whose beginning is not known yet.
    pending: Option<Vec<TopicPartition>>,
    ask_at: Instant,
    list_at: Instant,
    reread_at: Option<Instant>,
    report_at: Instant,
    errors: ClientErrorTracker,
    /// What was last told of commits.
    commit_refused: Option<String>,
    names: HashMap<String, Arc<str>>,
    stop: Option<ConsumerShutdown>,
}

/// How a turn ended.
#[derive(Debug)]
pub(super) enum PollOutcome {
    Continue,
    Stop(ConsumerShutdown),
    /// Nobody receives the events, or nobody holds the handle.
    Disconnected,
    Failed(String),
}

impl ConsumerLoop {
    pub(super) fn new(
        (client, brokers): (BaseConsumer<CallbackContext>, ClientRebootstrap),
        plan: ConsumerSettings,
        events: mpsc::Sender<ConsumerEvent>,
        control: ControlReceiver,
        report: watch::Sender<ConsumerStatus>,
        inspector: LogInspector,
    ) -> ConsumerLoop {
        let now = Instant::now();
        ConsumerLoop {
            client,
            brokers,
            acks: AckQueue::new(plan.limits.unfinished_records),
            partitions: PartitionTable::new(plan.limits),
            plan,
            events,
            outbox: VecDeque::new(),
            control,
            report,
            inspector,
            inspection: inspection::InspectionSchedule::new(now),
            started: now,
            pending: None,
            ask_at: now,
            list_at: now,
            reread_at: None,
            report_at: now,
            errors: ClientErrorTracker::default(),
            commit_refused: None,
            names: HashMap::new(),
            stop: None,
        }
    }

    pub(super) fn events(&self) -> mpsc::Sender<ConsumerEvent> {
        self.events.clone()
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
        self.log_refused_commits();
        if !self.flush_events() {
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

    /// Commits and leaves the group; false if that was not possible in time, or cannot be expected to be: librdkafka 2.12
    /// can crash when a consumer is closed while its coordinator is away.
    pub(super) fn close(&mut self, by: Instant) -> bool {
        self.collect_acks();
        if self.errors.message().is_some() {
            return false;
        }
        match self.client.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(consumer = self.plan.name, %error, "offsets could not be committed at the end");
            }
        }
        if self.client.close_queue().is_err() {
            return false;
        }
        while !self.client.closed() {
            if Instant::now() >= by {
                return false;
            }
            let _ = self.client.poll(POLL_PAUSED);
            self.handle_rebalances();
        }
        let _ = self.flush_events();
        true
    }

    /// Leaves the client to the end of the process: dropping it would wait for the broker without a deadline.
    pub(super) fn abandon(self) {
        std::mem::forget(self.client);
    }

    fn subscribe(&self) -> KafkaResult<()> {
        let topics: Vec<&str> = self.plan.topics.iter().map(|start| &*start.topic).collect();
        self.client.subscribe(&topics)
    }

    /// False: nobody holds the handle any more, and no stop was asked for.
    fn handle_commands(&mut self) -> bool {
        if let Some(held) = self.control.new_held() {
            self.partitions.set_held(held);
        }
        if let Some(topics) = self.control.new_topics() {
            self.change_topics(topics);
        }
        loop {
            match self.control.next_request() {
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
                // Who asked may have gone.
                let _ = answer.send(self.partitions.finished());
            }
            ConsumerRequest::Stop { by, done } => {
                self.stop = Some(ConsumerShutdown::new(by, done, Instant::now()));
            }
        }
    }

    fn change_topics(&mut self, topics: Vec<TopicStart>) {
        self.plan.topics = topics;
        let changed = match self.plan.mode {
            AssignmentMode::Group => self.subscribe(),
            AssignmentMode::Manual => {
                self.list_at = Instant::now();
                let wanted = |one: &TopicPartition| self.plan.topics.iter().any(|start| start.topic == one.topic);
                let gone: Vec<TopicPartition> = self.partitions.list().into_iter().filter(|one| !wanted(one)).collect();
                if gone.is_empty() { Ok(()) } else { self.unassign(gone) }
            }
        };
        if let Err(error) = changed {
            self.report_error(&format!("topics cannot be changed: {error}"));
        }
    }

    fn collect_acks(&mut self) {
        let mut advanced: BTreeSet<TopicPartition> = BTreeSet::new();
        while let Some(settled) = self.acks.collect() {
            advanced.extend(self.partitions.settle(settled));
        }
        let committable: Vec<OffsetCommit> =
            advanced.iter().filter_map(|partition| self.partitions.committable(partition)).collect();
        if !committable.is_empty() {
            self.store_offsets(committable);
        }
    }

    fn store_offsets(&self, all: impl IntoIterator<Item = OffsetCommit>) -> Option<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for OffsetCommit { partition, offset, metadata } in all {
            let mut element = list.add_partition(&partition.topic, partition.partition);
            element.set_offset(Offset::Offset(offset)).ok()?;
            element.set_metadata(metadata);
        }
        // Refused for partitions that were taken away meanwhile: whoever has them reads those records again.
        if let Err(error) = self.client.store_offsets(&list) {
            tracing::debug!(consumer = self.plan.name, %error, "offsets not stored");
        }
        Some(list)
    }

    fn apply_pauses(&mut self) {
        let PauseChange { pause, resume } = self.partitions.pause_change(self.stop.is_some());
        for (partitions, pausing) in [(pause, true), (resume, false)] {
            if partitions.is_empty() {
                continue;
            }
            let done = list(partitions.iter().map(|one| (one, Offset::Invalid)))
                .and_then(|list| if pausing { self.client.pause(&list) } else { self.client.resume(&list) });
            if let Err(error) = done {
                tracing::warn!(consumer = self.plan.name, %error, pausing, "partitions could not be paused or resumed");
            }
        }
    }

    /// Once, until one is refused for another reason: the client commits every second.
    fn log_refused_commits(&mut self) {
        let refused = self.client.context().take_commit_refused();
        if let Some(reason) = refused.filter(|reason| self.commit_refused.as_ref() != Some(reason)) {
            tracing::warn!(consumer = self.plan.name, reason, "a commit of offsets was refused");
            self.commit_refused = Some(reason);
        }
    }

    fn report_error(&mut self, message: &str) {
        if self.errors.on_error(message, Instant::now()) {
            self.outbox.push_back(ConsumerEvent::Trouble(message.to_owned()));
        }
    }

    fn flush_events(&mut self) -> bool {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return true;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return self.stop.is_some(),
            }
        }
        true
    }

    fn publish_status(&mut self) {
        let now = Instant::now();
        if now < self.report_at {
            return;
        }
        self.report_at = now + REPORT_EVERY;
        self.brokers.check(self.client.client());
        let (unfinished_records, unfinished_bytes) = self.partitions.unfinished();
        let (assigned, paused) = self.partitions.counts();
        let trouble = self.errors.message().map(str::to_owned);
        if let Some(fetched) = self.client.context().take_statistics() {
            self.partitions.update_fetched(&fetched, now);
        }
        self.report.send_replace(ConsumerStatus {
            name: self.plan.name,
            topics: self.plan.topics.iter().map(|start| start.topic.clone()).collect(),
            polled: Some(now),
            assigned,
            paused,
            unfinished_records,
            unfinished_bytes,
            started: Some(self.started),
            last_read: self.inspection.last_read,
            partitions: self.partitions.statuses(),
            coverage: self.inspection.coverage.clone(),
            trouble,
            troubled_since: self.errors.since(),
        });
    }
}
