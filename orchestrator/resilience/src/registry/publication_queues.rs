//! Outcome events that wait to be published, by topic.
//!
//! A topic has no configured guards. A fixed number of its publications are in flight at once, and the others wait in
//! its line; of a topic that refuses one at a time is out. What waits is on record, and its saga is not in memory.

use super::{GuardAdmission, GuardRegistry, ParticipantRoute};
use crate::{
    gate::{AttemptKind, CallArrival, CallGate, GuardRefusal, PermitRequest, SagaWaiter, WaitQueueHandle, WaitRequest},
    guard_events::GuardEventBus,
    permit::CallPermit,
    settings::GateSettings,
    topic_availability::{TopicAvailability, TopicTracker, show_waiting},
};
use saga_base::sync::UnpoisonedMutex;
use saga_core::command::GuardKind;
use saga_guards::PriorityLane;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// Publications to one topic that are out at once: each holds its saga in memory, some 15 KB. A broker that answers
/// within 20 ms takes 50,000 a second by that.
const MAX_CONCURRENT_PUBLICATIONS: NonZeroU32 = NonZeroU32::new(1_000).expect("not zero");

/// From so many on who wait for a topic, no new sagas are let in that would be published there: a place in a line has
/// some 300 bytes.
const HIGH_WATERMARK: usize = 50_000;

/// From so few on they are let in again.
const LOW_WATERMARK: usize = HIGH_WATERMARK / 2;

/// The lines of topics.
#[derive(Debug)]
pub(super) struct PublicationQueues {
    queues: UnpoisonedMutex<BTreeMap<Arc<str>, TopicQueue>>,
    overloaded: watch::Sender<BTreeSet<Arc<str>>>,
    wakeup: Arc<Notify>,
    changes: GuardEventBus,
}

#[derive(Debug)]
struct TopicQueue {
    /// Its breaker never opens, because no result of a publication is reported to it: [`TopicTracker`] knows which
    /// topics take records.
    gate: Arc<CallGate>,
    /// How many waited in it when that was last reported.
    shown: usize,
}

impl PublicationQueues {
    pub(super) fn new(wakeup: Arc<Notify>, changes: GuardEventBus) -> PublicationQueues {
        PublicationQueues { queues: UnpoisonedMutex::default(), overloaded: watch::Sender::default(), wakeup, changes }
    }

    /// Every topic that something was published to in this life. Their names come from definitions, so they are few.
    pub(super) fn gates(&self) -> Vec<(Arc<str>, Arc<CallGate>)> {
        self.queues.lock().iter().map(|(topic, line)| (Arc::clone(topic), Arc::clone(&line.gate))).collect()
    }

    fn gate(&self, topic: &str) -> Arc<CallGate> {
        let mut queues = self.queues.lock();
        if let Some(line) = queues.get(topic) {
            return Arc::clone(&line.gate);
        }
        let mut settings = GateSettings::of_limit(MAX_CONCURRENT_PUBLICATIONS);
        settings.bulkhead.max_waiting = Some(0);
        let gate = Arc::new(CallGate::without_metrics(settings, Arc::clone(&self.wakeup), self.changes.clone()));
        queues.insert(topic.into(), TopicQueue { gate: Arc::clone(&gate), shown: usize::MAX });
        gate
    }

    fn queued(&self, topic: &str) -> usize {
        let gate = self.queues.lock().get(topic).map(|line| Arc::clone(&line.gate));
        gate.map_or(0, |gate| usize::try_from(gate.view().queued).unwrap_or(usize::MAX))
    }

    /// Reports how many wait, and whether that is too many. `commands` counts those that wait for a topic because a
    /// participant reads it.
    pub(super) fn report_waiting(&self, topics: &TopicTracker, commands: impl Fn(&str) -> usize) {
        topics.report_waiting(|topic| self.queued(topic) + commands(topic));
        for (topic, gate) in self.gates() {
            let waiting = usize::try_from(gate.view().queued).unwrap_or(usize::MAX);
            if topics.availability(&topic) == TopicAvailability::All && self.is_news(&topic, waiting) {
                show_waiting(&topic, waiting);
            }
            self.mark(&topic, waiting);
        }
    }

    fn is_news(&self, topic: &str, waiting: usize) -> bool {
        let mut queues = self.queues.lock();
        queues.get_mut(topic).is_some_and(|line| std::mem::replace(&mut line.shown, waiting) != waiting)
    }

    /// Makes the next count of the topic news: the last one was reported while the topic refused.
    fn forget_reported_count(&self, topic: &str) {
        if let Some(line) = self.queues.lock().get_mut(topic) {
            line.shown = usize::MAX;
        }
    }

    fn mark(&self, topic: &Arc<str>, waiting: usize) {
        self.overloaded.send_if_modified(|overloaded| {
            if waiting >= HIGH_WATERMARK {
                overloaded.insert(Arc::clone(topic))
            } else {
                waiting < LOW_WATERMARK && overloaded.remove(topic)
            }
        });
    }
}

impl GuardRegistry {
    /// Whether something may be published to `topic`.
    pub fn admit_publication(&self, topic: &str, arrival: CallArrival) -> GuardAdmission {
        let asking = PermitRequest { lane: PriorityLane::Do, attempt: AttemptKind::Repeat, arrival };
        let admitted = CallPermit::request(&self.publishing.gate(topic), asking, Ok(()));
        match admitted.and_then(|permit| self.topics.try_acquire(topic).map(|()| permit).map_err(refused)) {
            Ok(permit) => GuardAdmission::Admitted(permit),
            Err(GuardRefusal { guard, not_before }) => GuardAdmission::Refused { guard, not_before },
        }
    }

    /// Enqueues an outcome event at its topic until it is notified.
    pub fn enqueue_publication(&self, topic: &str, since: WaitRequest, waiter: SagaWaiter) -> WaitQueueHandle {
        self.publishing.gate(topic).enqueue(since, waiter)
    }

    /// The topics for which too many events wait: sagas that would publish there must not begin.
    pub fn overloaded_topics(&self) -> watch::Receiver<BTreeSet<Arc<str>>> {
        self.publishing.overloaded.subscribe()
    }

    /// A topic takes records again: what waits for it may be notified at once.
    pub(super) fn release_recovered_topics(&self) {
        for topic in self.topics.recovered() {
            self.publishing.gate(&topic).release_waiters();
            self.publishing.forget_reported_count(&topic);
            self.gates_of_commands(&topic).iter().for_each(CallGate::release_waiters);
        }
    }

    pub(super) fn command_topic_availability(&self, route: &ParticipantRoute) -> TopicAvailability {
        match route {
            ParticipantRoute::Http { .. } => TopicAvailability::All,
            ParticipantRoute::Kafka { commands } => self.topics.availability(commands),
        }
    }

    pub(super) fn queued_commands(&self, topic: &str) -> usize {
        let waiting = self.gates_of_commands(topic).into_iter().map(|gate| gate.view().queued);
        waiting.map(|waiting| usize::try_from(waiting).unwrap_or(usize::MAX)).sum()
    }

    fn gates_of_commands(&self, topic: &str) -> Vec<Arc<CallGate>> {
        let participants = self.participants.load();
        let reads =
            |route: &ParticipantRoute| matches!(route, ParticipantRoute::Kafka { commands } if **commands == *topic);
        participants.values().filter(|it| reads(&it.route)).map(|it| Arc::clone(&it.gate)).collect()
    }
}

pub(super) fn refused(not_before: Duration) -> GuardRefusal {
    GuardRefusal { guard: GuardKind::Transport, not_before }
}
