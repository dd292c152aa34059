//! One turn of the thread: orders, acknowledgements, assignments, pauses, events, and a poll at the end of every turn.

use super::{
    Command, ConsumerEvent, Delivered, Mode, Plan, Status, TopicStart,
    ack::{Ack, Settled},
    context::{Context, Rebalance},
    partitions::{Committable, Partitions, PauseChange},
    start::{self, Position},
    thread::Stop,
    trouble::Trouble,
};
use crate::kafka::record::{self, TopicPartition};
use rdkafka::{
    Message, Offset,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use saga_core::time::Timestamp;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, mpsc as thread_mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, watch};

/// Records of one event: enough to spread the cost of a wake-up, few enough to be worked on at once.
const BATCH_RECORDS: usize = 256;

/// Bytes of one event beyond which no further record is added.
const BATCH_BYTES: usize = 1024 * 1024;

/// How long a poll waits for a record; orders and acknowledgements wait as long.
const POLL: Duration = Duration::from_millis(50);

/// The same while paused or stopping, when an acknowledgement is what is waited for.
const POLL_PAUSED: Duration = Duration::from_millis(5);

/// Before the broker is asked again where partitions begin.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Before abandoned records are read again, so that a fault that repeats does not spin.
const REREAD_AFTER: Duration = Duration::from_secs(1);

/// How often partitions are listed anew when they are assigned by hand: as fast as a person adds them.
const LIST_EVERY: Duration = Duration::from_secs(30);

/// How often the status is published.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// The state of the thread. It alone touches the client.
pub(super) struct Intake {
    client: BaseConsumer<Context>,
    plan: Plan,
    events: mpsc::Sender<ConsumerEvent>,
    /// Events for which the channel had no room. What it holds is unfinished, so the limits of the plan bound it.
    outbox: VecDeque<ConsumerEvent>,
    orders: thread_mpsc::Receiver<Command>,
    settled: (thread_mpsc::Sender<Settled>, thread_mpsc::Receiver<Settled>),
    report: watch::Sender<Status>,
    partitions: Partitions,
    /// Partitions that were assigned and whose beginning is not known yet.
    pending: Option<Vec<TopicPartition>>,
    ask_at: Instant,
    list_at: Instant,
    reread_at: Option<Instant>,
    report_at: Instant,
    trouble: Trouble,
    names: HashMap<String, Arc<str>>,
    stop: Option<Stop>,
}

/// How a turn ended.
#[derive(Debug)]
pub(super) enum Turn {
    Go,
    Stop(Stop),
    /// Nobody receives the events, or nobody holds the handle.
    Unheard,
    Failed(String),
}

impl Intake {
    pub(super) fn new(
        client: BaseConsumer<Context>,
        plan: Plan,
        events: mpsc::Sender<ConsumerEvent>,
        orders: thread_mpsc::Receiver<Command>,
        report: watch::Sender<Status>,
    ) -> Intake {
        let now = Instant::now();
        Intake {
            client,
            partitions: Partitions::new(plan.limits),
            plan,
            events,
            outbox: VecDeque::new(),
            orders,
            settled: thread_mpsc::channel(),
            report,
            pending: None,
            ask_at: now,
            list_at: now,
            reread_at: None,
            report_at: now,
            trouble: Trouble::default(),
            names: HashMap::new(),
            stop: None,
        }
    }

    pub(super) fn events(&self) -> mpsc::Sender<ConsumerEvent> {
        self.events.clone()
    }

    pub(super) fn begin(&mut self) -> KafkaResult<()> {
        match self.plan.mode {
            Mode::Group => self.subscribe(),
            Mode::Manual => Ok(()),
        }
    }

    pub(super) fn turn(&mut self) -> Turn {
        if !self.take_orders() {
            return Turn::Unheard;
        }
        self.take_settled();
        self.take_rebalances();
        self.list_by_hand();
        self.assign_pending();
        self.reread_abandoned();
        self.change_pauses();
        self.watch_broker();
        if !self.send() {
            return Turn::Unheard;
        }
        self.publish_status();
        let (unfinished, _) = self.partitions.unfinished();
        if let Some(stop) = self.stop.take_if(|stop| stop.drained_or_late(unfinished, Instant::now())) {
            return Turn::Stop(stop);
        }
        self.poll()
    }

    pub(super) fn unfinished(&self) -> usize {
        self.partitions.unfinished().0
    }

    /// Commits and leaves the group; false if that was not possible in time, or cannot be expected to be: librdkafka 2.12
    /// can crash when a consumer is closed while its coordinator is away.
    pub(super) fn leave(&mut self, by: Instant) -> bool {
        self.take_settled();
        if self.trouble.message().is_some() {
            return false;
        }
        match self.client.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(consumer = self.plan.name, %error, "offsets could not be committed at the end")
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
            self.take_rebalances();
        }
        let _ = self.send();
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

    fn take_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Command::Topics(topics)) => self.change_topics(topics),
                Ok(Command::Hold(scope)) => self.partitions.hold(scope),
                Ok(Command::Release(scope)) => self.partitions.release(&scope),
                Ok(Command::Stop { by, done }) => self.stop = Some(Stop::new(by, done, Instant::now())),
                Err(thread_mpsc::TryRecvError::Empty) => return true,
                Err(thread_mpsc::TryRecvError::Disconnected) => return self.stop.is_some(),
            }
        }
    }

    fn change_topics(&mut self, topics: Vec<TopicStart>) {
        self.plan.topics = topics;
        let changed = match self.plan.mode {
            Mode::Group => self.subscribe(),
            Mode::Manual => {
                self.list_at = Instant::now();
                let wanted = |one: &TopicPartition| self.plan.topics.iter().any(|start| start.topic == one.topic);
                let gone: Vec<TopicPartition> = self.partitions.list().into_iter().filter(|one| !wanted(one)).collect();
                if gone.is_empty() { Ok(()) } else { self.give_up(gone) }
            }
        };
        if let Err(error) = changed {
            self.complain(&format!("topics cannot be changed: {error}"));
        }
    }

    fn take_settled(&mut self) {
        let mut latest: BTreeMap<TopicPartition, Committable> = BTreeMap::new();
        while let Ok(settled) = self.settled.1.try_recv() {
            if let Some(committable) = self.partitions.settle(settled) {
                latest.insert(committable.partition.clone(), committable);
            }
        }
        if !latest.is_empty() {
            self.store(latest.into_values());
        }
    }

    fn store(&self, all: impl IntoIterator<Item = Committable>) -> Option<rdkafka::TopicPartitionList> {
        let mut list = rdkafka::TopicPartitionList::new();
        for Committable { partition, offset, metadata } in all {
            let mut element = list.add_partition(&partition.topic, partition.partition);
            element.set_offset(Offset::Offset(offset)).ok()?;
            if !metadata.is_empty() {
                element.set_metadata(metadata);
            }
        }
        // Refused for partitions that were taken away meanwhile: whoever has them reads those records again.
        if let Err(error) = self.client.store_offsets(&list) {
            tracing::debug!(consumer = self.plan.name, %error, "offsets not stored");
        }
        Some(list)
    }

    fn take_rebalances(&mut self) {
        while let Some(rebalance) = self.client.context().next_rebalance() {
            match rebalance {
                Rebalance::Assign(partitions) => {
                    self.pending.get_or_insert_default().extend(partitions);
                    self.ask_at = Instant::now();
                    if self.client.closed() || self.stop.is_some() {
                        self.answer_without_reading();
                    }
                }
                Rebalance::Revoke(partitions) => {
                    self.take_settled();
                    if let Err(error) = self.give_up(partitions) {
                        tracing::warn!(consumer = self.plan.name, %error, "partitions could not be given back");
                    }
                }
            }
        }
    }

    /// The group must get its answer even when nothing will be read any more.
    fn answer_without_reading(&mut self) {
        self.pending = None;
        if let Err(error) = self.client.incremental_assign(&rdkafka::TopicPartitionList::new()) {
            tracing::debug!(consumer = self.plan.name, %error, "assignment not answered");
        }
    }

    fn give_up(&mut self, partitions: Vec<TopicPartition>) -> KafkaResult<()> {
        if let Some(pending) = &mut self.pending {
            pending.retain(|one| !partitions.contains(one));
        }
        let held: Vec<TopicPartition> = partitions.into_iter().filter(|one| self.partitions.revoke(one)).collect();
        let answered = self.client.incremental_unassign(&start::list(held.iter().map(|one| (one, Offset::Invalid)))?);
        self.outbox.push_back(ConsumerEvent::Revoked(held));
        answered
    }

    fn list_by_hand(&mut self) {
        let now = Instant::now();
        if self.plan.mode == Mode::Group || self.stop.is_some() || now < self.list_at {
            return;
        }
        self.list_at = now + LIST_EVERY;
        let mut wanted = Vec::new();
        for start in &self.plan.topics {
            match start::partitions_of(&self.client, &start.topic) {
                Ok(found) => wanted.extend(found),
                Err(error) => {
                    self.list_at = now + ASK_AGAIN;
                    let message = format!("partitions of {} cannot be listed: {error}", start.topic);
                    return self.complain(&message);
                }
            }
        }
        wanted.retain(|one| !self.partitions.contains(one));
        if !wanted.is_empty() {
            self.pending = Some(wanted);
        }
    }

    fn assign_pending(&mut self) {
        if self.pending.is_none() || self.stop.is_some() || Instant::now() < self.ask_at {
            return;
        }
        let wanted = self.pending.take().unwrap_or_default();
        let positions = if wanted.is_empty() {
            Ok(Vec::new())
        } else {
            start::positions(&self.client, &wanted, &self.plan.topics, now_ms())
        };
        if let Err(error) = positions.and_then(|positions| self.begin_at(positions)) {
            self.ask_at = Instant::now() + ASK_AGAIN;
            self.pending = Some(wanted);
            self.complain(&format!("it cannot be told where partitions begin: {error}"));
        }
    }

    fn begin_at(&mut self, positions: Vec<Position>) -> KafkaResult<()> {
        let offsets = positions.iter().map(|one| (&one.partition, Offset::Offset(one.next)));
        self.client.incremental_assign(&start::list(offsets)?)?;
        self.keep_beginnings(&positions);
        let mut contacts: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for Position { partition, fresh, .. } in &positions {
            if let Some(records) = fresh {
                *contacts.entry(partition.topic.clone()).or_default() += records;
            }
        }
        let assigned = positions.iter().map(|one| one.partition.clone()).collect();
        for Position { partition, next, metadata, .. } in positions {
            self.partitions.assign(partition, next, metadata);
        }
        self.outbox.extend(contacts.into_iter().map(|(topic, records)| ConsumerEvent::FirstContact { topic, records }));
        self.outbox.push_back(ConsumerEvent::Assigned(assigned));
        Ok(())
    }

    /// Commits where a first contact began, before anything is finished: else a restart would meet the topic once more, later.
    fn keep_beginnings(&self, positions: &[Position]) {
        let fresh = positions.iter().filter(|one| one.fresh.is_some());
        let beginnings: Vec<Committable> = fresh
            .map(|one| Committable {
                partition: one.partition.clone(),
                offset: one.next,
                metadata: one.metadata.clone(),
            })
            .collect();
        if beginnings.is_empty() {
            return;
        }
        let Some(list) = self.store(beginnings) else { return };
        if let Err(error) = self.client.commit(&list, CommitMode::Async) {
            tracing::warn!(consumer = self.plan.name, %error, "the beginning of a first contact is not committed");
        }
    }

    fn reread_abandoned(&mut self) {
        let abandoned = self.partitions.abandoned();
        if abandoned.is_empty() || self.stop.is_some() {
            return;
        }
        let now = Instant::now();
        let due = *self.reread_at.get_or_insert(now + REREAD_AFTER);
        if now < due {
            return;
        }
        self.reread_at = None;
        for (partition, offset) in abandoned {
            tracing::warn!(consumer = self.plan.name, %partition, offset, "records were abandoned and are read again");
            if let Err(error) = self.reread(&partition, offset) {
                self.complain(&format!("{partition} cannot be read again: {error}"));
            }
        }
    }

    fn reread(&mut self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let metadata = self.partitions.metadata(partition);
        self.client.incremental_unassign(&start::list([(partition, Offset::Invalid)])?)?;
        self.client.incremental_assign(&start::list([(partition, Offset::Offset(offset))])?)?;
        self.partitions.assign(partition.clone(), offset, metadata);
        Ok(())
    }

    fn change_pauses(&mut self) {
        let PauseChange { pause, resume } = self.partitions.pause_change(self.stop.is_some());
        for (partitions, pausing) in [(pause, true), (resume, false)] {
            if partitions.is_empty() {
                continue;
            }
            let done = start::list(partitions.iter().map(|one| (one, Offset::Invalid)))
                .and_then(|list| if pausing { self.client.pause(&list) } else { self.client.resume(&list) });
            if let Err(error) = done {
                tracing::warn!(consumer = self.plan.name, %error, pausing, "partitions could not be paused or resumed");
            }
        }
    }

    fn watch_broker(&mut self) {
        if let Some(reason) = self.client.context().take_commit_refused() {
            tracing::warn!(consumer = self.plan.name, reason, "a commit of offsets was refused");
        }
        if !self.trouble.probe_due(Instant::now()) {
            return;
        }
        let known = |start: &TopicStart| {
            let metadata = self.client.fetch_metadata(Some(&start.topic), ASK_AGAIN);
            metadata.is_ok_and(|found| found.topics().iter().all(|topic| topic.error().is_none()))
        };
        if self.plan.topics.iter().all(known) && self.trouble.answered(Instant::now()) {
            self.outbox.push_back(ConsumerEvent::Recovered);
        }
    }

    fn complain(&mut self, message: &str) {
        if self.trouble.heard(message, Instant::now()) {
            self.outbox.push_back(ConsumerEvent::Trouble(message.to_owned()));
        }
    }

    fn send(&mut self) -> bool {
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
        let (unfinished_records, unfinished_bytes) = self.partitions.unfinished();
        let (assigned, paused) = self.partitions.counts();
        let trouble = self.trouble.message().map(str::to_owned);
        let polled = Some(now);
        self.report.send_replace(Status { polled, assigned, paused, unfinished_records, unfinished_bytes, trouble });
    }

    fn poll(&mut self) -> Turn {
        let mut wait = if self.partitions.pressed() || self.stop.is_some() { POLL_PAUSED } else { POLL };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut error = None;
        while batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            match self.client.poll(wait) {
                None => break,
                Some(Err(failed)) => {
                    error = Some(failed);
                    break;
                }
                Some(Ok(message)) => {
                    let name = name(&mut self.names, message.topic());
                    let record = record::from_message(&message, name);
                    bytes += record.size();
                    batch.extend(deliver(&mut self.partitions, &self.settled.0, record));
                }
            }
            if self.partitions.pressed() {
                break;
            }
            wait = Duration::ZERO;
        }
        if !batch.is_empty() {
            self.outbox.push_back(ConsumerEvent::Records(batch));
        }
        error.map_or(Turn::Go, |error| self.failed(&error))
    }

    fn failed(&mut self, error: &KafkaError) -> Turn {
        let reason = self.client.context().take_reason();
        let message = reason.map_or_else(|| error.to_string(), |reason| format!("{error}: {reason}"));
        match error {
            KafkaError::MessageConsumptionFatal(_) => return Turn::Failed(message),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => self.find_lost_offsets(),
            // One broker of several, or a lookup that is tried again: if all are gone, the client says so.
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            )
            | KafkaError::PartitionEOF(_) => tracing::debug!(consumer = self.plan.name, message, "kafka client"),
            _ => self.complain(&message),
        }
        Turn::Go
    }

    /// The client says that some partition's next offset does not exist, and not which: ask about each.
    fn find_lost_offsets(&mut self) {
        for (partition, expected) in self.partitions.positions() {
            match start::bounds(&self.client, &partition) {
                Ok((low, high)) if expected < low || expected > high => self.resume_at(partition, expected, low),
                // The client may have stopped reading it all the same (a truncated log), so it is begun again where it was.
                Ok(_) => self.partitions.abandon(&partition),
                Err(error) => {
                    self.partitions.abandon(&partition);
                    self.complain(&format!("{partition} cannot be looked at: {error}"));
                }
            }
        }
    }

    fn resume_at(&mut self, partition: TopicPartition, expected: i64, resumed: i64) {
        if let Err(error) = self.reread(&partition, resumed) {
            return self.complain(&format!("{partition} cannot be read from {resumed}: {error}"));
        }
        let metadata = self.partitions.metadata(&partition);
        let list = self.store([Committable { partition: partition.clone(), offset: resumed, metadata }]);
        // Said outright, because the client by itself never commits an offset lower than the last.
        if let Some(Err(error)) = list.map(|list| self.client.commit(&list, CommitMode::Async)) {
            tracing::warn!(consumer = self.plan.name, %partition, %error, "the new offset is not committed");
        }
        self.outbox.push_back(ConsumerEvent::OffsetsLost { partition, expected, resumed });
    }
}

fn deliver(
    partitions: &mut Partitions,
    settled: &thread_mpsc::Sender<Settled>,
    record: record::Record,
) -> Option<Delivered> {
    let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    let slot = partitions.deliver(&partition, record.offset, record.size())?;
    Some(Delivered { record, ack: Ack::new(slot, settled.clone()) })
}

fn name(names: &mut HashMap<String, Arc<str>>, topic: &str) -> Arc<str> {
    if let Some(known) = names.get(topic) {
        return known.clone();
    }
    let new: Arc<str> = topic.into();
    names.insert(topic.to_owned(), new.clone());
    new
}

fn now_ms() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
