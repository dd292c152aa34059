//! Acknowledgements: the duty to say, once, that a record is finished.

use saga_wire::record::TopicPartition;
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
};

/// The duty to finish one record. Clones share it: the record is finished when all of them are.
///
/// One that is dropped without [`RecordAck::finish`] (its task ended, its shard was lost) is not finished: the record and what
/// follows it in its partition are delivered again.
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
    /// Tells this assignment of the partition from those before it.
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

#[derive(Debug)]
struct SharedAck {
    target: AckTarget,
    abandoned: AtomicBool,
    condition: OnceLock<Arc<dyn AckCondition>>,
    /// Holds as many messages as records are unfinished, which the limits of the plan bound.
    settled: Sender<AckResult>,
}

/// Says whether records whose dispositions are done may count as finished.
pub trait AckCondition: fmt::Debug + Send + Sync {
    /// Calls `settle`, now or as soon as it is known: with `true` if records of `topic` may be finished, else they are delivered again.
    fn decide(&self, topic: &Arc<str>, settle: AckCallback);
}

/// Settles a record: finished, or to be delivered again.
pub type AckCallback = Box<dyn FnOnce(bool) + Send>;

impl RecordAck {
    pub(super) fn new(target: AckTarget, settled: Sender<AckResult>) -> RecordAck {
        let (abandoned, condition) = (AtomicBool::new(false), OnceLock::new());
        RecordAck { shared: Arc::new(SharedAck { target, abandoned, condition, settled }), finished: false }
    }

    /// The record is finished only if `condition` says so when its last disposition is done. The first condition counts, for all clones.
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
        *self.shared.target.partition.topic == *topic
    }

    /// An acknowledgement that nobody waits for, for records that did not come from a consumer.
    pub fn detached() -> RecordAck {
        RecordAck::detached_from("")
    }

    /// The same, of a record of `topic`.
    pub fn detached_from(topic: &str) -> RecordAck {
        let (settled, _) = std::sync::mpsc::channel();
        let partition = TopicPartition { topic: topic.into(), partition: 0 };
        RecordAck::new(AckTarget { partition, generation: 0, offset: 0, bytes: 0 }, settled)
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
        let (target, settled, is_done) = (self.target.clone(), self.settled.clone(), !*self.abandoned.get_mut());
        let settle = move |may_finish: bool| {
            let state = if is_done && may_finish { AckState::Finished } else { AckState::Abandoned };
            // A consumer that is gone has committed what it could.
            let _ = settled.send(AckResult { target, state });
        };
        match self.condition.take() {
            Some(condition) if is_done => condition.decide(&self.target.partition.topic, Box::new(settle)),
            Some(_) | None => settle(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn ack() -> (RecordAck, std::sync::mpsc::Receiver<AckResult>) {
        let (settled, received) = channel();
        let partition = TopicPartition { topic: "shop.orders".into(), partition: 1 };
        (RecordAck::new(AckTarget { partition, generation: 1, offset: 14, bytes: 3 }, settled), received)
    }

    #[test]
    fn a_record_is_finished_when_all_its_dispositions_are() {
        let (first, settled) = ack();
        let second = first.clone();
        first.finish();
        assert!(settled.try_recv().is_err());
        second.finish();
        let AckResult { target, state } = settled.try_recv().expect("settled");
        assert_eq!((target.offset, state), (14, AckState::Finished));
    }

    /// Answers when it is told.
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
            let (first, settled) = ack();
            let later = Arc::new(LaterCondition::default());
            first.only_if(later.clone());
            let second = first.clone();
            first.finish();
            second.finish();
            assert!(settled.try_recv().is_err());
            for settle in later.0.lock().expect("not poisoned").drain(..) {
                settle(may_finish);
            }
            assert_eq!(settled.try_recv().expect("settled").state, state);
        }
    }

    #[test]
    fn one_disposition_that_is_dropped_abandons_the_record() {
        let (first, settled) = ack();
        drop(first.clone());
        first.finish();
        assert_eq!(settled.try_recv().expect("settled").state, AckState::Abandoned);
    }
}
