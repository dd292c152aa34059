//! Dead letters of one partition are written in the order in which they were found, and those of different partitions
//! beside each other.
//!
//! A letter is sent when the one before it is in the client's queue, which keeps the order and costs no round trip. A
//! letter that was not taken is sent again only when all before it are written.

use saga_base::sync::UnpoisonedMutex;
use saga_wire::TopicPartition;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

/// How far a letter is. Its end is the end of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterStage {
    /// It is not in the client's queue.
    Waiting,
    /// It was in it once.
    Queued,
}

/// The last letter of each partition. There is an entry for each partition that a letter came from, and no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct LetterTurns(Arc<UnpoisonedMutex<HashMap<TopicPartition, watch::Receiver<LetterStage>>>>);

/// A letter's place in the order of its partition. The next one counts it as written when this is dropped.
#[derive(Debug)]
pub(crate) struct LetterTurn {
    before: Option<watch::Receiver<LetterStage>>,
    own: watch::Sender<LetterStage>,
}

impl LetterTurns {
    /// The place behind all letters of the partition that have one.
    pub(crate) fn take(&self, partition: &TopicPartition) -> LetterTurn {
        let (own, seen) = watch::channel(LetterStage::Waiting);
        let before = self.0.lock().insert(partition.clone(), seen);
        LetterTurn { before, own }
    }
}

impl LetterTurn {
    /// Returns when the letter before is in the client's queue, or needs it no more.
    pub(crate) async fn comes(&mut self) {
        if let Some(before) = &mut self.before {
            // An error is the end of the letter before.
            drop(before.wait_for(|stage| *stage == LetterStage::Queued).await);
        }
    }

    /// The letter is in the client's queue.
    pub(crate) fn is_queued(&self) {
        self.own.send_replace(LetterStage::Queued);
    }

    /// Returns when all letters before are written.
    pub(crate) async fn is_first(&mut self) {
        if let Some(before) = &mut self.before {
            while before.changed().await.is_ok() {}
        }
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition { topic: "shop.orders".into(), partition: number }
    }

    async fn is_ready(future: impl Future<Output = ()>) -> bool {
        let mut future = pin!(future);
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_letter_follows_the_one_before_it_into_the_queue_and_other_partitions_wait_for_none() {
        let turns = LetterTurns::default();
        let (mut first, mut second) = (turns.take(&partition(0)), turns.take(&partition(0)));
        let mut elsewhere = turns.take(&partition(1));
        assert!(is_ready(first.comes()).await && is_ready(elsewhere.comes()).await);
        assert!(!is_ready(second.comes()).await);
        first.is_queued();
        assert!(is_ready(second.comes()).await);
    }

    #[tokio::test]
    async fn a_letter_that_was_not_taken_waits_for_all_before_it() {
        let turns = LetterTurns::default();
        let [mut first, mut second, mut third] = [(); 3].map(|()| turns.take(&partition(0)));
        first.is_queued();
        second.is_queued();
        third.is_queued();
        assert!(is_ready(first.is_first()).await);
        assert!(!is_ready(third.is_first()).await);
        drop(first);
        assert!(is_ready(second.is_first()).await);
        let mut fourth = turns.take(&partition(0));
        fourth.is_queued();
        drop(second);
        drop(third);
        assert!(is_ready(fourth.is_first()).await);
    }
}
