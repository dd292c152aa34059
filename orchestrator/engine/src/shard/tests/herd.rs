//! What a new owner holds in memory, of very many sagas that were open before.

use super::{
    super::{OwnershipEnd, ShardLoop, wait_registry::MOST},
    fixture::ShardFixture,
};
use crate::{
    dispatch::{EffectSender, OutboundCalls},
    load_permits::{TOGETHER, TURNS},
    observer::{CommitObserver, ObserverHandle},
    router::ShardRouter,
    schema_source::SchemaSource,
    seeding::{self, SeedState},
};
use axum::{Json, Router, routing::post};
use saga_base::clock::EngineClock;
use saga_core::{
    definition::{self, ParticipantCatalog, participants},
    event::{SagaDecision, TriggerRecord},
    id::{SagaId, ShardId},
    policy::SagaPolicies,
    state::{SagaPlan, SagaState},
    time::Timestamp,
};
use saga_resilience::{
    overrides::{BreakerMode, OverrideState},
    registry::GuardRegistry,
    transport,
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PARTICIPANT: &str = "payments";

/// A wait that is over, and one step.
const DEFINITION: &str = r#"
saga: seeded
trigger: {topic: t, key: "${ event.id }"}
steps:
  - {step: cool, wait: 1m}
  - {step: charge, do: POST payments/charges, undo: POST payments/refunds}
"#;

/// Stops the shard's task when so many sagas have ended.
struct EndCounter {
    left: AtomicU32,
    stop: CancellationToken,
}

impl CommitObserver for EndCounter {
    fn committed(&self, _saga: SagaId, _plan: &SagaPlan, state: &SagaState, _decision: &SagaDecision) {
        if state.status().is_terminal() && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.cancel();
        }
    }
}

/// A shard that has just been claimed, with many open sagas in it.
struct ClaimedShard {
    owned: ShardLoop,
    all_ended: CancellationToken,
    fixture: ShardFixture,
}

impl ClaimedShard {
    async fn with(sagas: u32, seeded: SeedState, breaker: BreakerMode) -> ClaimedShard {
        let (participants, plan) = plan(&participant().await);
        let all_ended = CancellationToken::new();
        let ends = EndCounter { left: AtomicU32::new(sagas), stop: all_ended.clone() };
        let effects = |guards: &Arc<GuardRegistry>, router: &ShardRouter| {
            let calls = OutboundCalls::new(Arc::clone(guards), None, SchemaSource::default(), router.clone());
            Arc::new(calls) as Arc<dyn EffectSender>
        };
        let observer = ObserverHandle::new(Arc::new(ends));
        let fixture = ShardFixture::new(participants, Arc::clone(&plan), EngineClock::Wall, effects, observer).await;
        seeding::seed(&fixture.store, &plan, seeded, sagas, trigger).await.expect("open sagas");
        tokio::spawn(Arc::clone(&fixture.guards).run_wait_scheduler());
        fixture.guards.apply(PARTICIPANT, &OverrideState { mode: breaker, ..OverrideState::default() });
        let owned = fixture.claim().await;
        ClaimedShard { owned, all_ended, fixture }
    }

    fn close_the_breaker(&self) {
        self.fixture.guards.apply(PARTICIPANT, &OverrideState::default());
    }

    fn in_line(&self) -> u32 {
        self.fixture.guards.snapshot().iter().map(|participant| participant.queued).sum()
    }

    /// Works until every saga has ended.
    async fn serve_to_the_end(&mut self) {
        let mut messages = self.fixture.router.open(ShardId(0));
        let ended = self.owned.serve(&mut messages, &self.all_ended, std::future::pending()).await;
        assert_eq!(ended, OwnershipEnd::Stopped);
    }
}

/// A participant that does everything it is asked to do.
async fn participant() -> String {
    transport::install_tls();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it has an address");
    let routes = Router::new().route("/{*path}", post(async || Json(json!({"ok": true}))));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn plan(url: &str) -> (ParticipantCatalog, Arc<SagaPlan>) {
    let text = format!("participants:\n  {PARTICIPANT}: {{http: {{url: \"{url}\"}}, bulkhead: 64}}\n");
    let participants = participants::parse("participants.yaml", &text, &|_| None).expect("participants");
    let parsed = definition::parse("seeded.saga.yaml", DEFINITION, Some(&participants), None).expect("a definition");
    let policies = SagaPolicies::resolve(&parsed.definition, &participants);
    (participants, Arc::new(SagaPlan::new(Arc::new(parsed.definition), Arc::new(policies))))
}

fn trigger(key: &str) -> TriggerRecord {
    TriggerRecord {
        topic: "t".into(),
        partition: 0,
        offset: 0,
        key: None,
        timestamp: Timestamp(0),
        headers: BTreeMap::new(),
        event: json!({"id": key}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_breaker_is_in_its_line_as_far_as_that_goes_and_not_in_memory() {
    let most = u32::try_from(MOST).expect("some");
    for (sagas, seeded) in [
        (most, SeedState::RefusedByBreaker),
        (5 * most, SeedState::RefusedByBreaker),
        (5 * most, SeedState::AwaitedAnswer),
    ] {
        let mut claimed = ClaimedShard::with(sagas, seeded, BreakerMode::ForcedOpen).await;
        claimed.owned.recover_all().await;
        assert_eq!((claimed.in_line(), claimed.owned.table.sagas.len()), (most, 0), "{sagas} {seeded:?}");
        assert!(claimed.owned.table.deferred_inputs.is_empty(), "nothing is to be decided");
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
    let mut claimed =
        ClaimedShard::with(u32::try_from(sagas).expect("some"), SeedState::DueTime, BreakerMode::Automatic).await;
    claimed.owned.recover_all().await;
    let in_memory = claimed.owned.table.sagas.len();
    assert!((1..=most).contains(&in_memory), "{in_memory} of {sagas} are in memory");
    assert_eq!(claimed.owned.table.due.sagas().count(), sagas - in_memory);
    claimed.serve_to_the_end().await;
}
