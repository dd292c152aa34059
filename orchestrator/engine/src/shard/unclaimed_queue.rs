//! The messages that wait for a shard that takes none: it is not claimed yet, or lost.

use crate::{message::ShardMessage, router::ShardRouter};
use saga_core::id::ShardId;
use std::{pin::pin, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::TaskTracker;

/// Messages that are on their way to the inbox at once: a round trip for all of them.
const TOGETHER: usize = 16;

/// Between two looks at the queue. What comes meanwhile goes to the inbox without waiting in it, but for what is sent
/// by calls.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The time for the rest of the queue when the shard is about to take messages: a few round trips for each portion. An
/// unavailable broker does not keep sagas that do not need it from going on.
const REST: Duration = Duration::from_secs(2);

/// Does `work`, during which the shard takes nothing. Where that lasts, and other shards are claimed, what waits goes
/// to the inbox: there it is safe, and topics are finished up to what comes after it. When some of it went there so
/// does the rest, so that nothing overtakes.
pub(super) async fn run_while_forwarding<T>(
    (router, calls): (&ShardRouter, &TaskTracker),
    shard: ShardId,
    messages: &mut mpsc::Receiver<ShardMessage>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = hand_when_late(router, calls, shard, messages) => {}
        }
    };
    if router.is_forwarding(shard) {
        // What is not there in time is taken at once.
        let _ = timeout(REST, forward_all(router, calls, shard, messages)).await;
    }
    done
}

async fn hand_when_late(
    router: &ShardRouter,
    calls: &TaskTracker,
    shard: ShardId,
    messages: &mut mpsc::Receiver<ShardMessage>,
) {
    router.wait_stale(shard).await;
    forward_all(router, calls, shard, messages).await;
    tokio::time::sleep(LOOK_AGAIN).await;
}

async fn forward_all(
    router: &ShardRouter,
    calls: &TaskTracker,
    shard: ShardId,
    messages: &mut mpsc::Receiver<ShardMessage>,
) {
    let Some(mut turn) = router.turn(shard).await else { return };
    loop {
        let portion: Vec<ShardMessage> = std::iter::from_fn(|| messages.try_recv().ok()).take(TOGETHER).collect();
        if portion.is_empty() {
            return;
        }
        // A task of its own: what is on its way must not be lost when the work is done, nor hold it up.
        turn = match calls.spawn(router.clone().forward_all(shard, portion, turn)).await {
            Ok(turn) => turn,
            Err(_broken_off) => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::tests::{FULL, RouterFixture, SLOW};

    /// Claims that take `seconds`.
    async fn claim(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_claim_that_hangs_goes_to_the_inbox_and_nothing_overtakes_it() {
        let mut engine = RouterFixture::new();
        let mut queue = engine.loses(SLOW);
        let calls = TaskTracker::new();
        let router = engine.router.clone();
        let claiming = run_while_forwarding((&router, &calls), SLOW, &mut queue, claim(10));
        let bringing = async {
            engine.bring(SLOW, 0..100).await;
            tokio::time::sleep(Duration::from_millis(1_001)).await;
            engine.bring(SLOW, 100..FULL + 200).await;
        };
        tokio::join!(claiming, bringing);
        assert_eq!(engine.kept.ids(), (0..FULL + 200).collect::<Vec<_>>());
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_soon_done_leaves_what_waits_in_the_queue() {
        let mut engine = RouterFixture::new();
        let mut queue = engine.loses(SLOW);
        engine.bring(SLOW, 0..100).await;
        run_while_forwarding(
            (&engine.router, &TaskTracker::new()),
            SLOW,
            &mut queue,
            tokio::time::sleep(LOOK_AGAIN / 2),
        )
        .await;
        assert_eq!((queue.len(), engine.kept.ids()), (100, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_store_is_away_everything_waits_in_its_queue() {
        let mut engine = RouterFixture::new();
        let mut queue = engine.loses(SLOW);
        engine.serving.clear();
        engine.bring(SLOW, 0..100).await;
        run_while_forwarding((&engine.router, &TaskTracker::new()), SLOW, &mut queue, claim(100)).await;
        assert_eq!((queue.len(), engine.kept.ids()), (100, vec![]));
    }

    /// The rest follows what went before it, although the claim is done by then.
    #[tokio::test(start_paused = true)]
    async fn what_is_left_when_the_claim_is_done_follows_what_went_to_the_inbox() {
        let mut engine = RouterFixture::new();
        let mut queue = engine.loses(SLOW);
        engine.bring(SLOW, 0..FULL).await;
        // Some portions of two milliseconds each.
        let claimed = tokio::time::sleep(LOOK_AGAIN + Duration::from_millis(10));
        run_while_forwarding((&engine.router, &TaskTracker::new()), SLOW, &mut queue, claimed).await;
        assert_eq!((queue.len(), engine.kept.ids()), (0, (0..FULL).collect()));
        engine.serving[0] = Some(engine.router.serving(SLOW));
        engine.bring(SLOW, FULL..FULL + 1).await;
        assert_eq!((queue.len(), engine.kept.ids().len()), (0, FULL + 1));
    }
}
