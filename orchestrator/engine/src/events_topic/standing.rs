//! How far the topic is and what holds it up, for operators.

use metrics::{counter, gauge};
use saga_base::sync::UnpoisonedMutex;
use saga_core::time::Timestamp;
use saga_resilience::topic_availability::TopicTracker;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tracing::{error, info};

/// How the topic of all events stands, as the engine that writes to it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsTopicView {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// How long the oldest event has waited that the topic does not have; zero: it has all.
    pub behind: Duration,
    /// Why it gets no events now; `None`: it gets them.
    pub problem: Option<String>,
}

/// What the writer of the topic says about it.
#[derive(Debug)]
pub(crate) struct EventsTopicStanding {
    topic: Arc<str>,
    topics: Arc<TopicTracker>,
    state: UnpoisonedMutex<WriterState>,
}

#[derive(Debug, Default)]
struct WriterState {
    /// Whether this engine writes to the topic.
    writes: bool,
    /// When the oldest event was recorded that the topic does not have.
    oldest_at: Option<Timestamp>,
    /// Why the feed cannot be read, or the position not be moved.
    stopped: Option<String>,
    /// Records that the topic never takes as they are, with the reason: at most as many as are sent at the same time.
    refused: BTreeMap<String, String>,
}

impl EventsTopicStanding {
    pub(crate) fn new(topic: Arc<str>, topics: Arc<TopicTracker>) -> EventsTopicStanding {
        EventsTopicStanding { topic, topics, state: UnpoisonedMutex::default() }
    }

    /// How the topic stands; `None`: another engine writes to it.
    #[must_use]
    pub(crate) fn view(&self, now: Timestamp) -> Option<EventsTopicView> {
        let state = self.state.lock();
        let behind = state.oldest_at.map_or(0, |at| u64::try_from(now.0 - at.0).unwrap_or(0));
        let problem = state.refused.values().next().or(state.stopped.as_ref()).cloned();
        let problem = problem.or_else(|| self.topics.refusal(&self.topic));
        let view = EventsTopicView { topic: Arc::clone(&self.topic), behind: Duration::from_millis(behind), problem };
        state.writes.then_some(view)
    }

    /// Another engine writes to the topic.
    pub(super) fn left(&self) {
        *self.state.lock() = WriterState::default();
        show_stopped(false);
    }

    /// The topic has all events.
    pub(super) fn caught_up(&self) {
        self.goes_on(None);
    }

    /// Events are sent, the oldest of which was recorded then.
    pub(super) fn sends(&self, oldest_at_ms: Option<i64>) {
        self.goes_on(oldest_at_ms.map(Timestamp));
    }

    fn goes_on(&self, oldest_at: Option<Timestamp>) {
        let before = {
            let mut state = self.state.lock();
            let refused = std::mem::take(&mut state.refused);
            std::mem::replace(&mut *state, WriterState { writes: true, oldest_at, stopped: None, refused }).stopped
        };
        if before.is_some() {
            info!(topic = %self.topic, "the topic of all events goes on");
            show_stopped(false);
        }
    }

    /// The feed cannot be read, or the position not be moved.
    pub(super) fn stops(&self, problem: &str) {
        let is_new = {
            let mut state = self.state.lock();
            state.writes = true;
            state.stopped.replace(problem.to_owned()).is_none_or(|before| before != problem)
        };
        if is_new {
            error!(topic = %self.topic, problem, "the topic of all events gets none for now; the engine tries again");
        }
        show_stopped(true);
    }

    /// The topic never takes this record as it is. What comes after it of the same saga waits.
    pub(super) fn refuses(&self, record: &str, reason: &str) {
        let problem = format!("the topic refuses the record {record}: {reason}");
        let is_new = self.state.lock().refused.insert(record.to_owned(), problem.clone()).is_none();
        if is_new {
            error!(topic = %self.topic, problem, "the topic of all events waits until it takes the record");
        }
        show_stopped(true);
    }

    /// The topic has a record that it refused.
    pub(super) fn takes(&self, record: &str) {
        let none_left = {
            let mut state = self.state.lock();
            state.refused.remove(record).is_some() && state.refused.is_empty()
        };
        if none_left {
            info!(topic = %self.topic, "the topic of all events takes the records that it refused");
            show_stopped(false);
        }
    }
}

fn show_stopped(is_stopped: bool) {
    gauge!("saga_events_topic_stopped").set(f64::from(u8::from(is_stopped)));
}

/// Counts a record that the topic has.
pub(super) fn count_sent() {
    counter!("saga_events_topic_records_total").increment(1);
}

/// Counts a record that the topic takes without its data only.
pub(super) fn count_omitted() {
    counter!("saga_events_topic_data_omitted_total").increment(1);
}

/// Counts that events had left the feed before the topic got them.
pub(super) fn count_skipped() {
    counter!("saga_events_topic_skipped_total").increment(1);
}
