//! What the handle asks of the intake thread.
//!
//! Topics and held partitions are state: the thread takes the newest value at its next iteration, and nothing queues
//! up. A question that is answered is a request. The queue of requests is bounded; the caller waits for room in it, and
//! the thread never waits.

use super::{ConsumerStopOutcome, TopicStart};
use saga_wire::record::TopicPartition;
use std::{collections::BTreeSet, time::Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that wait for the thread. Each caller waits for its answer, and two tasks call: one asks how far intake is,
/// one stops it.
const REQUESTS: usize = 4;

/// A request of the handle that the consumer's thread answers.
#[derive(Debug)]
pub(super) enum ConsumerRequest {
    /// How far each partition is finished.
    Finished(oneshot::Sender<Vec<(TopicPartition, i64)>>),
    /// An orderly end; the whole of it within `by`.
    Stop { by: Instant, done: oneshot::Sender<ConsumerStopOutcome> },
}

/// The handle's end. When it is dropped the thread ends.
#[derive(Debug)]
pub(super) struct ControlSender {
    topics: watch::Sender<Vec<TopicStart>>,
    held: watch::Sender<BTreeSet<TopicPartition>>,
    requests: mpsc::Sender<ConsumerRequest>,
}

/// The thread's end. Nothing here waits.
#[derive(Debug)]
pub(super) struct ControlReceiver {
    topics: watch::Receiver<Vec<TopicStart>>,
    held: watch::Receiver<BTreeSet<TopicPartition>>,
    requests: mpsc::Receiver<ConsumerRequest>,
}

/// Both ends; the thread begins with `topics` and nothing held.
pub(super) fn channel(topics: Vec<TopicStart>) -> (ControlSender, ControlReceiver) {
    let (topics, new_topics) = watch::channel(topics);
    let (held, new_held) = watch::channel(BTreeSet::new());
    let (requests, received) = mpsc::channel(REQUESTS);
    let receiver = ControlReceiver { topics: new_topics, held: new_held, requests: received };
    (ControlSender { topics, held, requests }, receiver)
}

impl ControlSender {
    pub(super) fn set_topics(&self, topics: Vec<TopicStart>) {
        self.topics.send_replace(topics);
    }

    pub(super) fn hold(&self, partition: TopicPartition) {
        self.held.send_if_modified(|held| held.insert(partition));
    }

    pub(super) fn release(&self, partition: &TopicPartition) {
        self.held.send_if_modified(|held| held.remove(partition));
    }

    /// Waits for room. A thread that has ended drops the request, and with it the sender of its answer.
    pub(super) async fn request(&self, request: ConsumerRequest) {
        // The event channel has reported the end of the thread.
        let _ = self.requests.send(request).await;
    }
}

impl ControlReceiver {
    /// The topics to read, if that has changed.
    pub(super) fn new_topics(&mut self) -> Option<Vec<TopicStart>> {
        newest(&mut self.topics)
    }

    /// The partitions to hold, if that has changed.
    pub(super) fn new_held(&mut self) -> Option<BTreeSet<TopicPartition>> {
        newest(&mut self.held)
    }

    /// The next request; `Err`: the handle was dropped.
    pub(super) fn next_request(&mut self) -> Result<Option<ConsumerRequest>, HandleDropped> {
        match self.requests.try_recv() {
            Ok(request) => Ok(Some(request)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(HandleDropped),
        }
    }
}

/// The handle was dropped: no request can come any more.
#[derive(Debug)]
pub(super) struct HandleDropped;

fn newest<T: Clone>(watched: &mut watch::Receiver<T>) -> Option<T> {
    watched.has_changed().unwrap_or(false).then(|| watched.borrow_and_update().clone())
}
