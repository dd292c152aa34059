//! What a new owner holds in memory, of very many sagas that were open before.

use super::{Ended, owned::Owned, waits::MOST};
use crate::{
    bench::{
        herd::{self, Asked, WaitingFor, make},
        participant,
        stand::{self, PARTICIPANT, Stand},
    },
    engine::{
        observer::Observe,
        turns::{TOGETHER, TURNS},
    },
    guarded::acts::{Mode, Override},
};
use saga_core::{
    answerable::ALWAYS,
    event::Decision,
    id::{SagaId, Shard},
    state::{Plan, State},
};
use saga_event_store::Access;
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

const PLACES: NonZeroU32 = NonZeroU32::new(64).expect("it is not 0");

/// Stops whoever serves when so many sagas have ended.
struct Ends {
    left: AtomicU32,
    stop: CancellationToken,
}

impl Observe for Ends {
    fn committed(&self, _saga: SagaId, _plan: &Plan, state: &State, _decision: &Decision) {
        if state.status().is_terminal() && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.cancel();
        }
    }
}

/// A shard that has just been claimed, with a herd in it.
struct Claimed {
    owned: Owned,
    all_ended: CancellationToken,
    stand: Stand,
    _folder: tempfile::TempDir,
}

impl Claimed {
    async fn with(sagas: u32, waiting_for: WaitingFor, breaker: Mode) -> Claimed {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("saga.db").display());
        let store = saga_event_store::open(&address, Access::Write { shards: 1 }).await.expect("a store");
        let (told, url) = oneshot::channel();
        tokio::spawn(participant::run(|address| drop(told.send(format!("http://{address}")))));
        let url = url.await.expect("the participant listens");
        let loaded = stand::load("herd.saga.yaml", herd::DEFINITION, &url, PLACES).expect("it is a definition");
        let asked = Asked { waiting_for, sagas, until: sagas, places: PLACES };
        make::fill(&store, &loaded, asked).await.expect("a herd");
        let all_ended = CancellationToken::new();
        let ends = Arc::new(Ends { left: AtomicU32::new(sagas), stop: all_ended.clone() });
        let stand = Stand::prepare(&store, loaded, ends).await.expect("an engine");
        stand.engine.parts.guarded.apply(PARTICIPANT, &Override { mode: breaker, ..Override::default() });
        let epoch = store.claim(0, "test").await.expect("the shard is claimed");
        let owned = Owned::new(Arc::clone(&stand.engine.parts), Shard(0), epoch, ALWAYS.clone());
        Claimed { owned, all_ended, stand, _folder: folder }
    }

    fn close_the_breaker(&self) {
        self.stand.engine.parts.guarded.apply(PARTICIPANT, &Override::default());
    }

    fn in_line(&self) -> u32 {
        self.stand.engine.parts.guarded.snapshot().iter().map(|participant| participant.in_line).sum()
    }

    /// Works until every saga has ended.
    async fn serve_to_the_end(&mut self) {
        let mut messages = self.stand.engine.parts.router.open(Shard(0));
        let ended = self.owned.serve(&mut messages, &self.all_ended, std::future::pending()).await;
        assert_eq!(ended, Ended::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_breaker_is_in_its_line_as_far_as_that_goes_and_not_in_memory() {
    let most = u32::try_from(MOST).expect("some");
    for (sagas, waiting_for) in
        [(most, WaitingFor::Breaker), (5 * most, WaitingFor::Breaker), (5 * most, WaitingFor::Answer)]
    {
        let mut claimed = Claimed::with(sagas, waiting_for, Mode::ForcedOpen).await;
        claimed.owned.recover_all().await;
        assert_eq!((claimed.in_line(), claimed.owned.sagas.len()), (most, 0), "{sagas} {waiting_for:?}");
        assert!(claimed.owned.held_back.is_empty(), "nothing is to be decided");
        claimed.close_the_breaker();
        claimed.serve_to_the_end().await;
        assert_eq!(claimed.in_line(), 0);
    }
}

/// No more than turns are for are brought into memory; the others are a time.
#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_due_no_more_are_in_memory_than_have_turns() {
    let most = TURNS * TOGETHER;
    let sagas = most + 200;
    let mut claimed = Claimed::with(u32::try_from(sagas).expect("some"), WaitingFor::Time, Mode::Automatic).await;
    claimed.owned.recover_all().await;
    let in_memory = claimed.owned.sagas.len();
    assert!((1..=most).contains(&in_memory), "{in_memory} of {sagas} are in memory");
    assert_eq!(claimed.owned.due.sagas().count(), sagas - in_memory);
    claimed.serve_to_the_end().await;
}
