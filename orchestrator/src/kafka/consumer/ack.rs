//! Acknowledgements: the duty to say, once, that a record is finished.

use crate::kafka::record::TopicPartition;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::Sender,
};

/// The duty to finish one record. Clones share it: the record is finished when all of them are.
///
/// One that is dropped without [`Ack::finish`] (its task ended, its shard was lost) is not finished: the record and what
/// follows it in its partition are delivered again.
#[derive(Debug)]
#[must_use = "a record that is not finished is delivered again"]
pub struct Ack {
    duty: Arc<Duty>,
    finished: bool,
}

/// Which record of which assignment.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) partition: TopicPartition,
    /// Tells this assignment of the partition from those before it.
    pub(super) generation: u64,
    pub(super) offset: i64,
    pub(super) bytes: usize,
}

/// What became of a delivered record.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) slot: Slot,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Finished,
    Abandoned,
}

#[derive(Debug)]
struct Duty {
    slot: Slot,
    abandoned: AtomicBool,
    /// Holds as many messages as records are unfinished, which the limits of the plan bound.
    settled: Sender<Settled>,
}

impl Ack {
    pub(super) fn new(slot: Slot, settled: Sender<Settled>) -> Ack {
        Ack { duty: Arc::new(Duty { slot, abandoned: AtomicBool::new(false), settled }), finished: false }
    }

    /// This disposition of the record is done. The offset is finished when every clone says so.
    pub fn finish(mut self) {
        self.finished = true;
    }

    /// An acknowledgement that nobody waits for, for records that did not come from a consumer.
    pub fn detached() -> Ack {
        let (settled, _) = std::sync::mpsc::channel();
        let partition = TopicPartition { topic: "".into(), partition: 0 };
        Ack::new(Slot { partition, generation: 0, offset: 0, bytes: 0 }, settled)
    }
}

impl Clone for Ack {
    fn clone(&self) -> Ack {
        Ack { duty: self.duty.clone(), finished: false }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if !self.finished {
            self.duty.abandoned.store(true, Ordering::Release);
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        let fate = if *self.abandoned.get_mut() { Fate::Abandoned } else { Fate::Finished };
        // A consumer that is gone has committed what it could.
        let _ = self.settled.send(Settled { slot: self.slot.clone(), fate });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn ack() -> (Ack, std::sync::mpsc::Receiver<Settled>) {
        let (settled, received) = channel();
        let partition = TopicPartition { topic: "shop.orders".into(), partition: 1 };
        (Ack::new(Slot { partition, generation: 1, offset: 14, bytes: 3 }, settled), received)
    }

    #[test]
    fn a_record_is_finished_when_all_its_dispositions_are() {
        let (first, settled) = ack();
        let second = first.clone();
        first.finish();
        assert!(settled.try_recv().is_err());
        second.finish();
        let Settled { slot, fate } = settled.try_recv().expect("settled");
        assert_eq!((slot.offset, fate), (14, Fate::Finished));
    }

    #[test]
    fn one_disposition_that_is_dropped_abandons_the_record() {
        let (first, settled) = ack();
        drop(first.clone());
        first.finish();
        assert_eq!(settled.try_recv().expect("settled").fate, Fate::Abandoned);
    }
}
