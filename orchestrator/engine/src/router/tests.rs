//! Which messages wait for a shard that does not take them, and in which order they get there.

use super::*;
use crate::message::{MessageContent, MessageReceipt};
use saga_core::{
    event::OperatorAction,
    id::SagaId,
    input::{OperatorAct, OutcomeDelivery, SagaInput},
    time::Timestamp,
};
use saga_kafka::RecordAck;
use saga_wire::inbox::InboxEnvelope;
use std::sync::Mutex;
use tokio::time::timeout;

pub(crate) const INBOX: &str = "inbox";

/// An inbox in memory, of which the offset is the place.
#[derive(Debug, Default)]
pub(crate) struct ForwardedActs(Mutex<Vec<(ShardId, String)>>);

impl ForwardedActs {
    pub(crate) async fn keep(&self, shard: ShardId, inbound: &InboxEnvelope) -> i64 {
        let InboxEnvelope::Operator { act, .. } = inbound else { panic!("only acts are brought here: {inbound:?}") };
        let offset = {
            let mut kept = self.0.lock().expect("not poisoned");
            kept.push((shard, act.id.clone()));
            kept.len() - 1
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
        i64::try_from(offset).expect("few")
    }

    pub(crate) fn ids(&self) -> Vec<usize> {
        let kept = self.0.lock().expect("not poisoned");
        kept.iter().map(|(_, id)| id.parse().expect("a number")).collect()
    }
}

pub(crate) const SLOW: ShardId = ShardId(0);
const OTHER: ShardId = ShardId(1);

/// Four shards that are claimed, and their queues.
pub(crate) struct RouterFixture {
    pub(crate) router: ShardRouter,
    pub(crate) kept: Arc<ForwardedActs>,
    queues: Vec<mpsc::Receiver<ShardMessage>>,
    pub(crate) serving: Vec<Option<ServingGuard>>,
}

impl RouterFixture {
    pub(crate) fn new() -> RouterFixture {
        let kept = Arc::<ForwardedActs>::default();
        let router = ShardRouter::new(4, InboxForwarder::Kept(Arc::clone(&kept)));
        let queues = (0..4).map(|shard| router.open(ShardId(shard))).collect();
        let serving = (0..4).map(|shard| Some(router.serving(ShardId(shard)))).collect();
        RouterFixture { router, kept, queues, serving }
    }

    /// The shard is not claimed any more. Returns its queue, for the next owner.
    pub(crate) fn loses(&mut self, shard: ShardId) -> mpsc::Receiver<ShardMessage> {
        self.serving[usize::from(shard.0)] = None;
        let (_, nothing) = mpsc::channel(1);
        std::mem::replace(&mut self.queues[usize::from(shard.0)], nothing)
    }

    pub(crate) async fn bring(&self, shard: ShardId, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.router.route(shard, act(shard, number), MessageSource::Outside).await;
        }
    }

    fn taken(&mut self, shard: ShardId) -> Vec<usize> {
        let queue = &mut self.queues[usize::from(shard.0)];
        std::iter::from_fn(|| queue.try_recv().ok()).map(|message| number(&message)).collect()
    }
}

fn act(shard: ShardId, number: usize) -> ShardMessage {
    let (who, reason) = ("ada".to_owned(), "a test".to_owned());
    let act = OperatorAct {
        id: number.to_string(),
        who,
        reason,
        action: OperatorAction::Retry,
        about: None,
        origin: Box::default(),
    };
    ShardMessage::of(SagaId::new(Timestamp(0), shard, 7), SagaInput::Operator(act))
}

fn number(message: &ShardMessage) -> usize {
    let MessageContent::Input { input: SagaInput::Operator(act), .. } = &message.body else { panic!("{message:?}") };
    act.id.parse().expect("a number")
}

fn from_inbox(shard: ShardId, number: usize) -> ShardMessage {
    ShardMessage { receipt: MessageReceipt::Offset(RecordAck::detached_from(INBOX)), ..act(shard, number) }
}

pub(crate) const FULL: usize = SHARD_QUEUE;

#[tokio::test(start_paused = true)]
async fn a_shard_that_takes_nothing_holds_up_whoever_brings_messages_once() {
    let mut engine = RouterFixture::new();
    let began = Instant::now();
    engine.bring(SLOW, 0..FULL + 200).await;
    engine.bring(OTHER, 0..100).await;
    assert!(began.elapsed() < PATIENCE * 2, "{:?}", began.elapsed());
    assert_eq!(engine.kept.ids(), (FULL..FULL + 200).collect::<Vec<_>>());
    assert_eq!(engine.taken(OTHER), (0..100).collect::<Vec<_>>());
    assert_eq!(engine.taken(SLOW), (0..FULL).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_follows_goes_by_the_inbox_until_all_has_come_back() {
    let mut engine = RouterFixture::new();
    engine.bring(SLOW, 0..FULL + 3).await;
    assert_eq!(
        engine.router.lagging().iter().map(|behind| (behind.shard, behind.why)).collect::<Vec<_>>(),
        [(SLOW, LagReason::Full)]
    );
    engine.taken(SLOW);
    engine.bring(SLOW, FULL + 3..FULL + 4).await;
    assert_eq!(engine.kept.ids(), (FULL..FULL + 4).collect::<Vec<_>>());
    assert_eq!(engine.router.lagging()[0].why, LagReason::Returning);
    engine.router.returned(SLOW, 2);
    engine.bring(SLOW, FULL + 4..FULL + 5).await;
    assert_eq!(engine.taken(SLOW), Vec::<usize>::new(), "one is still on its way");
    engine.router.returned(SLOW, 4);
    engine.bring(SLOW, FULL + 5..FULL + 6).await;
    assert_eq!(engine.taken(SLOW), [FULL + 5]);
    assert_eq!(engine.router.lagging(), []);
}

/// The inbox brings back each message some time after it was handed, and the next one is there sooner than that.
#[tokio::test(start_paused = true)]
async fn the_way_through_the_inbox_ends_although_messages_never_cease() {
    let mut engine = RouterFixture::new();
    engine.bring(SLOW, 0..FULL + 3).await;
    let mut order = engine.taken(SLOW);
    let (router, kept) = (engine.router.clone(), Arc::clone(&engine.kept));
    let feeder = tokio::spawn(async move {
        for offset in 0.. {
            while kept.ids().len() <= offset {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
            router.route(SLOW, from_inbox(SLOW, kept.ids()[offset]), MessageSource::Inbox).await;
            router.returned(SLOW, i64::try_from(offset).expect("few"));
        }
    });
    engine.bring(SLOW, FULL + 3..FULL + 100).await;
    order.extend(engine.taken(SLOW));
    feeder.abort();
    assert!(engine.kept.ids().len() < 10, "{} went by the inbox", engine.kept.ids().len());
    assert_eq!(order, (0..FULL + 100).collect::<Vec<_>>(), "nothing overtakes");
}

#[tokio::test(start_paused = true)]
async fn when_most_shards_are_behind_whoever_brings_messages_waits() {
    let mut engine = RouterFixture::new();
    for shard in 1..4 {
        engine.bring(ShardId(shard), 0..FULL).await;
    }
    assert!(timeout(PATIENCE * 60, engine.bring(SLOW, 0..FULL + 1)).await.is_err());
    assert_eq!(engine.kept.ids(), Vec::<usize>::new());
    engine.taken(SLOW);
    engine.bring(SLOW, FULL..FULL + 1).await;
    assert_eq!(engine.taken(SLOW), [FULL]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_shard_that_is_not_claimed_may_go_when_others_are() {
    let mut engine = RouterFixture::new();
    engine.serving[0] = None;
    engine.bring(SLOW, 0..1).await;
    let began = Instant::now();
    engine.router.wait_stale(SLOW).await;
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
    engine.taken(SLOW);
    engine.bring(SLOW, 1..2).await;
    assert_eq!(engine.kept.ids(), [1], "what comes later than that goes at once");
    assert_eq!(engine.router.lagging()[0].why, LagReason::NotClaimed);

    engine.serving.clear();
    assert!(timeout(PATIENCE * 60, engine.router.wait_stale(OTHER)).await.is_err(), "the store is away");
}

#[tokio::test(start_paused = true)]
async fn the_inbox_waits_for_its_shard_and_gets_nothing_back() {
    let mut engine = RouterFixture::new();
    engine.serving[0] = None;
    let feeding = engine.router.route(SLOW, from_inbox(SLOW, 1), MessageSource::Inbox);
    assert!(timeout(PATIENCE * 60, feeding).await.is_err());
    engine.router.forward(SLOW, from_inbox(SLOW, 2)).await;
    assert_eq!(engine.kept.ids(), Vec::<usize>::new());
    engine.serving[0] = Some(engine.router.serving(SLOW));
    engine.router.route(SLOW, from_inbox(SLOW, 3), MessageSource::Inbox).await;
    assert_eq!(engine.taken(SLOW), [3]);
}

/// What the journal brings back is never lost while its shard is owned here: the saga in memory waits for it.
#[tokio::test(start_paused = true)]
async fn what_only_this_engine_knows_waits_for_room() {
    let mut engine = RouterFixture::new();
    engine.bring(SLOW, 0..FULL + 1).await;
    let delivered = || {
        ShardMessage::of(
            SagaId::new(Timestamp(0), SLOW, 7),
            SagaInput::Delivered { delivery: OutcomeDelivery::Acknowledged },
        )
    };
    let routing = engine.router.route(SLOW, delivered(), MessageSource::Outside);
    assert!(timeout(PATIENCE * 60, routing).await.is_err());
    engine.taken(SLOW);
    engine.router.route(SLOW, delivered(), MessageSource::Call).await;
    assert!(engine.queues[0].try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_an_inbox_whoever_brings_messages_waits() {
    let router = ShardRouter::new(2, InboxForwarder::Disabled);
    let mut queue = router.open(SLOW);
    let _serving = router.serving(SLOW);
    for number in 0..FULL {
        router.route(SLOW, act(SLOW, number), MessageSource::Outside).await;
    }
    assert!(timeout(PATIENCE * 60, router.route(SLOW, act(SLOW, FULL), MessageSource::Outside)).await.is_err());
    assert_eq!(queue.try_recv().map(|message| number(&message)).ok(), Some(0));
    router.route(SLOW, act(SLOW, FULL), MessageSource::Outside).await;
}
