//! Acknowledgements: the duty to say, once, that a record is finished.
//!
//! Before a record is delivered, room for its acknowledgement is reserved in the queue to the intake thread
//! ([`AckQueue::reserve`]). So an acknowledgement can be settled from any thread, also while it is dropped: settling
//! never waits, and no acknowledgement is lost.

use saga_wire::record::TopicPartition;
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{Semaphore, mpsc};

/// The duty to finish one record. Clones share it: the record is finished when every clone is.
///
/// A clone that is dropped without [`RecordAck::finish`] (its task ended, its shard was lost) abandons the record: the
/// record and those after it in its partition are delivered again.
#[derive(Debug)]
#[must_use = "a record that is not finished is delivered again"]
pub struct RecordAck {
    shared: Arc<SharedAck>,
    finished: bool,
}

/// Which record of which assignment.
#[derive(Clone, Debug)]
pub(super) struct AckTarget {
    pub(super) partition: TopicPartition,
    /// The assignment in which the record was delivered. An acknowledgement of an earlier assignment changes nothing.
    pub(super) generation: u64,
    pub(super) offset: i64,
    pub(super) bytes: usize,
}

/// What became of a delivered record.
#[derive(Debug)]
pub(super) struct AckResult {
    pub(super) target: AckTarget,
    pub(super) state: AckState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckState {
    Finished,
    Abandoned,
}

/// Settled records on their way to the intake thread.
#[derive(Debug)]
pub(super) struct AckQueue {
    sender: mpsc::Sender<AckResult>,
    receiver: mpsc::Receiver<AckResult>,
}

/// Room for one settled record.
pub(super) type AckPermit = mpsc::OwnedPermit<AckResult>;

impl AckQueue {
    /// Room for as many records as may be unfinished: those that are being worked on, and those that are settled and
    /// not collected yet.
    pub(super) fn new(unfinished_records: usize) -> AckQueue {
        let (sender, receiver) = mpsc::channel(unfinished_records.clamp(1, Semaphore::MAX_PERMITS));
        AckQueue { sender, receiver }
    }

    /// Room for a record that is about to be delivered; given back when the record is collected, or by a drop. `None`:
    /// as many as may be are unfinished, and it must not be delivered.
    pub(super) fn reserve(&self) -> Option<AckPermit> {
        self.sender.clone().try_reserve_owned().ok()
    }

    /// The next settled record. Does not wait.
    pub(super) fn collect(&mut self) -> Option<AckResult> {
        self.receiver.try_recv().ok()
    }
}

/// What the clones of an acknowledgement share; its drop, the last clone's, settles the record.
#[derive(Debug)]
struct SharedAck {
    /// Taken by the drop only.
    unsettled: Option<UnsettledRecord>,
    /// A clone was dropped without being finished.
    abandoned: AtomicBool,
    condition: OnceLock<Arc<dyn AckCondition>>,
}

/// A record whose state is to be said once. Dropped without a word, it is abandoned.
#[derive(Debug)]
struct UnsettledRecord {
    target: AckTarget,
    /// Reserved when the record was delivered. `None`: the record did not come from a consumer.
    permit: Option<AckPermit>,
}

impl UnsettledRecord {
    fn settle(mut self, state: AckState) {
        self.send(state);
    }

    fn send(&mut self, state: AckState) {
        // A thread that has ended drops what is sent to it: it has committed what it could.
        if let Some(permit) = self.permit.take() {
            permit.send(AckResult { target: self.target.clone(), state });
        }
    }
}

impl Drop for UnsettledRecord {
    fn drop(&mut self) {
        self.send(AckState::Abandoned);
    }
}

/// Says whether records whose dispositions are done may count as finished.
pub trait AckCondition: fmt::Debug + Send + Sync {
    /// Calls `settle`, now or as soon as it is known: with `true` if records of `topic` may be finished, else they are
    /// delivered again.
    fn decide(&self, topic: &Arc<str>, settle: AckCallback);
}

/// Settles a record: finished, or to be delivered again.
pub type AckCallback = Box<dyn FnOnce(bool) + Send>;

impl RecordAck {
    pub(super) fn new(target: AckTarget, permit: AckPermit) -> RecordAck {
        RecordAck::of(UnsettledRecord { target, permit: Some(permit) })
    }

    fn of(unsettled: UnsettledRecord) -> RecordAck {
        let (abandoned, condition) = (AtomicBool::new(false), OnceLock::new());
        let shared = SharedAck { unsettled: Some(unsettled), abandoned, condition };
        RecordAck { shared: Arc::new(shared), finished: false }
    }

    /// The record is finished only if `condition` says so when its last disposition is done. The first condition
    /// counts, for all clones.
    pub fn only_if(&self, condition: Arc<dyn AckCondition>) {
        // A second one has nothing to add.
        let _ = self.shared.condition.set(condition);
    }

    /// This disposition of the record is done. The offset is finished when every clone says so.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// Whether the record is one of `topic`.
    #[must_use]
    pub fn is_of(&self, topic: &str) -> bool {
        self.shared.unsettled.as_ref().is_some_and(|unsettled| *unsettled.target.partition.topic == *topic)
    }

    /// An acknowledgement of a record of `topic` that did not come from a consumer. Settling it has no effect.
    #[cfg(any(test, feature = "testing"))]
    pub fn detached_from(topic: &str) -> RecordAck {
        let partition = TopicPartition { topic: topic.into(), partition: 0 };
        let target = AckTarget { partition, generation: 0, offset: 0, bytes: 0 };
        RecordAck::of(UnsettledRecord { target, permit: None })
    }
}

impl Clone for RecordAck {
    fn clone(&self) -> RecordAck {
        RecordAck { shared: self.shared.clone(), finished: false }
    }
}

impl Drop for RecordAck {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.abandoned.store(true, Ordering::Release);
        }
    }
}

impl Drop for SharedAck {
    fn drop(&mut self) {
        let Some(unsettled) = self.unsettled.take() else { return };
        if *self.abandoned.get_mut() {
            return unsettled.settle(AckState::Abandoned);
        }
        match self.condition.take() {
            None => unsettled.settle(AckState::Finished),
            Some(condition) => {
                let topic = unsettled.target.partition.topic.clone();
                let settle = |may_finish| {
                    unsettled.settle(if may_finish { AckState::Finished } else { AckState::Abandoned });
                };
                condition.decide(&topic, Box::new(settle));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(offset: i64) -> AckTarget {
        let partition = TopicPartition { topic: "shop.orders".into(), partition: 1 };
        AckTarget { partition, generation: 1, offset, bytes: 3 }
    }

    fn ack() -> (RecordAck, AckQueue) {
        let queue = AckQueue::new(1);
        let permit = queue.reserve().expect("room for one");
        (RecordAck::new(target(14), permit), queue)
    }

    #[test]
    fn a_record_is_finished_when_all_its_dispositions_are() {
        let (first, mut settled) = ack();
        let second = first.clone();
        first.finish();
        assert!(settled.collect().is_none());
        second.finish();
        let AckResult { target, state } = settled.collect().expect("settled");
        assert_eq!((target.offset, state), (14, AckState::Finished));
    }

    /// Keeps the questions; the test decides when each is answered.
    #[derive(Default)]
    struct LaterCondition(std::sync::Mutex<Vec<AckCallback>>);

    impl fmt::Debug for LaterCondition {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Later")
        }
    }

    impl AckCondition for LaterCondition {
        fn decide(&self, topic: &Arc<str>, settle: AckCallback) {
            assert_eq!(&**topic, "shop.orders");
            self.0.lock().expect("not poisoned").push(settle);
        }
    }

    #[test]
    fn a_record_with_a_condition_is_settled_when_that_is_known() {
        for (may_finish, state) in [(true, AckState::Finished), (false, AckState::Abandoned)] {
            let (first, mut settled) = ack();
            let later = Arc::new(LaterCondition::default());
            first.only_if(later.clone());
            let second = first.clone();
            first.finish();
            second.finish();
            assert!(settled.collect().is_none());
            for settle in later.0.lock().expect("not poisoned").drain(..) {
                settle(may_finish);
            }
            assert_eq!(settled.collect().expect("settled").state, state);
        }
    }

    #[test]
    fn one_disposition_that_is_dropped_abandons_the_record() {
        let (first, mut settled) = ack();
        drop(first.clone());
        first.finish();
        assert_eq!(settled.collect().expect("settled").state, AckState::Abandoned);
    }

    #[test]
    fn a_condition_that_never_decides_abandons_the_record() {
        let (first, mut settled) = ack();
        let later = Arc::new(LaterCondition::default());
        first.only_if(later.clone());
        first.finish();
        later.0.lock().expect("not poisoned").clear();
        assert_eq!(settled.collect().expect("settled").state, AckState::Abandoned);
    }

    /// As many as may be unfinished, all settled before one is collected, by finishing and by dropping.
    #[test]
    fn at_the_bound_no_acknowledgement_is_lost_and_none_waits() {
        const UNFINISHED: usize = 64;
        let mut queue = AckQueue::new(UNFINISHED);
        let mut acks = Vec::new();
        while let Some(permit) = queue.reserve() {
            acks.push(RecordAck::new(target(i64::try_from(acks.len()).expect("few")), permit));
        }
        assert_eq!(acks.len(), UNFINISHED, "nothing more is delivered");
        std::thread::scope(|threads| {
            for (index, ack) in acks.into_iter().enumerate() {
                threads.spawn(move || if index % 2 == 0 { ack.finish() } else { drop(ack) });
            }
        });
        assert!(queue.reserve().is_none(), "what is not collected has its room still");
        let mut settled: Vec<AckResult> = std::iter::from_fn(|| queue.collect()).collect();
        settled.sort_by_key(|one| one.target.offset);
        assert!(settled.iter().map(|one| one.target.offset).eq(0..64));
        assert_eq!(settled.iter().filter(|one| one.state == AckState::Finished).count(), UNFINISHED / 2);
        let again: Vec<AckPermit> = std::iter::from_fn(|| queue.reserve()).collect();
        assert_eq!(again.len(), UNFINISHED, "what was collected has given its room back");
    }
}
